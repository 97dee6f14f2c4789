"""Laws of motions: what they yield, where they end, what they refuse; and righting's bookkeeping on a robot of paper."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TypeVar

import numpy as np
import pytest
import ruckig
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot.description import load_description
from robot.errors import CommandError, RobotError, UsageError
from robot.types import FloatArray, ImuState, JointState, RobotState, frozen_array
from safety.resets import Pace, Righting, hold, is_still, move_to, right_kitty, right_minitaur, right_servo_minitaur, stands, until
from safety.resets.upright import Stillness

PERIOD_S = 0.01
PACE = Pace(velocity_rad_s=5.0, acceleration_rad_s2=30.0, jerk_rad_s3=600.0)
POSES = arrays(np.float64, 4, elements=st.floats(-3.5, 3.5))
ResultT = TypeVar("ResultT")


def state(position_rad: FloatArray, up: tuple[float, float, float] | None = (0.0, 0.0, 1.0)) -> RobotState:
    """A robot at rest with this side up; None: without an IMU."""
    joints = JointState(0.0, frozen_array(position_rad), np.zeros(len(position_rad)), np.zeros(len(position_rad)))
    if up is None:
        return RobotState(joints)
    rotation = np.zeros((3, 3))
    rotation[2] = up
    return RobotState(joints, ImuState(rotation, np.zeros(3), 0.0))


def perfect(
    motion: Generator[FloatArray, RobotState, ResultT], up: tuple[float, float, float] = (0.0, 0.0, 1.0)
) -> tuple[FloatArray, ResultT]:
    """Run a motion on joints that are at their targets after each tick; return all targets and the motion's result."""
    targets = []
    try:
        target = next(motion)
        while True:
            assert not target.flags.writeable
            targets.append(target)
            target = motion.send(state(target, up))
    except StopIteration as end:
        return np.array(targets), end.value


@settings(max_examples=200)
@given(start=POSES, pose=POSES, velocity=st.floats(0.1, 30.0), acceleration=st.floats(1.0, 1000.0), jerk=st.floats(10.0, 1e5))
def test_a_move_keeps_its_pace_and_ends_at_the_pose_bit_for_bit(
    start: FloatArray, pose: FloatArray, velocity: float, acceleration: float, jerk: float
) -> None:
    targets, last = perfect(move_to(start, pose, Pace(velocity, acceleration, jerk), PERIOD_S))
    np.testing.assert_array_equal(targets[-1], pose)
    np.testing.assert_array_equal(last.joints.position_rad, pose)
    # At rest before and after it.
    path = np.concatenate([[start] * 2, targets, [pose] * 2])
    for order, bound in ((1, velocity), (2, acceleration)):
        assert np.abs(np.diff(path, n=order, axis=0)).max() <= bound * PERIOD_S**order * (1.0 + 1e-6) + 1e-12
    # A third difference spans a jerk of either sign at most; the last tick is cut short.
    assert np.abs(np.diff(path, n=3, axis=0)).max() <= 2.0 * jerk * PERIOD_S**3 + 1e-9


@settings(max_examples=100)
@given(start=POSES, pose=POSES)
def test_a_move_is_a_straight_line(start: FloatArray, pose: FloatArray) -> None:
    targets, _ = perfect(move_to(start, pose, PACE, PERIOD_S))
    way = pose - start
    shares = (targets - start) @ way / max(way @ way, 1e-300)
    assert np.abs(targets - start - np.outer(shares, way)).max() < 1e-9
    assert (np.diff(shares) > -1e-12).all()


@settings(max_examples=300)
@given(length=st.integers(0, 700), acceleration=st.integers(1, 100), jerk=st.integers(1, 100))
def test_there_is_a_trajectory_for_round_numbers_too(length: int, acceleration: int, jerk: int) -> None:
    pose = np.array([length / 100.0])
    targets, _ = perfect(move_to([0.0], pose, Pace(5.0, 10.0 * acceleration, 100.0 * jerk), PERIOD_S))
    np.testing.assert_array_equal(targets[-1], pose)


def test_a_move_without_a_trajectory_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruckig.Ruckig, "calculate", lambda *_: ruckig.Result.Error)
    with pytest.raises(CommandError, match=r"no trajectory of 1.0 rad"):
        perfect(move_to([0.0], [1.0], PACE, PERIOD_S))


