"""What the motion process runs: a guarded robot, its clock, what ends a HOLD, and how long a command counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robot.errors import UsageError
from robot.protocols import Clock
from safety.drive import Drive
from safety.guard import GuardedRobot
from safety.resets.routines import MakeSteps


class TickCounts(Protocol):
    """What a real-time clock counts; `robot.clock.TickStatistics` is one."""

    ticks: int
    missed: int
    lateness_s: float
    worst_lateness_s: float


class Schedule(Protocol):
    """The absolute deadlines of a loop; `robot.clock.RealTimeClock` is one."""

    @property
    def statistics(self) -> TickCounts:
        """Ticks, missed ticks and lateness so far."""

    def start(self) -> None:
        """Begin a new schedule now: a pause is not a miss."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A robot that can be served, and all that its loop needs.

    Attributes:
        robot: The guard; nobody else holds it or the robot inside.
        clock: Its bus clock, in real time.
        schedule: The real-time clock inside `clock`.
        release: Makes the robot ready to be driven again, torque as it is. Hardware is taken as it stands; a simulated robot begins an
            episode drawn from the generator.
        drive: The robot's torque; None where it cannot be switched off.
        steps: Its reset routine; None where there is none.
    """

    robot: GuardedRobot
    clock: Clock
    schedule: Schedule
    release: Callable[[np.random.Generator], None]
    drive: Drive | None = None
    steps: MakeSteps | None = None

    def begin(self, rng: np.random.Generator) -> None:
        """Make the robot ready, torque on, and let a policy drive it.

        Raises:
            HeldError: If only a person can end what stops it; it stays where it is.
            RobotError: If a check of arming fails, or something still stops it.
        """
        self.robot.require_releasable()
        self.release(rng)
        self.robot.arm()
        self.robot.engage()


@dataclass(frozen=True, slots=True)
class Silence:
    """How long the newest command stays good.

    Attributes:
        freeze_s: Age from which the robot is kept at what was last sent; usually two policy periods.
        hold_s: Age from which it is stopped, until a RELEASE.
    """

    freeze_s: float
    hold_s: float

    def __post_init__(self) -> None:
        if not 0.0 < self.freeze_s <= self.hold_s:
            raise UsageError(f"a command must freeze before it holds: got freeze_s {self.freeze_s}, hold_s {self.hold_s}")
