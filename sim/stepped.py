"""What all simulated robots are: a Robot whose time `SimulatedClock` moves on, that can be pushed, held and closed.

Time law: `write` at t puts a target on the wire; it drives the motors from t + control latency on, and physics moves only inside the
clock's wait. `read` at t returns the sample taken at t - sensing latency.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from robot.errors import ClosedError, RobotError, UsageError
from robot.types import Command, RobotState, require_executable
from sim.camera import Look, Scene, follow
from sim.contacts import bears
from sim.engine import Vector

# A start pose counts as upright within 0.3 rad of the ground's normal: the fall angle of bullet3's reactive environment.
_UPRIGHT_COSINE = 0.955
_START_ATTEMPTS = 10

DrawnT = TypeVar("DrawnT")


class Timeline(Protocol):
    """Counts the physics steps of a robot and goes on through its resets."""

    step: int
    bus_steps: int

    @property
    def step_s(self) -> float:
        """Time that one step takes, s."""

    def advance(self) -> None:
        """Move physics on by one bus period."""


class PushedBody(Protocol):
    """A body in a world."""

    def push(self, force_world_n: Vector, steps: int) -> None:
        """Pull at the base's centre for a number of physics steps from now."""

    def close(self) -> None:
        """Release the world; once."""


class SteppedRobot(ABC):
    """Implements Robot, but for what is measured and how targets reach the motors.

    Args:
        timeline: Of its physics.
        body: Of the robot.
    """

    joint_names: tuple[str, ...]

    def __init__(self, timeline: Timeline, body: PushedBody) -> None:
        self._timeline = timeline
        self._body = body
        self._closed = False
        self._held: Command | None = None
        self._state: RobotState | None = None

    @abstractmethod
    def _measure(self) -> RobotState:
        """Return what the sensors show now; called once a bus period."""

    @abstractmethod
    def _send(self, command: Command) -> Command:
        """Put an executable command on the wire and return what the motors will be told."""

    @property
    @abstractmethod
    def world(self) -> Scene:
        """Handles of the PyBullet world; raises ClosedError after `close`."""

    def look(self) -> Look:
        """Return where its camera stands: it goes along with the base.

        Raises:
            ClosedError: After `close`.
        """
        return follow(self.world)

    @property
    @abstractmethod
    def feet(self) -> Mapping[str, Sequence[int]]:
        """Links of each foot, by the name of its leg."""

    def feet_down(self) -> dict[str, bool]:
        """Tell of each foot whether the ground carries it now, exact and without the sensors' delay.

        A contact anywhere on the shank counts: a robot that kneels stands on its feet here.

        Raises:
            ClosedError: After `close`.
        """
        world = self.world
        return {name: bears(world.client, world.body, links) for name, links in self.feet.items()}

    @property
    def bus_period_s(self) -> float:
        """Time that one `advance` takes, s."""
        return self._timeline.bus_steps * self._timeline.step_s

    @property
    def now_s(self) -> float:
        """Simulated time, s; it goes on through resets."""
        return self._timeline.step * self._timeline.step_s

    def read(self) -> RobotState:
        self._require_open()
        if self._state is None:
            self._state = self._measure()
        return self._state

    def write(self, command: Command) -> Command:
        self._require_open()
        require_executable(command, len(self.joint_names))
        return self._send(command) if self._held is None else self._held

    def stop(self) -> None:
        if not self._closed and self._held is None:
            self._held = self.write(Command(self.read().joints.position_rad))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._body.close()

    def push(self, force_world_n: Vector, duration_s: float) -> None:
        """Pull at the base's centre from now on for `duration_s` seconds; a later call replaces this one, a reset ends it.

        Args:
            force_world_n: Shape (3,), N, world frame.
            duration_s: Rounded to whole physics steps.

        Raises:
            ClosedError: After `close`.
            UsageError: If the force or the duration is not finite, or the duration not positive.
        """
        self._require_open()
        if not (np.isfinite(force_world_n).all() and 0.0 < duration_s < float("inf")):
            raise UsageError(f"a push needs a finite force and a positive, finite duration: got {force_world_n} N for {duration_s} s")
        self._body.push(force_world_n, round(duration_s / self._timeline.step_s))

    def skip_to(self, now_s: float) -> None:
        """Let the time be `now_s` or later without moving physics, so that a log goes on behind an earlier process. For use before a reset.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        self._timeline.step = max(self._timeline.step, round(now_s / self._timeline.step_s))

    def advance(self) -> None:
        """Move physics on by one bus period. Only a clock calls it.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        self._state = None
        self._timeline.advance()

    def _begin_reset(self) -> None:
        """Forget what was measured and held.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        self._held = None
        self._state = None

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("this simulated robot is closed: make a new one")


def stand_up(attempt: Callable[[], tuple[DrawnT, float]]) -> DrawnT:
    """Draw starts until the robot stands: one that ends leaning is drawn anew, up to ten times; wide spreads tip about one in a thousand.

    Args:
        attempt: Draws a machine and a pose, goes there; returns what it drew and the cosine between the vertical axes of base and ground.

    Returns:
        What the attempt that stands drew.

    Raises:
        RobotError: If it stands after none of them: the ground or the randomised machine does not let it.
    """
    cosine = -1.0
    for _ in range(_START_ATTEMPTS):
        drawn, cosine = attempt()
        if cosine >= _UPRIGHT_COSINE:
            return drawn
    raise RobotError(
        f"the simulated robot does not stand after {_START_ATTEMPTS} resets (cosine of its tilt {cosine:.3f}, "
        f"needed {_UPRIGHT_COSINE}): use a gentler ground, narrower randomisation or a smaller start_pose_noise_rad"
    )


def fall_intact(attempt: Callable[[], tuple[DrawnT, bool]]) -> DrawnT:
    """Draw falls until one leaves the robot's linkages within their ranges.

    Args:
        attempt: Draws a machine and a pose, lets it fall; returns what it drew and whether the linkages are within their ranges.

    Returns:
        What that attempt drew.

    Raises:
        RobotError: If none of ten attempts does.
    """
    for _ in range(_START_ATTEMPTS):
        drawn, whole = attempt()
        if whole:
            return drawn
    raise RobotError(f"each of {_START_ATTEMPTS} falls pushed a leg of the simulated robot beyond its range: use a gentler ground")
