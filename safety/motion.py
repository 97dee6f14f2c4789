"""The bus-tick loop between two policy ticks: write through the guard, wait for the clock, read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from robot.protocols import Clock, Robot
from robot.types import Command, RobotState
from safety.types import AppliedCommand, Mode, Reason


@dataclass(frozen=True, slots=True)
class BusTick:
    """One tick: the state at its start, the target asked for, and what was emitted.

    A command given at t is invisible in the state of t: `state` was read before `applied` was sent.
    """

    period_s: float
    state: RobotState
    target: Command
    applied: Command

    @property
    def reasons(self) -> Reason:
        """Stages that changed the target; NONE where no guard stands before the robot."""
        return self.applied.reasons if isinstance(self.applied, AppliedCommand) else Reason.NONE

    @property
    def mode(self) -> Mode:
        """Of the guard; ACTIVE where none stands before the robot."""
        return self.applied.mode if isinstance(self.applied, AppliedCommand) else Mode.ACTIVE


class Motion(Protocol):
    """Moves a robot by one policy tick: in this process (`MotionLoop`) or from it in another (`RemoteMotion`)."""

    @property
    def robot(self) -> Robot:
        """The guarded robot."""

    @property
    def clock(self) -> Clock:
        """Its bus clock."""

    @property
    def policy_period_s(self) -> float:
        """Length of a policy tick, s."""

    def advance(self, target: Command, state: RobotState) -> tuple[RobotState, list[BusTick]]:
        """Hold `target` for one policy tick, starting from the `state` just read; return the state after it and the ticks."""


class MotionLoop:
    """Runs a robot at the bus rate. Implements Motion.

    Args:
        robot: The guarded robot.
        clock: Its bus clock.
        ticks: Bus ticks in a policy tick.
    """

    def __init__(self, robot: Robot, clock: Clock, ticks: int) -> None:
        self.robot = robot
        self.clock = clock
        self.ticks = ticks

    @property
    def policy_period_s(self) -> float:
        """Length of a policy tick, s."""
        return self.ticks * self.clock.period_s

    def advance(self, target: Command, state: RobotState) -> tuple[RobotState, list[BusTick]]:
        ticks: list[BusTick] = []
        for _ in range(self.ticks):
            applied = self.robot.write(target)
            ticks.append(BusTick(self.clock.period_s, state, target, applied))
            self.clock.wait()
            state = self.robot.read()
        return state, ticks
