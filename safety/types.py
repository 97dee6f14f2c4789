"""What the guard says of each command: the applied targets, the stages that changed them, and the mode it was in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from robot.types import Command, FloatArray


class Reason(IntFlag):
    """Stages that changed a command; the mask is written to the rollout log, so a bit never changes its meaning.

    Bit 4, the tracking gate, changes no command: it holds, and the mode's causes say so (`safety.modes.Cause`).
    """

    NONE = 0
    # The command was too old: what was sent before is kept.
    ENVELOPE = 1 << 0
    NOT_FINITE = 1 << 1
    COUPLED = 1 << 2
    LOW_PASS = 1 << 3
    RATE = 1 << 5
    BOX = 1 << 6
    DERATED = 1 << 7
    # Rounded to what the motor's register can hold, by more than half a pulse: inwards, at a limit.
    QUANTISED = 1 << 8
    INTERPOLATED = 1 << 9
    # The tick came too late, or twice: what was sent before is kept.
    LATE = 1 << 10
    # Parts of the robot would have come too near to each other: it braked instead.
    APART = 1 << 11
    # The guard stopped the robot, whatever was asked.
    HOLD = 1 << 16


# Stages that override the policy. Low-pass and interpolation shape every command and are no intervention.
INTERVENTIONS = (
    Reason.ENVELOPE
    | Reason.NOT_FINITE
    | Reason.COUPLED
    | Reason.RATE
    | Reason.BOX
    | Reason.DERATED
    | Reason.LATE
    | Reason.APART
    | Reason.HOLD
)


class Mode(IntEnum):
    """State of the guard; written to the rollout log, so a number never changes its meaning. docs/safety.md has the diagram."""

    BOOT = 0
    # Torque is off.
    DISARMED = 1
    # Torque is on and the robot stands; ready to be driven.
    ARMED_HOLD = 2
    # A policy drives.
    ACTIVE = 3
    # Something stopped the robot: it brakes, then holds.
    HOLD = 4
    # It moves to its rest pose; torque goes off then.
    SETTLE = 5
    # Torque is being switched off.
    CUT = 6
    # For good: only a new process leaves it.
    TERMINATED = 7
    # A reset routine drives.
    RESETTING = 8
    # A person drives.
    TELEOP = 9

    @property
    def moves(self) -> bool:
        """Whether commands are followed."""
        return self in MOVING


MOVING = frozenset((Mode.ACTIVE, Mode.RESETTING, Mode.TELEOP))
# Commands are ignored because of a cause.
STOPPED = frozenset((Mode.HOLD, Mode.SETTLE, Mode.CUT, Mode.TERMINATED))


class Cause(IntFlag):
    """Why a robot is stopped. A bit never changes its meaning: faults are logged."""

    NONE = 0
    ASKED = 1 << 0
    REJECTED = 1 << 1
    SILENT = 1 << 2
    LATE = 1 << 3
    BLOCKED = 1 << 4
    STUCK = 1 << 5
    JUMPED = 1 << 6
    TILTED = 1 << 7
    STALE = 1 << 8
    CAMERA = 1 << 9
    COLLISION = 1 << 10
    BUS = 1 << 11
    MOTOR = 1 << 12
    REBOOTED = 1 << 13
    PORT = 1 << 14
    HOT = 1 << 15
    BATTERY = 1 << 16
    OPERATOR_GONE = 1 << 17
    STOP_HOLD = 1 << 18
    STOP_SETTLE = 1 << 19
    STOP_CUT = 1 << 20
    STOP_TERMINATE = 1 << 21
    DISK = 1 << 22
    MISMATCH = 1 << 23
    RESET_FAILED = 1 << 24


class Note(IntFlag):
    """What a tick's emission rests on beside state, command and mode, so that it can be found again. A bit never changes its meaning."""

    NONE = 0
    # The chain began at the measured pose, for what drives in a policy's limits.
    BEGUN = 1 << 0
    # The same, in the wider limits of routines, and of a robot that only stands.
    BEGUN_WIDE = 1 << 1
    # What the monitors had seen before was forgotten, heat apart.
    WATCHED_ANEW = 1 << 2
    # There was no command that counts.
    IDLE = 1 << 3
    # Nothing was decided: the tick came twice, torque is off, or the robot failed; the emission is the one before, or the measured pose.
    SKIPPED = 1 << 4
    # States were watched since the emission before and nothing was emitted, to a robot that could not be written to: its motors warmed up.
    UNSENT = 1 << 5


@dataclass(frozen=True, slots=True)
class AppliedCommand(Command):
    """The command that reached the robot.

    Attributes:
        reasons: Stages that changed it.
        mode: Of the guard when it was sent.
        causes: Why it stops the robot.
        notes: What the decision rests on.
        heating_a2: Mean square of each motor's current, shape (n,), A^2, as the chain took it; None where it is not known.
    """

    reasons: Reason
    mode: Mode = Mode.ACTIVE
    causes: Cause = Cause.NONE
    notes: Note = Note.NONE
    heating_a2: FloatArray | None = None
