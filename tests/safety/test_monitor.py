"""Laws of what is watched: each fault is named within its time, and a healthy robot is left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import CameraFrame, ImuState, JointState, RobotState, frozen_array
from robot.types import TrackedAngle, TrackedPose
from safety import Cause, GuardConfig, Mode
from safety.monitor import MonitorMemory, derating, watch

H = 0.01
CONFIG = GuardConfig(
    position_min_rad=-4.0,
    position_max_rad=4.0,
    velocity_max_rad_s=10.0,
    acceleration_max_rad_s2=100.0,
    tracking_error_max_rad=0.5,
    tracking_time_s=0.1,
    current_max_a=2.0,
    tilt_max_rad=1.0,
    voltage_min_v=10.0,
    camera_age_max_s=0.3,
    camera_frozen_s=0.5,
)
LIMITS = CONFIG.limits(("a", "b"))
ZERO = frozen_array([0.0, 0.0])


def joints(position: object = (0.0, 0.0), **more: object) -> JointState:
    return JointState(0.0, frozen_array(position), ZERO, ZERO, **more)


def leaning(angle_rad: float, age_s: float = 0.0) -> ImuState:
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    return ImuState(frozen_array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), frozen_array(np.zeros(3)), age_s)


def first_tick(states: object, applied: object = None, mode: Mode = Mode.ACTIVE) -> tuple[int | None, Cause]:
    """Return the first tick at which a sequence of states is stopped, and why."""
    memory = MonitorMemory()
    for tick, seen in enumerate(states):
        # Measured anew in each tick, unless the test says when.
        state = seen if seen.joints.stamp_s or seen.joints.age_s.any() else replace(seen, joints=replace(seen.joints, stamp_s=H * tick))
        sent = ZERO if applied is None else frozen_array(applied(tick))
        causes, memory = watch(state, sent, mode, memory, CONFIG, LIMITS, H)
        if causes:
            return tick, causes
    return None, Cause.NONE


def once(state: RobotState, mode: Mode = Mode.ACTIVE) -> Cause:
    return watch(state, ZERO, mode, MonitorMemory(), CONFIG, LIMITS, H)[0]


@given(st.lists(st.floats(-0.05, 0.05), min_size=5, max_size=60))
def test_a_joint_that_follows_is_left_alone(steps):
    path = np.cumsum(steps)
    states = [RobotState(joints((p, 0.0))) for p in np.concatenate([[0.0], path[:-1]])]
    assert first_tick(states, lambda tick: (path[tick], 0.0)) == (None, Cause.NONE)


def test_a_blocked_joint_is_named_after_its_time_and_a_short_lag_is_not():
    blocked = [RobotState(joints((1e-6 * tick, 0.0))) for tick in range(30)]
    assert first_tick(blocked, lambda _: (0.6, 0.0)) == (9, Cause.BLOCKED)
    assert first_tick(blocked, lambda tick: (0.6 if tick % 9 else 0.0, 0.0)) == (None, Cause.NONE)
    assert first_tick(blocked, lambda _: (0.49, 0.0)) == (None, Cause.NONE)


def test_an_encoder_that_stands_still_while_its_joint_is_moved_is_stuck_within_200_ms():
    stuck = [RobotState(joints((0.1, 0.0)))] * 40
    tick, cause = first_tick(stuck, lambda tick: (0.03 * tick, 0.0))
    assert cause is Cause.STUCK
    assert tick is not None
    assert 9 <= tick <= 20
    assert first_tick(stuck) == (None, Cause.NONE)
    # One count in between, and it lives.
    alive = [RobotState(joints((0.1 + 0.0015 * (tick // 8), 0.0))) for tick in range(20)]
    assert first_tick(alive, lambda tick: (0.02 * tick, 0.0)) == (None, Cause.NONE)
    # A slow swing at its turning point is still seen; a target that trembles about one place moves nothing.
    slow = first_tick(stuck, lambda tick: (0.25 * np.cos(2.0 * np.pi * 0.01 * (tick - 9.0)), 0.0))
    assert slow[1] is Cause.STUCK
    assert slow[0] is not None
    assert slow[0] <= 25
    assert first_tick(stuck * 10, lambda tick: (0.015 * (-1) ** tick, 0.0)) == (None, Cause.NONE)


def test_a_value_that_was_not_measured_anew_is_not_stuck():
    stale = [RobotState(JointState(H * tick, frozen_array([0.1, 0.0]), ZERO, frozen_array([H * tick, 0.0]))) for tick in range(40)]
    assert first_tick(stale, lambda tick: (0.005 * tick, 0.0)) == (None, Cause.NONE)
    # As old as ever, but new: the latency of a sensor.
    late = [RobotState(JointState(H * tick, frozen_array([0.1, 0.0]), ZERO, frozen_array([0.03, 0.03]))) for tick in range(40)]
    assert first_tick(late, lambda tick: (0.005 * tick, 0.0))[1] is Cause.STUCK


@pytest.mark.parametrize("jump", [2.0 * np.pi, -2.0 * np.pi, 3.2])
def test_an_encoder_that_jumps_is_named_at_once(jump):
    states = [RobotState(joints((p, 0.0))) for p in (0.0, 0.1, 0.1 + jump)]
    tick, cause = first_tick(states)
    assert tick == 2
    assert Cause.JUMPED in cause


def test_what_motors_say_of_themselves_counts():
    assert once(RobotState(joints(hardware_error=(0, 0x20)))) is Cause.MOTOR
    assert once(RobotState(joints(hardware_error=(0, 0)))) is Cause.NONE
    assert once(RobotState(joints(temperature_c=frozen_array([69.9, 20.0])))) is Cause.NONE
    assert once(RobotState(joints(temperature_c=frozen_array([20.0, 70.0])))) is Cause.HOT
    assert once(RobotState(joints(temperature_c=frozen_array([np.nan, np.nan])))) is Cause.NONE


def test_a_leaning_base_stops_a_policy_and_not_the_routine_that_rights_it():
    for angle, cause in ((0.99, Cause.NONE), (1.01, Cause.TILTED), (np.pi, Cause.TILTED)):
        assert once(RobotState(joints(), leaning(angle))) is cause
        assert once(RobotState(joints(), leaning(angle)), Mode.RESETTING) is Cause.NONE


def test_old_readings_of_each_sensor_are_named():
    pose, angle = TrackedPose(ZERO, ZERO, 0.0), TrackedAngle(0.0, 0.0, 0.0)
    whole = RobotState(joints(), leaning(0.0), pose, angle)
    assert once(whole) is Cause.NONE
    assert once(replace(whole, imu=leaning(0.0, 0.21))) is Cause.STALE
    assert once(replace(whole, tracked_base=replace(pose, age_s=0.21))) is Cause.STALE
    assert once(replace(whole, tracked_object=replace(angle, age_s=0.21))) is Cause.STALE


def test_a_battery_is_empty_after_a_second_below_its_voltage():
    low, full = RobotState(joints(), voltage_v=9.9), RobotState(joints(), voltage_v=10.0)
    assert first_tick([low] * 120) == (99, Cause.BATTERY)
    assert first_tick(([low] * 90 + [full]) * 3) == (None, Cause.NONE)


def frame(stamp_s: float, value: int) -> CameraFrame:
    return CameraFrame(stamp_s, np.full((4, 4, 3), value, np.uint8))


def test_a_picture_that_is_old_or_does_not_change_is_named():
    def state(now_s: float, shown: CameraFrame) -> RobotState:
        return RobotState(replace(joints(), stamp_s=now_s), frame=shown)

    old = [state(0.11 * tick, frame(0.0, 1)) for tick in range(10)]
    assert first_tick(old) == (3, Cause.CAMERA)
    frozen = [state(0.1 * tick, frame(0.1 * tick, 1)) for tick in range(20)]
    tick, cause = first_tick(frozen)
    assert (tick in (5, 6), cause) == (True, Cause.CAMERA)
    assert first_tick([state(0.1 * tick, frame(0.1 * tick, tick)) for tick in range(20)]) == (None, Cause.NONE)


@given(st.floats(0.0, 100.0), st.floats(-5.0, 5.0))
def test_heat_and_current_leave_the_lesser_share(heat_c, current_a):
    share = derating(joints(temperature_c=frozen_array([heat_c, np.nan]), current_a=frozen_array([0.0, current_a])), CONFIG, LIMITS)
    np.testing.assert_allclose(share[0], min(1.0, max(0.0, (70.0 - heat_c) / 15.0)))
    np.testing.assert_allclose(share[1], min(1.0, max(0.0, (3.0 - abs(current_a)) / 1.0)))


def test_a_robot_that_measures_neither_is_not_slowed():
    np.testing.assert_array_equal(derating(joints(), CONFIG, LIMITS), np.ones(2))
    unwatched = CONFIG.model_copy(update={"current_max_a": None})
    hot = joints(current_a=frozen_array([50.0, 50.0]))
    np.testing.assert_array_equal(derating(hot, unwatched, unwatched.limits(("a", "b"))), np.ones(2))
