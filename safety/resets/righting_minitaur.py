"""The Minitaur gets up, with its stock motors or with Dynamixel servos.

Its legs move in planes along its sides, so they cannot sweep the floor beside it; but they turn over its back. Lying on its back it
pushes itself over one side with the legs of the other.

Poses are (extension, swing) of the front legs of one side, rad (docs/robots.md); the back legs take the swing or its opposite.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from robot.types import FloatArray, frozen_array
from safety.resets.moves import Pace
from safety.resets.righting import Keyframe, Right, Routine, Stall, right
from safety.resets.upright import STILL

Leg = tuple[float, float]
# (left, right) sides of one keyframe.
Sides = tuple[Leg, Leg]

# m = extension -+ sign * swing: left and right legs (docs/robots.md).
_SIGNS = np.array((1.0, 1.0, -1.0, -1.0))
# With more of the vertical along the base's z axis than this the robot lies on its back, not on a side. Halfway, in angle, is 0.71; it lies
# within 0.3 rad of the one or the other (measured).
_BACK_COSINE = 0.7
# Near an extension of 0 or pi a leg under load may turn inside out: it opens to these bounds, rad, before it swings.
_EXTENSION_MIN_RAD, _EXTENSION_MAX_RAD = 0.6, 2.5
# Half folded, straight below: where upright robots rest on their feet.
_GATHERED: Leg = (1.0, 0.0)

# Stock motors turn 168 rad/s without load, the guard allows 100: gentle, and below 2.45 N m, at which they overheat (measured).
MINITAUR_PACE = Pace(velocity_rad_s=6.0, acceleration_rad_s2=60.0, jerk_rad_s3=2000.0)
# A blocked stock motor is above 2.45 N m from 0.35 rad on and overheats after 1 s (its model, docs/robots.md): it gives way before.
_STOCK_STALL = Stall(error_rad=0.3, seconds=0.6)
# A push that has to lift the body, and the swing of all legs at once that throws it off its side.
_STOCK_PUSH = Pace(velocity_rad_s=15.0, acceleration_rad_s2=300.0, jerk_rad_s3=20000.0)
_STOCK_SWING = Pace(velocity_rad_s=30.0, acceleration_rad_s2=800.0, jerk_rad_s3=60000.0)
# From an idea: the left legs reach over the back, then push. 14 of 14 randomised robots turned over, at 15 and at 30 rad/s (measured).
_STOCK_ROLL: tuple[Sides, ...] = (((0.8, 2.9), (0.8, 0.0)), ((2.8, 2.9), (0.8, 0.0)))
# Found by search in simulation among 154 pairs of random poses: of 12 randomised robots on their sides none stayed there, and 9 came onto
# their feet (measured).
_STOCK_SWINGS: tuple[Sides, ...] = (((2.36, 0.64), (2.36, 0.64)), ((0.56, -2.28), (0.56, -2.28)))
# bullet3's start pose: straight down at pi/2.
_STOCK_HOME: Leg = (math.pi / 2.0, 0.0)

# The XM430-W350 turns 4.82 rad/s without load at 12 V (ROBOTIS e-manual).
SERVO_MINITAUR_PACE = Pace(velocity_rad_s=4.0, acceleration_rad_s2=40.0, jerk_rad_s3=1000.0)
_SERVO_PUSH = Pace(velocity_rad_s=4.6, acceleration_rad_s2=100.0, jerk_rad_s3=8000.0)
# From an idea: upside down on all feet, the right side sinks, and what falls is pushed on by the left legs as they come round. 8 of 8
# randomised robots turned over (measured). All angles are within the one turn of the description.
_SERVO_ROLL: tuple[Sides, ...] = (((2.1, 2.9), (2.1, 2.9)), ((2.1, 2.9), (0.7, 0.0)), ((1.0, 0.8), (0.7, 0.0)))
# On its side it stands on an edge 0.04 m wide; the slow servos rock it off by pushing all legs out and in, straight below.
_SERVO_ROCK = Pace(velocity_rad_s=4.8, acceleration_rad_s2=300.0, jerk_rad_s3=60000.0)
# (short extension, rad, dwell, s, long extension, dwell) by the number of the attempt: found by search in simulation, 8 in 60 random
# sequences from one pose. They differ in rhythm, for what does not rock one machine may rock another: 4 of 12 falls onto a side (measured).
_SERVO_STROKES: tuple[tuple[float, float, float, float], ...] = (
    (0.87, 0.0, 2.85, 0.09),
    (0.72, 0.05, 2.72, 0.24),
    (1.54, 0.19, 2.56, 0.0),
    (0.9, 0.01, 2.93, 0.18),
    (0.88, 0.05, 2.23, 0.0),
)
_SERVO_STROKE_PAIRS = 4
# Home of `configs/robots/minitaur.yaml`.
_SERVO_HOME: Leg = (2.0, 0.0)


def _pose(sides: Sides, back: float = 1.0) -> FloatArray:
    """Return motor angles. Shape (8,), rad.

    Args:
        sides: Of the front legs.
        back: Factor on the swing of the back legs: 1 or -1.
    """
    (left, left_swing), (right_, right_swing) = sides
    extension = np.array((left, left, right_, right_))
    swing = _SIGNS * np.array((left_swing, back * left_swing, right_swing, back * right_swing))
    return frozen_array(np.column_stack((extension - swing, extension + swing)).ravel())


def _both(leg: Leg) -> FloatArray:
    return _pose((leg, leg))


def _gather(start_rad: FloatArray, pace: Pace) -> tuple[Keyframe, ...]:
    extension, swing = (start_rad[1::2] + start_rad[::2]) / 2.0, (start_rad[1::2] - start_rad[::2]) / 2.0
    opened = np.clip(extension, _EXTENSION_MIN_RAD, _EXTENSION_MAX_RAD)
    first = frozen_array(np.column_stack((opened - swing, opened + swing)).ravel())
    return Keyframe(first, pace), Keyframe(_both(_GATHERED), pace)


def _spread(sides: tuple[Sides, ...], pace: Pace, *, mirrored: bool) -> tuple[Keyframe, ...]:
    """Return keyframes in which the back legs swing against the front ones: the robot goes to one side, neither forwards nor backwards."""
    return tuple(Keyframe(_pose(pair[::-1] if mirrored else pair, back=-1.0), pace) for pair in sides)


def _roll_stock(attempt: int, up_in_base: FloatArray) -> tuple[Keyframe, ...]:
    if abs(up_in_base[2]) < _BACK_COSINE:
        return _spread(_STOCK_SWINGS, _STOCK_SWING, mirrored=False)
    return _spread(_STOCK_ROLL, _STOCK_PUSH, mirrored=attempt % 2 == 1)


def _roll_servo(attempt: int, up_in_base: FloatArray) -> tuple[Keyframe, ...]:
    if abs(up_in_base[2]) < _BACK_COSINE:
        short, short_s, long, long_s = _SERVO_STROKES[attempt % len(_SERVO_STROKES)]
        return (
            Keyframe(_both((short, 0.0)), _SERVO_ROCK, short_s),
            Keyframe(_both((long, 0.0)), _SERVO_ROCK, long_s),
        ) * _SERVO_STROKE_PAIRS
    return _spread(_SERVO_ROLL, _SERVO_PUSH, mirrored=attempt % 2 == 1)


# With the stock motors, from any fallen pose to standing at the start pose; 8 joints.
right_minitaur: Right = partial(
    right,
    Routine(
        gather=lambda start_rad: _gather(start_rad, MINITAUR_PACE),
        roll=_roll_stock,
        rise=(Keyframe(_both(_STOCK_HOME), MINITAUR_PACE),),
        still=STILL,
        stall=_STOCK_STALL,
    ),
)
# On Dynamixel servos, from any fallen pose to standing at home; 8 joints.
right_servo_minitaur: Right = partial(
    right,
    Routine(
        gather=lambda start_rad: _gather(start_rad, SERVO_MINITAUR_PACE),
        roll=_roll_servo,
        rise=(Keyframe(_both(_SERVO_HOME), SERVO_MINITAUR_PACE),),
        still=STILL,
    ),
)
