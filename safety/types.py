"""What the guard says of each command: the applied targets, and the stages that changed them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from robot.types import Command, FloatArray


class Reason(IntFlag):
    """Stages that changed a command; the mask is written to the rollout log, so a bit never changes its meaning.

    Bits are numbered in the order of the chain: 0 envelope, 1 not finite, 2 coupled joints, 3 low-pass, 4 tracking, 5 rate, 6 box, 7
    current and heat, 8 quantise, 16 hold. Those listed here are the ones that exist.
    """

    NONE = 0
    NOT_FINITE = 1 << 1
    LOW_PASS = 1 << 3
    RATE = 1 << 5
    BOX = 1 << 6
    HOLD = 1 << 16


# Stages that override the policy; the low-pass shapes every command and is not an intervention.
INTERVENTIONS = Reason.NOT_FINITE | Reason.RATE | Reason.BOX | Reason.HOLD


class Mode(IntEnum):
    """State of the guard; written to the rollout log."""

    ACTIVE = 3
    HOLD = 4


@dataclass(frozen=True, slots=True)
class AppliedCommand(Command):
    """The command that reached the robot, with the mask of the stages that changed it."""

    reasons: Reason


@dataclass(frozen=True, slots=True)
class FilterMemory:
    """What the chain remembers from tick to tick.

    Attributes:
        applied_rad: Shape (n,): the previous emission; the reference of the rate limit.
        smoothed_rad: Shape (n,): state of the low-pass.
    """

    applied_rad: FloatArray
    smoothed_rad: FloatArray
