"""A small run on disk, made by the real collector, writer and evaluation, in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fetlock.build import make_env, policy_layout
from fetlock.config import RunConfig, config_yaml, load_config
from policy.acting import NumpyActor
from policy.snapshot import Policy, PolicyConfig, save_policy
from tests.sim.gaits import trot
from tests.training.records import walking_streams
from training.collector import Collector
from training.evaluation import Evaluation, append_evaluation
from training.records import bus_dtype, step_dtype
from training.rollout_log import EpisodeWriter, RunMetadata
from training.tasks import WalkConfig

# Small networks and short episodes of a randomised, delayed, noisy robot: the hardest case for a replay.
FLAGS = (
    *("--sac.network.hidden", "8", "--task.time-limit-steps", "40", "--seed", "5", "--robot.randomise.enabled"),
    *("--robot.noise.position-rad", "0.01", "--robot.noise.gyro-rad-s", "0.1"),
)


class NotANumber(NumpyActor):
    """A network that broke: the guard rejects what it says and holds the robot."""

    def act(self, observation: np.ndarray, noise: np.ndarray | None, image: np.ndarray | None = None) -> np.ndarray:
        return np.full(8, np.nan, np.float32)


class Trot(NumpyActor):
    """Trots open-loop at 2 Hz, 50 policy ticks a second."""

    ticks = 0

    def act(self, observation: np.ndarray, noise: np.ndarray | None, image: np.ndarray | None = None) -> np.ndarray:
        self.ticks += 1
        return WalkConfig().legs.legs(trot(self.ticks / 50.0).position_rad).astype(np.float32)


class Mean(NumpyActor):
    """Does not explore."""

    def act(self, observation: np.ndarray, noise: np.ndarray | None, image: np.ndarray | None = None) -> np.ndarray:
        return super().act(observation, None, image)


def record_run(
    folder: Path,
    episodes: int = 2,
    *,
    base: tuple[str, ...] = FLAGS,
    flags: tuple[str, ...] = (),
    seed: int = 5,
    broken_from: int | None = None,
    policy_from: int | None = None,
    trots: bool = False,
) -> RunConfig:
    """Write config.yaml, policy, rollouts and evaluations of a run into `folder`.

    Actions are random; NaN from step `broken_from` on, or the policy's own from step `policy_from` on, or all a trot.
    """
    config = load_config([*base, *flags]).model_copy(update={"seed": seed})
    (folder / "rollouts").mkdir(parents=True)
    (folder / "config.yaml").write_text(config_yaml(config))
    env = make_env(config)
    layout = policy_layout(config)
    steps, bus = walking_streams()
    vector = np.random.default_rng(0).standard_normal(layout.vector_size).astype(np.float32) * np.float32(0.3)
    actor = Trot(layout) if trots else NotANumber(layout) if policy_from is None else Mean(layout)
    collector = Collector(env, actor, steps, bus, seed=seed, index=0, episode=0)
    collector.adopt(3, vector)
    own_from = 0 if trots else broken_from if policy_from is None else policy_from
    written = [0, 0]
    for episode in range(episodes):
        while collector.episode == episode:
            collector.collect(explore=own_from is None or len(steps) < own_from)
        metadata = RunMetadata("0", config.robot.kind, seed, config=config_yaml(config))
        writer = EpisodeWriter(folder / "rollouts", 0, episode, step_dtype(36, 8), bus_dtype(8), metadata)
        writer.write(bus.array[written[0] :], steps.array[written[1] :])
        writer.finish(complete=True)
        written = [len(bus), len(steps)]
        figures = {"episodes": 2, "mean_return": float(episode), "mean_measure": 0.1 * episode, "falls": episode % 2, "mark": False}
        result = Evaluation(steps=len(steps), updates=9, version=episode + 1, seconds=1.0, **figures)
        append_evaluation(folder / "evaluations.jsonl", result)
    env.close()
    save_policy(folder / "policy", Policy(PolicyConfig(layout=layout, version=3, steps=len(steps), updates=9), vector))
    return config