def test_a_move_to_where_it_is_takes_one_tick() -> None:
    targets, _ = perfect(move_to([0.5, 1.0], [0.5, 1.0], PACE, PERIOD_S))
    np.testing.assert_array_equal(targets, [[0.5, 1.0]])


def test_moves_follow_each_other_without_a_jump() -> None:
    def both() -> Generator[FloatArray, RobotState, RobotState]:
        yield from move_to([0.0], [1.0], PACE, PERIOD_S)
        yield from hold([1.0], 0.1, PERIOD_S)
        return (yield from move_to([1.0], [-1.0], PACE, PERIOD_S))

    targets, _ = perfect(both())
    assert np.abs(np.diff(targets[:, 0])).max() <= PACE.velocity_rad_s * PERIOD_S + 1e-12
    assert np.abs(np.diff(targets[:, 0], n=2)).max() <= PACE.acceleration_rad_s2 * PERIOD_S**2 + 1e-12


@pytest.mark.parametrize(("seconds", "ticks"), [(0.0, 1), (0.01, 1), (0.011, 2), (0.07, 7), (1.0, 100)])
def test_a_hold_lasts_whole_ticks_rounded_up(seconds: float, ticks: int) -> None:
    targets, _ = perfect(hold([1.0, 2.0], seconds, PERIOD_S))
    np.testing.assert_array_equal(targets, [[1.0, 2.0]] * ticks)


def test_waiting_ends_when_the_state_is_right_and_else_in_time() -> None:
    seen: list[RobotState] = []

    def third(now: RobotState) -> bool:
        seen.append(now)
        return len(seen) == 3

    assert len(perfect(until([0.0], third, 1.0, PERIOD_S))[0]) == 3
    assert len(perfect(until([0.0], lambda _: False, 0.2, PERIOD_S))[0]) == 20


@pytest.mark.parametrize(
    ("start", "pose", "message"),
    [
        ([0.0, math.nan], [0.0, 1.0], r"joints \[1\] of the start"),
        ([0.0, 1.0], [math.inf, 1.0], r"joints \[0\] of the pose"),
        ([0.0], [0.0, 1.0], r"shape \(1,\) to a pose of shape \(2,\)"),
        ([[0.0]], [0.0], r"shape \(1, 1\)"),
        ([], [], r"shape \(0,\)"),
        (["a"], [0.0], "no array of numbers"),
    ],
)
def test_a_move_refuses_poses_that_are_none_before_anything_is_yielded(start: list[float], pose: list[float], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        move_to(start, pose, PACE, PERIOD_S)


@pytest.mark.parametrize("period_s", [0.0, -0.01, math.nan, math.inf])
def test_a_period_is_positive_and_finite(period_s: float) -> None:
    for make in (lambda: move_to([0.0], [1.0], PACE, period_s), lambda: hold([0.0], 1.0, period_s)):
        with pytest.raises(UsageError, match="period"):
            make()


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_a_time_is_finite_and_not_negative(seconds: float) -> None:
    with pytest.raises(UsageError, match="time"):
        until([0.0], lambda _: True, seconds, PERIOD_S)


@pytest.mark.parametrize("bounds", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, math.nan), (math.inf, 1.0, 1.0)])
def test_a_pace_is_positive_and_finite(bounds: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="must be positive and finite"):
        Pace(*bounds)


def test_standing_is_upright_with_the_joints_at_their_pose() -> None:
    pose = np.array([1.0, 2.0])
    assert stands(state(pose), pose, 0.1)
    assert not stands(state(pose + 0.2), pose, 0.1)
    assert not stands(state(pose, (0.6, 0.0, 0.8)), pose, 0.1)
    with pytest.raises(RobotError, match="IMU"):
        stands(state(pose, None), pose, 0.1)


def test_still_is_both_joints_and_base() -> None:
    quiet = state(np.zeros(2))
    assert is_still(quiet, Stillness())
    moving = RobotState(JointState(0.0, np.zeros(2), np.array([0.0, 1.0]), np.zeros(2)), quiet.imu)
    assert not is_still(moving, Stillness())
    turning = RobotState(quiet.joints, ImuState(np.eye(3), np.array([0.0, -1.0, 0.0]), 0.0))
    assert not is_still(turning, Stillness())


