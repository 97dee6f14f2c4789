"""The routines that bring each kind of robot back to where an episode begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetlock.config import RunConfig
from fetlock.guarding import describe_servos
from fetlock.machines import AnyRobotConfig, HardwareConfig, body_kind, description_of, names_of_joints
from robot.errors import UsageError
from robot.types import FloatArray, frozen_array
from safety import GuardConfig
from safety.resets import (
    CLAW_PACE,
    KITTY_PACE,
    MINITAUR_PACE,
    SERVO_MINITAUR_PACE,
    MakeSteps,
    Pace,
    ResetStep,
    Right,
    Turner,
    cooling,
    gathering,
    right_kitty,
    right_minitaur,
    right_servo_minitaur,
    standing,
    turning,
)
from sim import MinitaurConfig


@dataclass(frozen=True, slots=True)
class Manner:
    """How one kind of robot gets up: its righting, the pace of its way home, and how far off a joint may be there, rad."""

    right: Right
    pace: Pace
    tolerance_rad: float


_CLAW = "claw"
# A joint gives way by up to half of the tolerance (measured).
_MANNERS: dict[str, Manner] = {
    "kitty": Manner(right_kitty, KITTY_PACE, 0.15),
    "minitaur": Manner(right_minitaur, MINITAUR_PACE, 0.3),
    "minitaur_dynamixel": Manner(right_servo_minitaur, SERVO_MINITAUR_PACE, 0.3),
}


def routine_of(config: RunConfig, turner: Turner | None = None) -> MakeSteps | None:
    """Return the routine between episodes of a robot; None where a simulation teleports. See `routine`.

    Raises:
        UsageError: If there is no routine for this robot.
    """
    if config.reset == "teleport" and not isinstance(config.robot, HardwareConfig):
        return None
    return routine(config, turner)


def served_routine(config: RunConfig, turner: Turner | None = None) -> MakeSteps | None:
    """Return the routine that a motion process offers, however episodes begin; None where there is none for its robot."""
    return routine(config, turner) if body_kind(config.robot) in (*_MANNERS, _CLAW) else None


def routine(config: RunConfig, turner: Turner | None = None) -> MakeSteps:
    """Return the routine of a robot, however it is reached: cool down and stand up; or gather the fingers and turn the valve.

    Args:
        config: Of the run.
        turner: What turns the robot's object with a motor of its own; None where nothing does.

    Raises:
        UsageError: If there is none for this robot.
    """
    return routine_for(config.robot, config.guard, 1.0 / config.bus_hz, turner)


def routine_for(robot: AnyRobotConfig, guard: GuardConfig, period_s: float, turner: Turner | None = None) -> MakeSteps:
    """Return the routine of a robot behind a guard with these limits and bus period, s; see `routine`."""
    kind = body_kind(robot)
    manner = _MANNERS.get(kind)
    if manner is None and kind != _CLAW:
        raise UsageError(f"there is no reset routine for robot.kind {kind}: choose {', '.join((*_MANNERS, _CLAW))}")
    home = home_of(robot)
    rest_rad = guard.limits(names_of_joints(robot), routine=True).rest_rad
    # Where the motors carry little.
    cool_rad = home if rest_rad is None else rest_rad
    if manner is None:
        # Home is as far from everything as rest, and the way there is the one that frees fingers.
        fingers = gathering(home, period_s), cooling(cool_rad, guard.temperature_arm_c, CLAW_PACE, period_s)
        return lambda rng: (*fingers, *_turned(robot, turner, rng, period_s))
    legs = (
        cooling(cool_rad, guard.temperature_arm_c, manner.pace, period_s),
        standing(manner.right, home, manner.pace, manner.tolerance_rad, period_s),
    )
    return lambda _: legs


def _turned(robot: AnyRobotConfig, turner: Turner | None, rng: np.random.Generator, period_s: float) -> tuple[ResetStep, ...]:
    """Return the step that turns the object of a robot anywhere within its motor's reach; none without such a motor."""
    description = describe_servos(robot)
    if turner is None or description is None or not description.auxiliary:
        return ()
    motor = description.auxiliary[0]
    return (turning(turner, float(rng.uniform(motor.lower_rad, motor.upper_rad)), period_s),)


def home_of(robot: AnyRobotConfig) -> FloatArray:
    """Return the pose in which a robot stands between episodes. Shape (n,), rad."""
    if isinstance(robot, MinitaurConfig):
        return frozen_array(np.full(len(names_of_joints(robot)), robot.start_pose_rad))
    return frozen_array([joint.home_rad for joint in description_of(robot).joints])
