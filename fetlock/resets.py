"""The routines that bring each kind of robot back to where an episode begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetlock.config import RunConfig
from fetlock.machines import AnyRobotConfig, HardwareConfig, body_kind, description_of, names_of_joints
from robot.errors import UsageError
from robot.types import FloatArray, frozen_array
from safety import GuardConfig
from safety.resets import (
    KITTY_PACE,
    MINITAUR_PACE,
    SERVO_MINITAUR_PACE,
    Pace,
    ResetStep,
    Right,
    cooling,
    right_kitty,
    right_minitaur,
    right_servo_minitaur,
    standing,
)
from sim import MinitaurConfig


@dataclass(frozen=True, slots=True)
class Manner:
    """How one kind of robot gets up: its righting, the pace of its way home, and how far off a joint may be there, rad."""

    right: Right
    pace: Pace
    tolerance_rad: float


# A joint gives way by up to half of the tolerance (measured).
_MANNERS: dict[str, Manner] = {
    "kitty": Manner(right_kitty, KITTY_PACE, 0.15),
    "minitaur": Manner(right_minitaur, MINITAUR_PACE, 0.3),
    "minitaur_dynamixel": Manner(right_servo_minitaur, SERVO_MINITAUR_PACE, 0.3),
}


def routine_of(config: RunConfig) -> tuple[ResetStep, ...] | None:
    """Return the routine between episodes of a robot; None where a simulation teleports.

    Raises:
        UsageError: If there is no routine for this robot.
    """
    if config.reset == "teleport" and not isinstance(config.robot, HardwareConfig):
        return None
    return routine(config)


def served_routine(config: RunConfig) -> tuple[ResetStep, ...]:
    """Return the routine that a motion process offers, however episodes begin; none where there is none for its robot."""
    return routine(config) if body_kind(config.robot) in _MANNERS else ()


def routine(config: RunConfig) -> tuple[ResetStep, ...]:
    """Return the routine of a robot, however it is reached: cool down, stand up.

    Raises:
        UsageError: If there is none for this robot.
    """
    return routine_for(config.robot, config.guard, 1.0 / config.bus_hz)


def routine_for(robot: AnyRobotConfig, guard: GuardConfig, period_s: float) -> tuple[ResetStep, ...]:
    """Return the routine of a robot behind a guard with these limits and bus period, s; see `routine`."""
    kind = body_kind(robot)
    manner = _MANNERS.get(kind)
    if manner is None:
        raise UsageError(f"there is no reset routine for robot.kind {kind}: choose {', '.join(_MANNERS)}")
    home = home_of(robot)
    rest_rad = guard.limits(names_of_joints(robot), routine=True).rest_rad
    return (
        # Where the motors carry little.
        cooling(home if rest_rad is None else rest_rad, guard.temperature_arm_c, manner.pace, period_s),
        standing(manner.right, home, manner.pace, manner.tolerance_rad, period_s),
    )


def home_of(robot: AnyRobotConfig) -> FloatArray:
    """Return the pose in which a robot stands between episodes. Shape (n,), rad."""
    if isinstance(robot, MinitaurConfig):
        return frozen_array(np.full(len(names_of_joints(robot)), robot.start_pose_rad))
    return frozen_array([joint.home_rad for joint in description_of(robot).joints])
