"""The interface of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from robot.types import Command, FloatArray, RobotState
from safety.motion import BusTick

Observation = NDArray[np.float32]
Memory = TypeVar("Memory")
# The same, for who only reads it.
Remembered = TypeVar("Remembered", contravariant=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one policy tick was worth.

    Attributes:
        reward: Of the tick.
        terminated: The task failed (a fall): no value beyond. A time limit is not the task's business.
        measure: The task's headline figure at this tick; its mean over an episode is what `Mark` is about (walking: forward speed, m/s).
    """

    reward: float
    terminated: bool
    measure: float


@dataclass(frozen=True, slots=True)
class Step(Generic[Memory]):
    """The end of one policy tick: the action as it was applied, shape (a,), the outcome, the next observation and memory."""

    applied_action: FloatArray
    outcome: Outcome
    observation: Observation
    memory: Memory


@runtime_checkable
class Headed(Protocol[Memory]):
    """A task along a heading that can be turned while it goes on: what a policy sees is relative to it."""

    def turned(self, memory: Memory, angle_rad: float) -> Memory:
        """Return the memory with the heading turned to the left, rad."""


@runtime_checkable
class Aimed(Protocol[Remembered]):
    """A task that turns an object to an angle."""

    def goal_rad(self, memory: Remembered) -> float | None:
        """Return the angle at which the tracked object should be, rad; None where the task has none."""


class Measure(NamedTuple):
    """What a task's headline figure is called: a word, its unit, and what its mean over an episode is."""

    name: str
    unit: str
    title: str

    def told(self, value: float, digits: int = 2) -> str:
        """Return a value in words, such as "speed 0.61 m/s"."""
        return f"{self.name} {value:.{digits}f} {self.unit}"


class Task(Protocol[Memory]):
    """Pure functions from states and actions to commands, observations and outcomes; `Memory` is immutable and belongs to one episode."""

    @property
    def observation_names(self) -> tuple[str, ...]:
        """One name for each element of the observation: the layout that a policy is tied to."""

    @property
    def observation_bound(self) -> float:
        """Largest magnitude of an element of the observation."""

    @property
    def action_names(self) -> tuple[str, ...]:
        """One name for each element of the action."""

    @property
    def scaling(self) -> tuple[str, ...]:
        """What stands between an action and radians, as "name=value": a policy is tied to it."""

    def start(self, state: RobotState, rng: np.random.Generator) -> tuple[Observation, Memory]:
        """Begin an episode at `state`; what is random of it is drawn from `rng`."""

    def target(self, action: FloatArray, memory: Memory) -> Command:
        """Scale an action in [-1, 1] to joint targets, rad."""

    def finish(self, action: FloatArray, memory: Memory, ticks: Sequence[BusTick], state: RobotState) -> Step[Memory]:
        """Judge the tick that ended at `state` and make the next observation."""


def intervention(action: FloatArray, applied: FloatArray) -> float:
    """Return the mean square of what the guard's hard stages changed, shapes (a,); 0 where it changed nothing.

    The critic learns on the proposed action: without a price, actions that the guard ignores would all look equally good
    (arXiv 2510.18082).
    """
    if applied is action or not np.isfinite(action).all():
        return 0.0
    return float(np.square(applied - np.minimum(np.maximum(action, -1.0), 1.0)).mean())


def named(config: BaseModel, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return some fields of a configuration as "name=value"."""
    return tuple(f"{name}={getattr(config, name)!r}" for name in names)
