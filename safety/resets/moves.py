"""Motions as coroutines: a generator yields joint targets, one each bus tick, and is sent the state measured after that tick.

A motion knows no clock and no robot. Motions are composed with `yield from`, each starting from the target with which the one before it
ended: what is commanded never jumps.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from ruckig import InputParameter, Result, Ruckig, RuckigError, Trajectory

from robot.errors import CommandError, UsageError
from robot.types import FloatArray, RobotState, frozen_array

# Yields targets of shape (n,), rad, read-only; is sent the state after the tick; returns the last state.
Moves = Generator[FloatArray, RobotState, RobotState]

# A multiple of the period that rounding spoils by less than this is still that multiple: no tick more.
_TICK_TOLERANCE = 1e-9
# ruckig 0.19 finds no solution for some ways on the border between two shapes of a profile (0.15 rad at 30 rad/s^2 and 600 rad/s^3, beside
# other joints; measured): it is asked again with this share of the jerk less.
_ATTEMPTS, _LESS_JERK = 4, 0.01


@dataclass(frozen=True, slots=True)
class Pace:
    """Bounds of a trajectory, equal for all joints.

    Attributes:
        velocity_rad_s: rad/s.
        acceleration_rad_s2: rad/s^2.
        jerk_rad_s3: rad/s^3.

    Raises:
        UsageError: If a bound is not positive and finite.
    """

    velocity_rad_s: float
    acceleration_rad_s2: float
    jerk_rad_s3: float

    def __post_init__(self) -> None:
        for name in ("velocity_rad_s", "acceleration_rad_s2", "jerk_rad_s3"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise UsageError(f"a pace's {name} must be positive and finite: got {value}")


def move_to(start_rad: ArrayLike, pose_rad: ArrayLike, pace: Pace, period_s: float) -> Moves:
    """Move from rest to rest in a straight line, as fast as the pace allows; the last target is the pose, bit for bit.

    Args:
        start_rad: The newest target; where there is none, the measured pose. Shape (n,), rad.
        pose_rad: Where to go. Shape (n,), rad.
        pace: Bounds on velocity, acceleration and jerk.
        period_s: Bus period, s.

    Raises:
        CommandError: If start and pose have different shapes or an element is not finite; before anything is yielded.
        UsageError: If the period is not positive and finite.
    """
    start, pose = _pose("start", start_rad), _pose("pose", pose_rad)
    if start.shape != pose.shape:
        raise CommandError(f"a move from a start of shape {start.shape} to a pose of shape {pose.shape}: give both as (n,), rad")
    return _follow(start, pose, pace, _period(period_s))


def hold(pose_rad: ArrayLike, seconds: float, period_s: float) -> Moves:
    """Keep a target for a time, one tick at least.

    Args:
        pose_rad: Shape (n,), rad.
        seconds: How long, s, rounded up to whole ticks.
        period_s: Bus period, s.

    Raises:
        CommandError: If an element is not finite.
        UsageError: If a time is not finite, the period not positive or `seconds` negative.
    """
    return _hold(_pose("pose", pose_rad), _ticks(seconds, _period(period_s)), lambda _: False)


def until(pose_rad: ArrayLike, done: Callable[[RobotState], bool], max_s: float, period_s: float) -> Moves:
    """Keep a target until a state satisfies `done`, one tick at least and at most for `max_s` seconds.

    Args:
        pose_rad: Shape (n,), rad.
        done: Asked after each tick.
        max_s: Bound, s, rounded up to whole ticks.
        period_s: Bus period, s.

    Raises:
        CommandError: If an element is not finite.
        UsageError: If a time is not finite, the period not positive or `max_s` negative.
    """
    return _hold(_pose("pose", pose_rad), _ticks(max_s, _period(period_s)), done)


def _follow(start: FloatArray, pose: FloatArray, pace: Pace, period_s: float) -> Moves:
    """Go the straight line from start to pose: what bounds a convex set of poses, such as a box or a linkage, holds in between too."""
    way = pose - start
    length = float(np.abs(way).max())
    trajectory = _trajectory(length, pace)
    for tick in range(1, _ticks(trajectory.duration, period_s)):
        (position,), _, _ = trajectory.at_time(tick * period_s)
        state = yield frozen_array(start + way * (position / length))
    state = yield pose
    return state


def _hold(pose: FloatArray, ticks: int, done: Callable[[RobotState], bool]) -> Moves:
    state = yield pose
    for _ in range(ticks - 1):
        if done(state):
            break
        state = yield pose
    return state


def _trajectory(length_rad: float, pace: Pace) -> Trajectory:
    """Return the time-optimal trajectory of the joint that has farthest to go, from 0 to `length_rad`."""
    ruckig, wanted, trajectory = Ruckig(1), InputParameter(1), Trajectory(1)
    wanted.target_position = [length_rad]
    wanted.max_velocity, wanted.max_acceleration = [pace.velocity_rad_s], [pace.acceleration_rad_s2]
    for attempt in range(_ATTEMPTS):
        wanted.max_jerk = [pace.jerk_rad_s3 * (1.0 - attempt * _LESS_JERK)]
        with contextlib.suppress(RuckigError):
            if ruckig.calculate(wanted, trajectory) in (Result.Working, Result.Finished):
                return trajectory
    raise CommandError(f"there is no trajectory of {length_rad} rad within {pace}: choose another pace")


def _pose(what: str, values: ArrayLike) -> FloatArray:
    try:
        pose = frozen_array(values)
    except (TypeError, ValueError) as error:
        raise CommandError(f"the {what} of a move is no array of numbers: {error}") from error
    if pose.ndim != 1 or not pose.size:
        raise CommandError(f"the {what} of a move has the shape {pose.shape}: give (n,), rad")
    if not np.isfinite(pose).all():
        raise CommandError(
            f"joints {np.flatnonzero(~np.isfinite(pose)).tolist()} of the {what} of a move are not finite: {pose.tolist()} rad"
        )
    return pose


def _period(period_s: float) -> float:
    if not 0.0 < period_s < math.inf:
        raise UsageError(f"a bus period must be positive and finite: got {period_s} s")
    return period_s


def _ticks(seconds: float, period_s: float) -> int:
    if not 0.0 <= seconds < math.inf:
        raise UsageError(f"a motion's time must be finite and not negative: got {seconds} s")
    return max(1, math.ceil(seconds / period_s - _TICK_TOLERANCE))
