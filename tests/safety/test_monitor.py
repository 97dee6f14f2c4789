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


def test_a_robot_that_stands_anywhere_is_not_stuck():
    assert first_tick([RobotState(joints((1.0, -1.0)))] * 40, lambda _: (1.0, -1.0)) == (None, Cause.NONE)


def test_the_first_measurement_counts():
    np.testing.assert_array_equal(watch(RobotState(joints()), ZERO, Mode.ACTIVE, MonitorMemory(), CONFIG, LIMITS, H)[1].still_s, [H, H])


def test_what_is_half_a_tick_newer_was_not_measured_anew():
    h, memory = 2.0**-7, MonitorMemory()
    for tick in range(40):
        state = RobotState(JointState(0.5 * h * tick, frozen_array([0.1, 0.0]), ZERO, ZERO))
        causes, memory = watch(state, frozen_array([0.005 * tick, 0.0]), Mode.ACTIVE, memory, CONFIG, LIMITS, h)
        assert causes is Cause.NONE


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
    memory = MonitorMemory(heating_a2=np.array([0.0, current_a * current_a]))
    share = derating(joints(temperature_c=frozen_array([heat_c, np.nan])), memory, CONFIG, LIMITS)
    np.testing.assert_allclose(share[0], min(1.0, max(0.0, (70.0 - heat_c) / 15.0)))
    np.testing.assert_allclose(share[1], min(1.0, max(0.0, (3.0 - abs(current_a)) / 1.0)))


def test_a_robot_that_measures_neither_is_not_slowed():
    np.testing.assert_array_equal(derating(joints(), MonitorMemory(), CONFIG, LIMITS), np.ones(2))
    unwatched = CONFIG.model_copy(update={"current_max_a": None})
    hot = MonitorMemory(heating_a2=np.array([50.0, 50.0]))
    np.testing.assert_array_equal(derating(joints(), hot, unwatched, unwatched.limits(("a", "b"))), np.ones(2))


def drawing(currents: object, time_s: float = 2.0) -> MonitorMemory:
    """What is remembered of a robot whose motors have drawn these currents, one row a tick."""
    memory = MonitorMemory()
    for tick, current in enumerate(currents):
        state = RobotState(replace(joints(current_a=frozen_array(current)), stamp_s=tick * H))
        memory = watch(state, ZERO, Mode.ACTIVE, memory, CONFIG.model_copy(update={"current_time_s": time_s}), LIMITS, H)[1]
    return memory


@given(st.floats(-5.0, 5.0), st.floats(0.1, 10.0), st.integers(1, 300))
def test_a_steady_current_heats_as_an_exponential_does(current_a, time_s, ticks):
    heating = drawing([(current_a, 0.0)] * ticks, time_s).heating_a2
    np.testing.assert_allclose(heating, [current_a**2 * (1.0 - np.exp(-ticks * H / time_s)), 0.0], rtol=1e-9, atol=1e-12)


@given(st.lists(st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0)), min_size=1, max_size=50))
def test_the_mean_is_between_nothing_and_the_greatest_current(currents):
    heating = drawing(currents).heating_a2
    assert (heating >= 0.0).all()
    assert (heating <= np.square(currents).max(axis=0) + 1e-12).all()


def test_a_peak_slows_no_joint_and_a_load_that_stays_does():
    assert derating(joints(), drawing([(4.0, 0.0)] * 10), CONFIG, LIMITS).min() == 1.0
    assert derating(joints(), drawing([(4.0, 0.0)] * 400), CONFIG, LIMITS)[0] == 0.0


def test_a_current_that_is_no_number_heats_nothing():
    before = drawing([(1.0, 1.0)] * 10)
    state = RobotState(joints(current_a=frozen_array([np.nan, np.inf])))
    after = watch(state, ZERO, Mode.ACTIVE, before, CONFIG, LIMITS, H)[1]
    np.testing.assert_array_equal(after.heating_a2, before.heating_a2)


def test_heat_outlasts_a_pause():
    hot = MonitorMemory(heating_a2=np.array([9.0, 4.0]))
    np.testing.assert_array_equal(watch(RobotState(joints()), ZERO, Mode.ACTIVE, hot, CONFIG, LIMITS, H)[1].heating_a2, [9.0, 4.0])


# A power of two: sums of it are exact.
TICK_S = 1.0 / 128.0


def looked(state: RobotState, memory: MonitorMemory, h: float = TICK_S, **changes: object) -> tuple[Cause, MonitorMemory]:
    config = CONFIG.model_copy(update=changes)
    return watch(state, memory.highest_rad, Mode.ACTIVE, memory, config, config.limits(("a", "b")), h)


def remembering(applied_rad: object = ZERO, **more: object) -> MonitorMemory:
    """A robot that was watched before: still, and where it was sent; what comes now is measured anew."""
    begun = MonitorMemory(ZERO, np.full(2, -np.inf), np.zeros(2), np.zeros(2), applied_rad, applied_rad, np.zeros(2))
    return begun._replace(**more)


