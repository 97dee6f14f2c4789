"""What stopped a robot, with the ticks that led to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from robot.errors import CameraError, MotorError, PortError, RobotError
from robot.types import Command, FloatArray, RobotState
from safety.modes import ModeState, sentences
from safety.types import AppliedCommand, Cause, Mode, Reason

# Ticks kept: half a second at 100 Hz. libfranka keeps 50 of 1 ms.
TICKS_KEPT = 50


@dataclass(frozen=True, slots=True)
class TickRecord:
    """One bus tick. Arrays have shape (n,), rad.

    Attributes:
        stamp_s: Of the measurement.
        position_rad: Measured.
        command_rad: Asked for; None: nothing new was.
        emission_rad: Sent.
        reasons: Stages that changed the command.
        mode: Of the guard.
    """

    stamp_s: float
    position_rad: FloatArray
    command_rad: FloatArray | None
    emission_rad: FloatArray
    reasons: Reason
    mode: Mode


@dataclass(frozen=True, slots=True)
class Fault:
    """A stop.

    Attributes:
        stamp_s: When, on the robot's clock, s.
        mode: That it led to.
        causes: All that were in force.
        records: The newest ticks before, oldest first.
        joint_names: Of the robot.
    """

    stamp_s: float
    mode: Mode
    causes: Cause
    records: tuple[TickRecord, ...]
    joint_names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.mode.name} at {self.stamp_s:.3f} s, because {sentences(self.causes)}; {len(self.records)} ticks before are kept"


class HeldError(RobotError):
    """A robot that something stops was asked to move; `fault` is the stop."""

    def __init__(self, message: str, fault: Fault | None = None) -> None:
        super().__init__(message)
        self.fault = fault


class FaultBook:
    """Keeps the newest ticks, and the newest fault made of them."""

    def __init__(self, joint_names: Sequence[str]) -> None:
        self._names = tuple(joint_names)
        self._records: deque[TickRecord] = deque(maxlen=TICKS_KEPT)
        self.newest: Fault | None = None

    def add(self, state: RobotState, applied: AppliedCommand, command: Command | None) -> None:
        """Remember a tick."""
        self._records.append(
            TickRecord(
                state.joints.stamp_s,
                state.joints.position_rad,
                None if command is None else command.position_rad,
                applied.position_rad,
                applied.reasons,
                applied.mode,
            )
        )

    def note(self, modes: ModeState, now_s: float) -> None:
        """A robot was stopped: make a fault of what is remembered."""
        self.newest = Fault(now_s, modes.mode, modes.causes, tuple(self._records), self._names)


def cause_of(error: RobotError) -> Cause:
    """Return what a robot's own error means; that a guard holds the robot is no new cause."""
    if isinstance(error, HeldError):
        return Cause.NONE
    if isinstance(error, PortError):
        return Cause.PORT
    if isinstance(error, CameraError):
        return Cause.CAMERA
    return Cause.REBOOTED if isinstance(error, MotorError) else Cause.BUS
