"""The kitty gets up: legs flat beside the torso, a roll if it lies on its back, legs folded under it, home. After ROBEL's D'Kitty reset.

Poses are (outward abduction, hip, knee) of the legs of one side, rad; joints are in the order of `configs/robots/kitty.yaml`. All poses
stay 0.02 rad within the mechanical limits of that file.
"""

from __future__ import annotations

import math
from functools import partial

from robot.types import FloatArray, frozen_array
from safety.resets.moves import Pace
from safety.resets.righting import Keyframe, Right, Routine, right
from safety.resets.upright import STILL

Side = tuple[float, float, float]

# 62% of the motors' no-load speed of 8.06 rad/s at 12 V (ROBOTIS e-manual); the rolls below worked at 5 and at 6 rad/s (measured).
_PACE = Pace(velocity_rad_s=5.0, acceleration_rad_s2=30.0, jerk_rad_s3=600.0)
# Half of the speed, to set the body on its feet.
KITTY_PACE = Pace(velocity_rad_s=2.5, acceleration_rad_s2=20.0, jerk_rad_s3=400.0)

# Straight out to the sides, in the plane of the torso: the robot lies on its belly or on its back.
_FLAT: Side = (math.pi / 2.0, 0.0, 0.0)
# Folded beside the torso, the knee 0.02 rad before its limit, then below it: the rest pose, and home of the description.
_FOLDED: Side = (math.pi / 2.0, 1.57, -2.48)
_TUCKED: Side = (0.0, 1.57, -2.48)
_HOME: Side = (0.0, 0.75, -1.5)
# Rolls from the back onto the belly, as (right, left) sides. Found by search in simulation, 11 in 855 pairs of random poses; these two turn
# over 8 of 8 randomised robots each, with contacts between the legs and without, at 5 and at 6 rad/s (measured).
_ROLLS: tuple[tuple[tuple[Side, Side], ...], ...] = (
    (((1.07, 0.0, 0.0), (0.81, 0.0, 0.0)), ((3.15, 0.6, -0.99), (3.38, 0.0, -2.18))),
    (((2.21, 0.0, -0.33), (1.5, 0.0, 0.0)), ((3.19, 1.32, 0.0), (3.38, 0.0, 0.0))),
)


def _pose(right_side: Side, left_side: Side) -> FloatArray:
    """Return the joint angles of front right, front left, back left and back right. Shape (12,), rad."""
    right_leg, left_leg = (-right_side[0], *right_side[1:]), left_side
    return frozen_array([*right_leg, *left_leg, *left_leg, *right_leg])


def _gather(_: FloatArray) -> tuple[Keyframe, ...]:
    return (_GATHERED,)


def _roll(attempt: int, _: FloatArray) -> tuple[Keyframe, ...]:
    """Take turns: each roll to the one side, then each to the other."""
    poses = _ROLLS[attempt % len(_ROLLS)]
    mirrored = attempt // len(_ROLLS) % 2 == 1
    return tuple(Keyframe(_pose(*(pair[::-1] if mirrored else pair)), _PACE) for pair in poses)


_GATHERED = Keyframe(_pose(_FLAT, _FLAT), _PACE)
# From any fallen pose to standing at home; 12 joints.
right_kitty: Right = partial(
    right,
    Routine(
        gather=_gather,
        roll=_roll,
        rise=(
            Keyframe(_pose(_FOLDED, _FOLDED), _PACE),
            Keyframe(_pose(_TUCKED, _TUCKED), KITTY_PACE),
            Keyframe(_pose(_HOME, _HOME), KITTY_PACE),
        ),
        still=STILL,
    ),
)
