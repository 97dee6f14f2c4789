"""Laws of the guard's seat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from robot import Clock, Command, Robot, UsageError, frozen_array
from safety import INTERVENTIONS, GuardConfig, GuardedRobot, Mode, MotionLoop, Reason
from tests.fakes import InstantClock, InstantRobot
from tests.robot_contract import RobotContract

PERIOD_S = 0.01
CONFIG = GuardConfig(position_min_rad=-1.0, position_max_rad=(1.0, 0.5, 2.0), velocity_max_rad_s=10.0)
STEP_RAD = 10.0 * PERIOD_S
anything = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True, width=64)
vectors = st.lists(st.tuples(anything, anything, anything), min_size=1, max_size=30)
finite = st.floats(-1e6, 1e6)


def guarded(config: GuardConfig = CONFIG, start_rad: float = 0.0) -> tuple[GuardedRobot, InstantRobot]:
    robot = InstantRobot(3, start_rad)
    return GuardedRobot(robot, config, PERIOD_S), robot


class TestContract(RobotContract):
    def make(self) -> tuple[Robot, Clock]:
        guard, robot = guarded()
        return guard, InstantClock(robot, PERIOD_S)


@given(vectors)
def test_every_emission_is_finite_inside_the_box_and_one_step_from_the_last(targets):
    guard, robot = guarded()
    previous = np.zeros(3)
    for target in targets:
        applied = guard.write(Command(frozen_array(target))).position_rad
        assert np.isfinite(applied).all()
        assert (applied >= -1.0).all()
        assert (applied <= (1.0, 0.5, 2.0)).all()
        assert (np.abs(applied - previous) <= STEP_RAD + 1e-12).all()
        previous = applied
    assert all(np.isfinite(w).all() for w in robot.written)


@given(st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=20))
def test_hard_stages_leave_their_own_output_alone(targets):
    first, _ = guarded()
    second, _ = guarded()
    for target in targets:
        emission = first.write(Command(frozen_array(target)))
        again = second.write(emission)
        np.testing.assert_array_equal(again.position_rad, emission.position_rad)
        assert again.reasons == Reason.NONE


@given(st.lists(st.tuples(*[st.floats(-0.04, 0.04)] * 3), min_size=1, max_size=10))
def test_slow_commands_inside_the_limits_pass_unchanged(steps):
    guard, _ = guarded()
    target = np.zeros(3)
    for step in steps:
        target = target + np.array(step)
        applied = guard.write(Command(frozen_array(target)))
        np.testing.assert_array_equal(applied.position_rad, target)
        assert applied.reasons == Reason.NONE


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("joint", [0, 1, 2])
def test_one_bad_element_rejects_the_whole_vector(bad, joint):
    guard, robot = guarded()
    guard.write(Command(frozen_array([0.01, 0.02, 0.03])))
    target = np.array([0.05, 0.05, 0.05])
    target[joint] = bad
    applied = guard.write(Command(frozen_array(target)))
    np.testing.assert_array_equal(applied.position_rad, [0.01, 0.02, 0.03])
    assert applied.reasons == Reason.NOT_FINITE
    np.testing.assert_array_equal(robot.written[-1], [0.01, 0.02, 0.03])


def test_three_bad_commands_in_a_row_hold_until_reseeded():
    guard, robot = guarded()
    bad, good = Command(frozen_array([np.nan, 0.0, 0.0])), Command(frozen_array([0.05, 0.0, 0.0]))
    guard.write(good)
    masks = [guard.write(bad).reasons for _ in range(3)]
    assert masks == [Reason.NOT_FINITE, Reason.NOT_FINITE, Reason.NOT_FINITE | Reason.HOLD]
    assert guard.mode is Mode.HOLD
    writes = len(robot.written)
    assert guard.write(good).reasons == Reason.HOLD
    assert len(robot.written) == writes
    robot.reset(np.random.default_rng(0))
    guard.reseed()
    assert Reason.HOLD not in guard.write(good).reasons


def test_five_bad_commands_within_a_second_hold_but_not_spread_over_more():
    good, bad = Command(frozen_array([0.0, 0.0, 0.0])), Command(frozen_array([0.0, np.inf, 0.0]))

    def mode_after(good_between: int) -> Mode:
        guard, _ = guarded()
        for _ in range(5):
            guard.write(bad)
            for _ in range(good_between):
                guard.write(good)
        return guard.mode

    assert mode_after(10) is Mode.HOLD
    assert mode_after(30) is Mode.ACTIVE


def test_the_first_emission_after_a_teleport_starts_from_the_measured_pose():
    guard, robot = guarded()
    for _ in range(20):
        guard.write(Command(frozen_array([0.9, 0.4, 0.9])))
    robot.reset(np.random.default_rng(1))
    guard.reseed()
    measured = robot.read().joints.position_rad
    applied = guard.write(Command(frozen_array([0.9, 0.4, 0.9]))).position_rad
    assert (np.abs(applied - measured) <= STEP_RAD + 1e-12).all()


@given(st.floats(1.0, 40.0), st.floats(-0.5, 0.5))
@settings(max_examples=30)
def test_the_low_pass_follows_the_first_order_law_and_settles(cutoff_hz, goal):
    config = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=1e4, low_pass_hz=cutoff_hz)
    guard, _ = guarded(config)
    target = Command(frozen_array([goal] * 3))
    for tick in range(1, 200):
        applied = guard.write(target)
        expected = goal * (1.0 - np.exp(-2.0 * np.pi * cutoff_hz * PERIOD_S * tick))
        np.testing.assert_allclose(applied.position_rad, expected, atol=1e-12)
        assert not applied.reasons & INTERVENTIONS
    np.testing.assert_allclose(applied.position_rad, goal, atol=1e-3)


@given(st.floats(0.0, 1.0), st.tuples(finite, finite, finite))
def test_tightening_a_limit_never_enlarges_what_is_emitted(share, target):
    wide, _ = guarded()
    tight_config = GuardConfig(
        position_min_rad=-1.0 + share * 0.5,
        position_max_rad=(1.0 - share * 0.5, 0.5 - share * 0.25, 2.0),
        velocity_max_rad_s=10.0 * (1.0 - share / 2),
    )
    tight, _ = guarded(tight_config)
    for _ in range(10):
        a = wide.write(Command(frozen_array(target))).position_rad
        b = tight.write(Command(frozen_array(target))).position_rad
        assert (np.abs(b) <= np.abs(a) + 1e-12).all()


def test_motion_holds_the_target_for_a_policy_tick_and_reports_every_bus_tick():
    guard, robot = guarded()
    motion = MotionLoop(guard, InstantClock(robot, PERIOD_S), ticks=4)
    start = guard.read()
    end, ticks = motion.advance(Command(frozen_array([0.35, 0.0, 0.0])), start)
    assert motion.policy_period_s == pytest.approx(0.04)
    assert [round(float(t.applied.position_rad[0]), 9) for t in ticks] == [0.1, 0.2, 0.3, 0.35]
    assert [bool(t.reasons & Reason.RATE) for t in ticks] == [True, True, True, False]
    np.testing.assert_allclose([t.state.joints.position_rad[0] for t in ticks], [0.0, 0.1, 0.2, 0.3])
    assert end.joints.position_rad[0] == 0.35


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"position_min_rad": 2.0}, "below"),
        ({"velocity_max_rad_s": 0.0}, "positive"),
        ({"velocity_max_rad_s": float("nan")}, "finite"),
        ({"low_pass_hz": 0.0}, "low_pass_hz"),
        ({"speed": 1.0}, "speed"),
    ],
)
def test_senseless_limits_are_refused(changes, named):
    with pytest.raises(ValidationError, match=named):
        GuardConfig.model_validate({**CONFIG.model_dump(), **changes})


def test_a_list_of_limits_must_fit_the_robot():
    with pytest.raises(UsageError, match=r"guard\.position_max_rad has 3 values: this robot has 5 joints"):
        GuardedRobot(InstantRobot(5), CONFIG, PERIOD_S)
