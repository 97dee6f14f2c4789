"""The routines that bring each kind of robot back to where an episode begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fetlock.config import RunConfig
from fetlock.guarding import describe_servos
from fetlock.machines import AnyRobotConfig, HardwareConfig, body_kind, description_of, names_of_joints
from robot.errors import UsageError
from robot.types import FloatArray, frozen_array
from safety import ArenaConfig, GuardConfig
from safety.resets import (
    CLAW_PACE,
    KITTY_GAIT,
    KITTY_PACE,
    MINITAUR_GAIT,
    MINITAUR_PACE,
    SERVO_MINITAUR_GAIT,
    SERVO_MINITAUR_PACE,
    Gait,
    MakeSteps,
    Pace,
    ResetStep,
    Right,
    Turner,
    cooling,
    gathering,
    returning,
    right_kitty,
    right_minitaur,
    right_servo_minitaur,
    standing,
    turning_object,
)
from sim import MinitaurConfig


@dataclass(frozen=True, slots=True)
class Manner:
    """How one kind of robot gets up and goes back into its arena.

    Attributes:
        right: Its righting.
        pace: Of its way home.
        tolerance_rad: How far off a joint may be there, rad.
        gait: Turns and walks it.
    """

    right: Right
    pace: Pace
    tolerance_rad: float
    gait: Gait


_CLAW = "claw"
# A joint gives way by up to half of the tolerance (measured).
_MANNERS: dict[str, Manner] = {
    "kitty": Manner(right_kitty, KITTY_PACE, 0.15, KITTY_GAIT),
    "minitaur": Manner(right_minitaur, MINITAUR_PACE, 0.3, MINITAUR_GAIT),
    "minitaur_dynamixel": Manner(right_servo_minitaur, SERVO_MINITAUR_PACE, 0.3, SERVO_MINITAUR_GAIT),
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
    """Return the routine of a robot, however it is reached.

    A robot on legs cools down, stands up and returns to its arena, if there is one; a claw gathers its fingers and turns its valve.

    Args:
        config: Of the run.
        turner: What turns the robot's object with a motor of its own; None where nothing does.

    Raises:
        UsageError: If there is none for this robot.
    """
    return routine_for(config.robot, config.guard, 1.0 / config.bus_hz, config.arena, turner)


def routine_for(
    robot: AnyRobotConfig, guard: GuardConfig, period_s: float, arena: ArenaConfig | None = None, turner: Turner | None = None
) -> MakeSteps:
    """Return the routine of a robot behind a guard with these limits, bus period, s, and arena; see `routine`."""
    home = home_of(robot)
    rest_rad = guard.limits(names_of_joints(robot), routine=True).rest_rad
    # Where the motors carry little.
    cool_rad = home if rest_rad is None else rest_rad
    if body_kind(robot) == _CLAW:
        # Home is as far from everything as rest, and the way there is the one that frees fingers.
        fingers = gathering(home, period_s), cooling(cool_rad, guard.temperature_arm_c, CLAW_PACE, period_s)
        return lambda rng: (*fingers, *_turned(robot, turner, rng, period_s))
    manner = _manner(robot)
    cool = cooling(cool_rad, guard.temperature_arm_c, manner.pace, period_s)
    stand = standing(manner.right, home, manner.pace, manner.tolerance_rad, period_s)
    back = () if arena is None else (returning(arena, manner.gait, stand, home, period_s),)
    return lambda _: (cool, stand, *back)


def _turned(robot: AnyRobotConfig, turner: Turner | None, rng: np.random.Generator, period_s: float) -> tuple[ResetStep, ...]:
    """Return the step that turns the object of a robot anywhere within its motor's reach; none without such a motor."""
    description = describe_servos(robot)
    if turner is None or description is None or not description.auxiliary:
        return ()
    motor = description.auxiliary[0]
    return (turning_object(turner, float(rng.uniform(motor.lower_rad, motor.upper_rad)), period_s),)


def gait_of(robot: AnyRobotConfig) -> Gait:
    """Return what turns and walks a robot in its routine.

    Raises:
        UsageError: If there is no routine for this robot.
    """
    return _manner(robot).gait


def _manner(robot: AnyRobotConfig) -> Manner:
    kind = body_kind(robot)
    manner = _MANNERS.get(kind)
    if manner is None:
        raise UsageError(f"there is no reset routine for robot.kind {kind}: choose {', '.join((*_MANNERS, _CLAW))}")
    return manner


def home_of(robot: AnyRobotConfig) -> FloatArray:
    """Return the pose in which a robot stands between episodes. Shape (n,), rad."""
    if isinstance(robot, MinitaurConfig):
        return frozen_array(np.full(len(names_of_joints(robot)), robot.start_pose_rad))
    return frozen_array([joint.home_rad for joint in description_of(robot).joints])