def test_nothing_is_remembered_at_first():
    memory = MonitorMemory()
    assert all(len(row) == 0 for row in memory[:7])
    assert memory[7:] == (0.0, -np.inf, 0, 0.0)


def test_a_robot_of_one_joint_is_watched_from_its_first_tick():
    state = RobotState(JointState(0.0, *(frozen_array([3.5]) for _ in range(3))))
    limits = CONFIG.limits(("a",))
    causes, memory = watch(state, frozen_array([3.5]), Mode.ACTIVE, MonitorMemory(), CONFIG, limits, H)
    assert causes is Cause.NONE
    np.testing.assert_array_equal(memory.position_rad, [3.5])


def test_a_robot_that_stands_anywhere_where_it_was_sent_is_left_alone():
    for angle in (-3.9, 3.9):
        at = frozen_array([angle, angle])
        memory = remembering(position_rad=at, applied_rad=at)
        for _ in range(50):
            causes, memory = looked(RobotState(joints(at)), memory)
            assert causes is Cause.NONE
        np.testing.assert_array_equal(memory.highest_rad - memory.lowest_rad, ZERO)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_half_a_turn_in_a_tick_is_the_most_that_an_encoder_may_show(side):
    for joint in (0, 1):
        edge, beyond = np.zeros(2), np.zeros(2)
        edge[joint], beyond[joint] = side * np.pi, side * np.nextafter(np.pi, 4.0)
        assert looked(RobotState(joints(edge)), remembering())[0] is Cause.NONE
        assert looked(RobotState(joints(beyond)), remembering())[0] is Cause.JUMPED


def test_a_measurement_that_is_not_a_number_stops_the_robot():
    assert Cause.JUMPED in looked(RobotState(joints((np.nan, 0.0))), remembering())[0]
    pose, angle = TrackedPose(ZERO, ZERO, np.nan), TrackedAngle(0.0, 0.0, np.nan)
    assert looked(RobotState(joints(), leaning(np.nan)), remembering())[0] is Cause.TILTED
    assert looked(RobotState(joints(), leaning(0.0, np.nan)), remembering())[0] is Cause.STALE
    assert looked(RobotState(joints(), tracked_base=pose), remembering())[0] is Cause.STALE
    assert looked(RobotState(joints(), tracked_object=angle), remembering())[0] is Cause.STALE
    assert looked(RobotState(joints(), frame=frame(np.nan, 1)), remembering())[0] is Cause.CAMERA


def test_a_joint_is_blocked_half_a_tick_before_its_time_and_not_at_its_bound():
    far = remembering(applied_rad=frozen_array([0.5 + 1e-9, 0.0]))
    at_bound = remembering(applied_rad=frozen_array([0.5, 0.0]), far_s=np.full(2, 9.0))
    assert looked(RobotState(joints()), at_bound)[0] is Cause.NONE
    np.testing.assert_array_equal(looked(RobotState(joints()), at_bound)[1].far_s, np.zeros(2))
    # After one tick: a time of a tick and a half is not reached by half a tick, anything less is.
    assert looked(RobotState(joints()), far, tracking_time_s=1.5 * TICK_S)[0] is Cause.NONE
    assert looked(RobotState(joints()), far, tracking_time_s=np.nextafter(1.5 * TICK_S, 0.0))[0] is Cause.BLOCKED
    np.testing.assert_array_equal(looked(RobotState(joints()), far)[1].far_s, [TICK_S, 0.0])


def test_an_encoder_is_stuck_after_a_tenth_of_a_second_and_more_than_the_play_of_its_own_target():
    h = 0.01
    limit_s = 0.1 - 0.5 * h
    for still_s, path_rad, cause in (
        (limit_s + 1e-6, 0.06, Cause.NONE),
        (limit_s + 1e-6, np.nextafter(0.06, 1.0), Cause.STUCK),
        (limit_s - 1e-6, 0.3, Cause.NONE),
    ):
        memory = remembering(still_s=np.array([still_s - h, 0.0]), highest_rad=np.array([path_rad, 0.0]))
        assert looked(RobotState(joints()), memory, h)[0] is cause
    # Other robots take longer, and farther.
    longer = remembering(still_s=np.array([0.2 - 1.5 * h + 1e-6, 0.0]), highest_rad=np.array([0.15, 0.0]))
    for slow, cause in (((0.2, 0.14), Cause.STUCK), ((0.2, 0.16), Cause.NONE), ((0.22, 0.14), Cause.NONE)):
        assert looked(RobotState(joints()), longer, h, encoder_still_s=slow[0], encoder_still_rad=slow[1])[0] is cause
    # Both of one joint.
    memory = remembering(still_s=np.array([1.0, 0.0]), highest_rad=np.array([0.0, 0.4]))
    assert looked(RobotState(joints()), memory, h)[0] is Cause.NONE
    # The bound itself, in exact numbers.
    limit_s = 0.1 - 0.5 * TICK_S
    assert limit_s - TICK_S + TICK_S == limit_s
    memory = remembering(still_s=np.full(2, limit_s - TICK_S), highest_rad=np.full(2, 0.4))
    assert looked(RobotState(joints()), memory)[0] is Cause.NONE


