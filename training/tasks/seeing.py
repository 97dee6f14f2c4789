"""Any task for a policy that sees: how old the newest frame is joins what it feels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

import numpy as np

from robot.errors import StaleError, UsageError
from robot.types import Command, FloatArray, RobotState
from safety.motion import BusTick
from training.tasks.task import Aimed, Headed, Memory, Observation, Step, Task


class SeeingTask(Generic[Memory]):
    """Implements Task as another one does, with the age of the newest frame, in policy ticks, behind its observation.

    Args:
        task: What is done.
        policy_period_s: Policy tick, s.
    """

    def __init__(self, task: Task[Memory], policy_period_s: float) -> None:
        self._task = task
        self._period_s = policy_period_s
        self.observation_names = (*task.observation_names, "frame age")
        self.observation_bound = task.observation_bound
        self.action_names = task.action_names
        self.scaling = task.scaling

    def start(self, state: RobotState, rng: np.random.Generator) -> tuple[Observation, Memory]:
        """Begin an episode at `state`. Raises StaleError without a frame."""
        observation, memory = self._task.start(state, rng)
        return self._aged(observation, state), memory

    def target(self, action: FloatArray, memory: Memory) -> Command:
        """Scale an action in [-1, 1] to joint targets, rad."""
        return self._task.target(action, memory)

    def finish(self, action: FloatArray, memory: Memory, ticks: Sequence[BusTick], state: RobotState) -> Step[Memory]:
        """Judge the tick that ended at `state` and make the next observation. Raises StaleError without a frame."""
        step = self._task.finish(action, memory, ticks, state)
        return Step(step.applied_action, step.outcome, self._aged(step.observation, state), step.memory)

    def turned(self, memory: Memory, angle_rad: float) -> Memory:
        """Return the memory with the heading turned to the left, rad; raises UsageError where there is none."""
        if not isinstance(self._task, Headed):
            raise UsageError("this task has no heading that could be turned")
        turned: Memory = self._task.turned(memory, angle_rad)
        return turned

    def goal_rad(self, memory: Memory) -> float | None:
        """Return the angle at which the tracked object should be, rad; None where the task has none."""
        return self._task.goal_rad(memory) if isinstance(self._task, Aimed) else None

    def _aged(self, observation: Observation, state: RobotState) -> Observation:
        if state.frame is None:
            raise StaleError("a policy that sees needs frames, and this robot has no camera: set camera in its configuration")
        age = (state.joints.stamp_s - state.frame.stamp_s) / self._period_s
        return np.append(observation, np.float32(min(max(age, -self.observation_bound), self.observation_bound)))
