"""Righting in general: keyframes chosen by which side is down."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from robot.types import FloatArray, RobotState, frozen_array
from safety.resets.moves import Moves, Pace, hold, move_to, until
from safety.resets.upright import UPRIGHT_COSINE, Stillness, is_still, require_imu, tilt_cosine, up_in_base

# A motion ends when the robot is still, or after this long, s: after three falls in four of either robot it is within 0.5 s (measured).
_STILL_S = 1.0


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A pose on the way.

    Attributes:
        pose_rad: Shape (n,), rad, read-only.
        pace: On the way to it.
        dwell_s: How long it is held, s.
    """

    pose_rad: FloatArray
    pace: Pace
    dwell_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Stall:
    """When a joint counts as blocked: the motion then gives way to where the joints are, and goes on with the next keyframe.

    Attributes:
        error_rad: A joint is farther from its target than this, rad,
        seconds: for so long, s.
    """

    error_rad: float
    seconds: float


# Yields targets of shape (n,), rad; is sent the state after each tick; returns the last target and state.
Righting = Generator[FloatArray, RobotState, tuple[FloatArray, RobotState]]
# `right` for one kind of robot: from the number of the attempt, state, the target to start from (shape (n,), rad) and bus period, s.
Right = Callable[[int, RobotState, ArrayLike, float], Righting]


@dataclass(frozen=True, slots=True)
class Routine:
    """How one kind of robot gets up. Every motion starts from the target before it.

    Attributes:
        gather: From a target of shape (n,), rad, to a pose, always the same, with which the robot lies on one of few sides.
        roll: What turns a robot over that is not upright, by the number of the attempt, from 0, and the world's vertical in the base's
            frame, shape (3,).
        rise: From gathered and upright to standing; the last pose is home.
        still: What ends a wait.
        stall: What a motion gives way to; None: to nothing.
    """

    gather: Callable[[FloatArray], tuple[Keyframe, ...]]
    roll: Callable[[int, FloatArray], tuple[Keyframe, ...]]
    rise: tuple[Keyframe, ...]
    still: Stillness
    stall: Stall | None = None


def right(routine: Routine, number: int, state: RobotState, start_rad: ArrayLike, period_s: float) -> Righting:
    """Try once to get up from any fallen pose.

    Args:
        routine: Of the robot.
        number: Of the attempt, from 0: each goes another way about it.
        state: Measured now.
        start_rad: The target to start from, shape (n,), rad.
        period_s: Bus period, s.

    Raises:
        RobotError: If a state has no IMU reading.
        CommandError: If `start_rad` is not finite or has another shape than the routine's poses.
        UsageError: If the period is not positive and finite.
    """
    target = frozen_array(start_rad)
    require_imu(state)
    watch = _Watch(routine.stall, len(routine.rise[-1].pose_rad), period_s)
    target, state = yield from _go(routine, watch, routine.gather(target), target, period_s)
    if tilt_cosine(state) < UPRIGHT_COSINE:
        roll = routine.roll(number, up_in_base(state))
        back = routine.gather(roll[-1].pose_rad)
        target, state = yield from _go(routine, watch, (*roll, *back), target, period_s)
    if tilt_cosine(state) >= UPRIGHT_COSINE:
        target, state = yield from _go(routine, watch, routine.rise, target, period_s)
    return target, state


class _Watch:
    """Counts how long each joint has been blocked, over all motions of an attempt: a motor does not cool between two keyframes."""

    def __init__(self, stall: Stall | None, joints: int, period_s: float) -> None:
        self._stall = stall
        self._period_s = period_s
        self._blocked_s = np.zeros(joints)

    def blocked(self, target: FloatArray, state: RobotState) -> bool:
        """Count a tick; tell whether a joint has been blocked for too long, and then count anew."""
        if self._stall is None:
            return False
        off = np.abs(target - state.joints.position_rad) > self._stall.error_rad
        self._blocked_s = np.where(off, self._blocked_s + self._period_s, 0.0)
        if (self._blocked_s <= self._stall.seconds).all():
            return False
        self._blocked_s[:] = 0.0
        return True


def _go(routine: Routine, watch: _Watch, keyframes: tuple[Keyframe, ...], target: FloatArray, period_s: float) -> Righting:
    """Move from keyframe to keyframe, then wait until the robot is still; return the last target and state."""
    for keyframe in keyframes:
        motion = move_to(target, keyframe.pose_rad, keyframe.pace, period_s)
        target, _ = yield from _give_way(motion, watch, keyframe.pace, period_s)
        if keyframe.dwell_s:
            yield from hold(target, keyframe.dwell_s, period_s)
    wait = until(target, lambda state: is_still(state, routine.still), _STILL_S, period_s)
    return (yield from _give_way(wait, watch, keyframes[-1].pace, period_s))


def _give_way(motion: Moves, watch: _Watch, pace: Pace, period_s: float) -> Righting:
    """Run a motion; where a joint is blocked, end it by moving to where the joints are. Returns the last target and state."""
    target = next(motion)
    while True:
        state = yield target
        if watch.blocked(target, state):
            reached = frozen_array(state.joints.position_rad)
            return reached, (yield from move_to(target, reached, pace, period_s))
        try:
            target = motion.send(state)
        except StopIteration:
            return target, state