KITTY, SERVO_MINITAUR = load_description("kitty"), load_description("minitaur")
ROUTINES = [
    (right_kitty, [joint.home_rad for joint in KITTY.joints]),
    (right_minitaur, [math.pi / 2.0] * 8),
    (right_servo_minitaur, [joint.home_rad for joint in SERVO_MINITAUR.joints]),
]


@pytest.mark.parametrize(("right", "home"), ROUTINES)
@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("number", range(5))
def test_righting_is_continuous_from_the_target_before(
    right: object, home: list[float], up: tuple[float, float, float], number: int
) -> None:
    assert callable(right)
    held = np.array(home) + 0.3
    motion: Righting = right(number, state(np.array(home), up), held, PERIOD_S)
    targets, (target, _) = perfect(motion, up)
    path = np.concatenate([[held], targets])
    # The fastest pace of all is that of the stock Minitaur's swing.
    assert np.abs(np.diff(path, axis=0)).max() <= 30.0 * PERIOD_S + 1e-9
    assert np.abs(np.diff(path, n=2, axis=0)).max() <= 800.0 * PERIOD_S**2 + 1e-9
    np.testing.assert_array_equal(target, targets[-1])
    if up[2] == 1.0:
        np.testing.assert_allclose(targets[-1], home)


@pytest.mark.parametrize(("right", "description", "margin_rad"), [(right_kitty, KITTY, 0.02), (right_servo_minitaur, SERVO_MINITAUR, 0.0)])
@pytest.mark.parametrize("up", [(0.0, 0.0, -1.0), (0.0, 1.0, 0.0)])
def test_righting_stays_within_the_mechanical_limits(
    right: object, description: object, margin_rad: float, up: tuple[float, float, float]
) -> None:
    assert callable(right)
    joints = description.joints  # type: ignore[attr-defined]
    home = np.array([joint.home_rad for joint in joints])
    targets, _ = perfect(right(0, state(home, up), home, PERIOD_S), up)
    assert (targets >= np.array([joint.lower_rad for joint in joints]) + margin_rad - 1e-12).all()
    assert (targets <= np.array([joint.upper_rad for joint in joints]) - margin_rad + 1e-12).all()


@pytest.mark.parametrize("right", [right_minitaur, right_servo_minitaur])
@pytest.mark.parametrize("up", [(0.0, 0.0, -1.0), (0.0, 1.0, 0.0)])
def test_the_minitaurs_gap_and_swing_stay_within_their_ranges(right: object, up: tuple[float, float, float]) -> None:
    assert callable(right)
    targets, _ = perfect(right(0, state(np.full(8, 2.0), up), np.full(8, 2.0), PERIOD_S), up)
    gap, swing = targets[:, 0::2] + targets[:, 1::2], (targets[:, 1::2] - targets[:, 0::2]) / 2.0
    assert (gap >= 0.1).all()
    assert (gap <= 2.0 * math.pi - 0.1).all()
    assert (np.abs(swing) <= math.pi - 0.1).all()


def test_righting_needs_an_imu_and_a_target_of_the_robots_shape() -> None:
    with pytest.raises(RobotError, match="IMU"):
        next(right_kitty(0, state(np.zeros(12), None), np.zeros(12), PERIOD_S))
    with pytest.raises(CommandError, match=r"shape \(8,\)"):
        next(right_kitty(0, state(np.zeros(12)), np.zeros(8), PERIOD_S))


def test_a_blocked_joint_is_given_way_to() -> None:
    home = np.full(8, math.pi / 2.0)
    motion = right_minitaur(0, state(home, (0.0, 0.0, -1.0)), home, PERIOD_S)
    target, strained = next(motion), 0
    longest = 0
    try:
        while True:
            measured = target.copy()
            # This motor does not move.
            measured[3] = home[3]
            strained = strained + 1 if abs(target[3] - home[3]) > 0.35 else 0
            longest = max(longest, strained)
            target = motion.send(state(measured, (0.0, 0.0, -1.0)))
    except StopIteration:
        pass
    # It would overheat after 1 s.
    assert 0.1 < longest * PERIOD_S < 0.95
