"""The claw frees its fingers, goes to its reset pose and turns its valve. After ROBEL's D'Claw (https://github.com/google-research/robel)."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import Protocol

import numpy as np

from robot.types import FloatArray, RobotState, frozen_array
from safety.fingers import LINKS
from safety.resets.moves import Moves, Pace, hold, move_to, until
from safety.resets.routines import ResetStep

# Where fingers that are in each other's way go before they go home: first the middle joints, outwards, then tips and sides straight, rad.
# ROBEL turns the sides to 45 degrees first. Of 300 poses with fingers inside of the margin, that kept them apart on the whole way in 23%,
# this in 99%, and the straight way home in 96% (computed).
_OPEN_RAD, _STRAIGHT_RAD = -1.7, 0.0
_ORDER = ((1, _OPEN_RAD), (2, _STRAIGHT_RAD), (0, _STRAIGHT_RAD))
# So long a pose is held before it is judged, s: ROBEL's pause between two groups of joints.
_APART_S = 0.75
# Finger and valve are where they should be within 5 degrees (ROBEL).
_TOLERANCE_RAD = math.radians(5.0)
# ROBEL gives up after three.
_ATTEMPTS = 3
# The valve's motor has so long for at most a turn, s: at 1.6 rad/s that takes 3.9.
_TURN_S = 6.0
# Half of the guard's speed for the claw (configs/limits/claw.yaml).
CLAW_PACE = Pace(velocity_rad_s=2.0, acceleration_rad_s2=20.0, jerk_rad_s3=400.0)


# Yields targets, is sent states, returns the last target. Shape (n,), rad.
Opening = Generator[FloatArray, RobotState, FloatArray]


class Turner(Protocol):
    """What turns an object with a motor of its own, such as a robot with an auxiliary motor."""

    def turn_object(self, angle_rad: float) -> Iterator[None]:
        """Let the motor turn it to an angle, rad, slowly and by itself; a request of it in each tick, until none is left."""

    def release_object(self) -> None:
        """Switch that motor's torque off."""


def turning_object(turner: Turner, angle_rad: float, period_s: float) -> ResetStep:
    """Turn the valve to an angle by its own motor, while the fingers stand still, and let go of it again.

    The motor is let go however the step ends; where the guard stops the robot, at that tick. One that hears nobody stops by its watchdog.

    Args:
        turner: Turns it, and measures it as `tracked_object`.
        angle_rad: Where to.
        period_s: Bus period, s.
    """

    def moves(_number: int, _state: RobotState, start_rad: FloatArray) -> Moves:
        try:
            for _ in turner.turn_object(angle_rad):
                yield start_rad
            state = yield from until(start_rad, done, _TURN_S, period_s)
        finally:
            turner.release_object()
        return state

    def done(state: RobotState) -> bool:
        valve = state.tracked_object
        return valve is not None and abs(valve.angle_rad - angle_rad) <= _TOLERANCE_RAD

    return ResetStep(
        "turn the valve", moves, done, attempts=_ATTEMPTS, ask=f"turn the valve to {math.degrees(angle_rad):.0f} degrees by hand"
    )


def gathering(home_rad: FloatArray, period_s: float) -> ResetStep:
    """Bring all fingers to the reset pose: directly, and where that did not do, opened first.

    Args:
        home_rad: Side, middle and tip of each finger. Shape (3 f,), rad.
        period_s: Bus period, s.
    """

    def moves(number: int, _state: RobotState, start_rad: FloatArray) -> Moves:
        target = start_rad
        if number > 0:
            target = yield from _opened(target, period_s)
        yield from move_to(target, home_rad, CLAW_PACE, period_s)
        return (yield from hold(home_rad, _APART_S, period_s))

    def done(state: RobotState) -> bool:
        return bool(np.abs(state.joints.position_rad - home_rad).max() <= _TOLERANCE_RAD)

    return ResetStep("gather the fingers", moves, done, attempts=1 + _ATTEMPTS, ask="take the fingers apart by hand")


def _opened(start_rad: FloatArray, period_s: float) -> Opening:
    """Open the fingers, joints of one kind after the other; return the last target."""
    target = np.array(start_rad)
    for joint, angle in _ORDER:
        before = frozen_array(target)
        target[joint::LINKS] = angle
        yield from move_to(before, target, CLAW_PACE, period_s)
    return frozen_array(target)