def test_a_single_count_makes_an_encoder_new():
    memory = remembering(still_s=np.full(2, 9.0), highest_rad=np.full(2, 0.4))
    causes, after = looked(RobotState(joints((0.0015, 0.0015))), memory)
    assert causes is Cause.NONE
    np.testing.assert_array_equal(after.still_s, np.zeros(2))
    np.testing.assert_array_equal(after.highest_rad - after.lowest_rad, np.zeros(2))
    np.testing.assert_array_equal(after.position_rad, [0.0015, 0.0015])


def test_what_a_target_spans_counts_and_not_how_often_it_goes_there():
    memory = remembering()
    for tick, applied in enumerate((0.1, -0.1, 0.1)):
        state = RobotState(replace(joints(), stamp_s=tick * TICK_S))
        _, memory = watch(state, frozen_array([applied, 0.0]), Mode.ACTIVE, memory, CONFIG, LIMITS, TICK_S)
    np.testing.assert_allclose(memory.highest_rad - memory.lowest_rad, [0.2, 0.0])
    np.testing.assert_allclose(memory.still_s, 3 * TICK_S)


def test_bounds_of_the_body_belong_to_what_is_allowed():
    cosine = np.cos(1.0)
    on_edge = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, cosine]])
    pose, angle = TrackedPose(ZERO, ZERO, 0.2), TrackedAngle(0.0, 0.0, 0.2)
    state = RobotState(joints(), ImuState(frozen_array(on_edge), frozen_array(np.zeros(3)), 0.2), pose, angle)
    assert looked(state, remembering())[0] is Cause.NONE
    on_edge[2, 2] = np.nextafter(cosine, 0.0)
    leans = replace(state, imu=ImuState(frozen_array(on_edge), frozen_array(np.zeros(3)), 0.2))
    assert looked(leans, remembering())[0] is Cause.TILTED
    assert looked(leans, remembering(), tilt_max_rad=None)[0] is Cause.NONE


def test_a_battery_is_empty_after_exactly_a_second():
    state, memory = RobotState(joints(), voltage_v=9.9), remembering()
    causes = []
    for _ in range(129):
        cause, memory = looked(state, memory)
        causes.append(cause)
    assert causes == [Cause.NONE] * 127 + [Cause.BATTERY] * 2
    assert looked(state, memory, voltage_min_v=None)[0] is Cause.NONE
    assert looked(replace(state, voltage_v=None), memory)[1].low_s == 0.0


def test_a_picture_may_be_as_old_as_its_bound():
    def state(age_s: float) -> RobotState:
        return RobotState(replace(joints(), stamp_s=2.0), frame=frame(2.0 - age_s, 1))

    assert looked(state(0.25), remembering(), camera_age_max_s=0.25)[0] is Cause.NONE
    assert looked(state(0.2501), remembering(), camera_age_max_s=0.25)[0] is Cause.CAMERA
    assert looked(state(0.2501), remembering(), camera_age_max_s=None)[0] is Cause.NONE


def test_a_picture_is_frozen_after_its_time_in_new_frames_of_one_content():
    def see(frames: object, **changes: object) -> list[bool]:
        memory, seen = remembering(), []
        for stamp_s, value in frames:
            state = RobotState(replace(joints(), stamp_s=stamp_s), frame=frame(stamp_s, value))
            cause, memory = looked(state, memory, **changes)
            seen.append(cause is Cause.CAMERA)
        return seen

    frozen = [(0.25 * number, 7) for number in range(4)]
    assert see(frozen, camera_frozen_s=0.5) == [False, False, True, True]
    assert see(frozen, camera_frozen_s=None) == [False] * 4
    # One that changes begins anew, and one that is seen twice is not a new one.
    assert see([(0.0, 7), (0.25, 7), (0.5, 8), (0.75, 8), (1.0, 8)], camera_frozen_s=0.5) == [False] * 4 + [True]
    assert see([(0.0, 7), (0.25, 7), (0.25, 7), (0.25, 7)], camera_frozen_s=0.5) == [False] * 4


def test_all_that_is_wrong_is_named_at_once():
    hot = joints((4.0, 0.0), temperature_c=frozen_array([70.0, 20.0]), hardware_error=(1, 0))
    state = RobotState(hot, leaning(2.0, 1.0), frame=frame(-1.0, 1), voltage_v=1.0)
    causes, _ = looked(state, remembering(low_s=1.0))
    assert causes == Cause.JUMPED | Cause.MOTOR | Cause.HOT | Cause.TILTED | Cause.STALE | Cause.CAMERA | Cause.BATTERY


def test_a_current_between_its_limit_and_a_half_more_leaves_the_share_of_that_half():
    config = CONFIG.model_copy(update={"current_max_a": {"a": 4.0, "b": 0.5}})
    memory = MonitorMemory(heating_a2=np.array([25.0, 0.36]))
    share = derating(joints(), memory, config, config.limits(("a", "b")))
    np.testing.assert_allclose(share, [0.5, 0.6])
