"""The only door to the motors: a Robot around a Robot."""

from __future__ import annotations

from collections import deque

import numpy as np

from robot.errors import CommandError, UsageError
from robot.protocols import Robot
from robot.types import Command, RobotState, frozen_array
from safety.filters import filter_target
from safety.limits import GuardConfig
from safety.types import AppliedCommand, FilterMemory, Mode, Reason

# Rejected vectors that lead to HOLD: this many in a row, or that many within a second.
_REJECTIONS_IN_A_ROW = 3
_REJECTIONS_IN_A_SECOND = 5


class GuardedRobot:
    """Filters every command at the bus rate before the robot sees it, and reports what it changed.

    The memory of the chain is seeded from the measured pose at the first write and after `reseed`, so that the first emission differs from
    the pose by at most one step. After three rejected commands in a row, or five within a second, the guard enters HOLD: the robot is
    stopped and commands are ignored until `reseed`.

    Args:
        robot: The robot to guard; nobody else may hold it.
        config: Limits.
        period_s: Length of a bus tick, s.

    Raises:
        UsageError: If the limits do not fit the robot.
    """

    def __init__(self, robot: Robot, config: GuardConfig, period_s: float) -> None:
        if not period_s > 0.0:
            raise UsageError(f"the guard's period must be positive: got {period_s} s")
        self._robot = robot
        self._joints = len(robot.joint_names)
        self._limits = config.limits(self._joints, period_s)
        self._memory: FilterMemory | None = None
        self._ticks_in_a_second = max(1, round(1.0 / period_s))
        self._rejections: deque[int] = deque(maxlen=_REJECTIONS_IN_A_SECOND)
        self._rejected_in_a_row = 0
        self._tick = 0
        self._mode = Mode.ACTIVE

    @property
    def joint_names(self) -> tuple[str, ...]:
        return self._robot.joint_names

    def _holding(self) -> bool:
        return self._mode is Mode.HOLD

    @property
    def mode(self) -> Mode:
        """ACTIVE, or HOLD after too many rejections or a stop."""
        return self._mode

    def read(self) -> RobotState:
        return self._robot.read()

    def write(self, command: Command) -> AppliedCommand:
        """Filter and send one command.

        Raises:
            CommandError: If the command has another shape than (n,); nothing is sent.
        """
        if command.position_rad.shape != (self._joints,):
            raise CommandError(
                f"a command of shape {command.position_rad.shape} was given to a guard of {self._joints} joints: it takes ({self._joints},)"
            )
        memory = self._seeded_memory()
        if self._holding():
            return AppliedCommand(memory.applied_rad, Reason.HOLD)
        emission, self._memory, reasons = filter_target(command.position_rad, memory, self._limits)
        self._count(rejected=Reason.NOT_FINITE in reasons)
        if self._holding():
            return AppliedCommand(memory.applied_rad, reasons | Reason.HOLD)
        emission.flags.writeable = False
        self._robot.write(Command(emission))
        return AppliedCommand(emission, reasons)

    def stop(self) -> None:
        self._mode = Mode.HOLD
        self._robot.stop()

    def close(self) -> None:
        self._robot.close()

    def reseed(self) -> None:
        """Forget the memory after a teleport or when an operator clears a HOLD; the next write starts from the measured pose."""
        self._memory = None
        self._rejections.clear()
        self._rejected_in_a_row = 0
        self._mode = Mode.ACTIVE

    def _seeded_memory(self) -> FilterMemory:
        if self._memory is None:
            measured = self._robot.read().joints.position_rad
            inside = frozen_array(np.clip(measured, self._limits.position_min_rad, self._limits.position_max_rad))
            self._memory = FilterMemory(inside, inside)
        return self._memory

    def _count(self, *, rejected: bool) -> None:
        self._tick += 1
        self._rejected_in_a_row = self._rejected_in_a_row + 1 if rejected else 0
        if rejected:
            self._rejections.append(self._tick)
        recent = len(self._rejections) == _REJECTIONS_IN_A_SECOND and self._tick - self._rejections[0] < self._ticks_in_a_second
        if self._rejected_in_a_row >= _REJECTIONS_IN_A_ROW or (rejected and recent):
            self.stop()
