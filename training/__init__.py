"""Learning from rollouts: tasks, environment, replay, Soft Actor-Critic, the asynchronous processes, the rollout log and checkpoints."""
