"""The claw frees its fingers from each other and goes to its reset pose. After ROBEL's D'Claw (https://github.com/google-research/robel)."""

from __future__ import annotations

import math
from collections.abc import Generator

import numpy as np

from robot.types import FloatArray, RobotState, frozen_array
from safety.resets.moves import Moves, Pace, hold, move_to
from safety.resets.routines import ResetStep

# Joints of a finger, from the palm: side, middle, tip.
_PER_FINGER = 3
# ROBEL opens its fingers to this, all joints of one kind after the other, so far apart: rad, s.
_OPEN_RAD, _APART_S = math.pi / 4.0, 0.75
# A finger is where it should be within 5 degrees (ROBEL).
_TOLERANCE_RAD = math.radians(5.0)
# ROBEL gives up after three.
_ATTEMPTS = 3
# Half of the guard's speed for the claw (configs/limits/claw.yaml).
_PACE = Pace(velocity_rad_s=2.0, acceleration_rad_s2=20.0, jerk_rad_s3=400.0)


# Yields targets, is sent states, returns the last target. Shape (n,), rad.
Opening = Generator[FloatArray, RobotState, FloatArray]


def gathering(home_rad: FloatArray, period_s: float) -> ResetStep:
    """Bring all fingers to the reset pose: directly, and where that did not do, opened joint by joint first.

    Args:
        home_rad: Side, middle and tip of each finger. Shape (3 f,), rad.
        period_s: Bus period, s.
    """

    def moves(number: int, _state: RobotState, start_rad: FloatArray) -> Moves:
        target = start_rad
        if number > 0:
            target = yield from _opened(target, period_s)
        yield from move_to(target, home_rad, _PACE, period_s)
        return (yield from hold(home_rad, _APART_S, period_s))

    def done(state: RobotState) -> bool:
        return bool(np.abs(state.joints.position_rad - home_rad).max() <= _TOLERANCE_RAD)

    return ResetStep("gather the fingers", moves, done, attempts=1 + _ATTEMPTS, ask="take the fingers apart by hand")


def _opened(start_rad: FloatArray, period_s: float) -> Opening:
    """Open the side joints, then the middle ones, then the tips; return the last target."""
    target = np.array(start_rad)
    for joint in range(_PER_FINGER):
        before = frozen_array(target)
        target[joint::_PER_FINGER] = _OPEN_RAD
        yield from move_to(before, target, _PACE, period_s)
        yield from hold(target, _APART_S, period_s)
    return frozen_array(target)
