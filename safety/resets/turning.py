"""A robot on legs near the border of its arena turns to the centre and walks back in, by a scripted gait and its measured heading.

Ha et al. (arXiv 2002.08550) keep a learning robot in its workspace by choosing, for each episode, the task whose direction leads inwards.
Here there is one task, walking ahead, so what is chosen is the heading.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import numpy as np

from robot.types import FloatArray, RobotState, frozen_array
from safety.arena import ArenaConfig
from safety.resets.gaits import Gait
from safety.resets.moves import Moves
from safety.resets.routines import ResetStep
from safety.resets.upright import UPRIGHT_COSINE, tilt_cosine

# A robot may begin where it has at least this share of the radius ahead of it. One in the inner half always has: it never turns.
_AHEAD = 0.5
# It may begin within this share of the radius, and one that comes back goes on to this: an episode does not begin on its border.
_INSIDE, _FAR_INSIDE = 0.9, 0.8
# It turns until it faces the centre within this, rad.
_FACING_RAD = math.radians(10.0)
# Turning command per rad of heading error: full beyond half a radian, a third at the end. What it leaves is for walking.
_GAIN_PER_RAD = 2.0
# A command rises and falls in half a second: a gait begins and ends at the standing pose, and no joint jumps.
_SLEW_PER_S = 2.0
# An attempt is given up after this, and one that is blocked backs off for that, s. The slowest of 300 was in after 11 s (measured).
_RETURN_S, _RETREAT_S = 30.0, 3.0

# From a state to commands (forward, turn) of a gait, |forward| + |turn| at most 1; None: arrived.
Steer = Callable[[RobotState], tuple[float, float] | None]
# Yields targets of shape (n,), rad; is sent the state after each tick; returns the last target and state.
Walk = Generator[FloatArray, RobotState, tuple[FloatArray, RobotState]]


def returning(arena: ArenaConfig, gait: Gait, stand: ResetStep, home_rad: FloatArray, period_s: float) -> ResetStep:
    """Face the centre of the arena, from inside of it, where too little way is ahead; a robot with way ahead stays as it is.

    Every second attempt first walks a little towards the centre, backwards if that is behind it: what it stood against is left behind.

    Args:
        arena: Where the robot stays.
        gait: Of this kind of robot.
        stand: Lets it stand at home; it comes after the walk, and before it where the robot does not stand.
        home_rad: Shape (n,), rad.
        period_s: Bus period, s.
    """

    def moves(number: int, state: RobotState, start_rad: FloatArray) -> Moves:
        target = start_rad
        if not stand.done(state):
            state = yield from stand.moves(0, state, start_rad)
            target = home_rad
        if number % 2 == 1:
            target, state = yield from walk(gait, target, home_rad, state, lambda now: retreat(arena, now), _RETREAT_S, period_s)
        if tilt_cosine(state) >= UPRIGHT_COSINE:
            target, state = yield from walk(gait, target, home_rad, state, lambda now: homewards(arena, now), _RETURN_S, period_s)
        return (yield from stand.moves(0, state, target))

    def done(state: RobotState) -> bool:
        inside = arena.distance_m(state) <= _INSIDE * arena.radius_m
        return inside and arena.way_ahead_m(state) >= _AHEAD * arena.radius_m and stand.done(state)

    return ResetStep("return to the arena", moves, done, ask="put the robot into its arena, facing the centre")


def homewards(arena: ArenaConfig, state: RobotState) -> tuple[float, float] | None:
    """Turn to the centre, and walk once it is ahead until far enough inside; None when both is done."""
    bearing_rad = arena.bearing_rad(state)
    outside = arena.distance_m(state) > _FAR_INSIDE * arena.radius_m
    if not outside and abs(bearing_rad) <= _FACING_RAD:
        return None
    turn = _turn(bearing_rad)
    return (1.0 - abs(turn)) * outside, turn


def retreat(arena: ArenaConfig, state: RobotState) -> tuple[float, float]:
    """Walk towards the centre, forwards or backwards, whichever needs less of a turn."""
    bearing_rad = arena.bearing_rad(state)
    ahead = abs(bearing_rad) <= math.pi / 2.0
    turn = _turn(bearing_rad if ahead else math.remainder(bearing_rad + math.pi, 2.0 * math.pi))
    return math.copysign(1.0 - abs(turn), 1.0 if ahead else -1.0), turn


def walk(gait: Gait, start_rad: FloatArray, home_rad: FloatArray, state: RobotState, steer: Steer, max_s: float, period_s: float) -> Walk:
    """Walk as told until arrived, out of time or fallen. It ends at home, unless it falls.

    Args:
        gait: Of this kind of robot.
        start_rad: The target to start from, near home. Shape (n,), rad.
        home_rad: Where the robot stands. Shape (n,), rad.
        state: Measured now.
        steer: Commands of the gait; asked at each tick until it says that the robot has arrived.
        max_s: Commands end after this, s.
        period_s: Bus period, s.
    """
    target, command, tick = start_rad, np.zeros(2), 0
    arrived = False
    while tilt_cosine(state) >= UPRIGHT_COSINE and (not arrived or command.any()):
        wanted = None if arrived or tick * period_s >= max_s else steer(state)
        arrived = wanted is None
        slew = _SLEW_PER_S * period_s
        command = command + np.clip(np.subtract(wanted or (0.0, 0.0), command), -slew, slew)
        tick += 1
        # Home is reached stepping: on stuck feet a joint may not move at all, and a guard takes that for a broken encoder (measured).
        pose_rad = home_rad + (start_rad - home_rad) * max(0.0, 1.0 - _SLEW_PER_S * tick * period_s)
        target = frozen_array(pose_rad + gait.offsets_rad(tick * period_s, float(command[0]), float(command[1])))
        state = yield target
    return target, state


def _turn(error_rad: float) -> float:
    return max(-1.0, min(1.0, _GAIN_PER_RAD * error_rad))
