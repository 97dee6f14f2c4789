"""Laws of the filter chain, and its agreement with a slow second implementation."""

from __future__ import annotations

import warnings
from copy import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.filters import CHAIN, STOP_TICKS_MAX, FilterMemory, brake, braked, filter_command, seeded, stopping_speed
from safety.limits import CoupledConfig, GuardConfig, Limits
from safety.types import INTERVENTIONS, Reason
from tests.safety.oracle import Joint, emission

H = 0.01
NAMES = ("a", "b", "c")
anything = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True, width=64)
anywhere = st.tuples(anything, anything, anything)
near = st.floats(-2.0, 2.0)
nearby = st.tuples(near, near, near)
speeds, accelerations = st.floats(0.1, 100.0), st.floats(1.0, 1e4)


@st.composite
def configs(draw: st.DrawFn, **fixed: object) -> GuardConfig:
    low, span = draw(st.floats(-1.5, 0.0)), draw(st.floats(0.05, 2.0))
    acceleration = draw(accelerations)
    braking = acceleration * draw(st.floats(0.2, 1.0))
    # Stops within the look-ahead.
    speed = min(draw(speeds), braking * H * (STOP_TICKS_MAX - 1))
    values = {
        "position_min_rad": low,
        "position_max_rad": low + span,
        "velocity_max_rad_s": speed,
        "acceleration_max_rad_s2": acceleration,
        "braking_rad_s2": braking,
        **fixed,
    }
    return GuardConfig.model_validate(values)


def standing(limits: Limits) -> FilterMemory:
    return seeded(0.5 * (limits.position_min_rad + limits.position_max_rad))


def rad(values: object) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@given(configs(), st.lists(anywhere | nearby, min_size=1, max_size=40))
def test_emissions_are_finite_inside_and_bounded_in_velocity_and_acceleration(config, commands):
    limits = config.limits(NAMES)
    memory = standing(limits)
    before, velocity = memory.applied_rad, np.zeros(3)
    for command in commands:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sent, memory, _ = filter_command(rad(command), memory, limits, H, 4)
        assert np.isfinite(sent).all()
        assert ((sent >= limits.position_min_rad) & (sent <= limits.position_max_rad)).all()
        now = (sent - before) / H
        assert (np.abs(now) <= limits.velocity_max_rad_s + 1e-9).all()
        assert (np.abs(now - velocity) <= limits.acceleration_max_rad_s2 * H + 1e-9).all()
        before, velocity = sent, now


@given(configs(), st.lists(nearby, min_size=1, max_size=30))
def test_from_every_emission_braking_alone_stays_inside(config, commands):
    limits = config.limits(NAMES)
    memory = standing(limits)
    for command in commands:
        _, memory, _ = filter_command(rad(command), memory, limits, H)
    for _ in range(STOP_TICKS_MAX):
        moving = memory.velocity_rad_s
        sent, memory, reasons = brake(memory, limits, H)
        assert Reason.BOX not in reasons
        assert (np.abs(memory.velocity_rad_s - braked(moving, limits, H)) <= 1e-9).all()
    np.testing.assert_allclose(memory.velocity_rad_s, 0.0, atol=1e-9)
    np.testing.assert_allclose(brake(memory, limits, H)[0], sent, atol=1e-9)


@given(configs(), st.floats(-0.3, 0.3), st.lists(nearby, min_size=1, max_size=25))
def test_the_chain_agrees_with_the_slow_oracle(config, beside, commands):
    limits = config.limits(NAMES)
    start = 0.5 * (limits.position_min_rad + limits.position_max_rad)
    # One joint may stand outside.
    start[0] += beside
    memory = seeded(start)
    joints = [
        Joint(low, high, speed, acceleration, braking, p)
        for low, high, speed, acceleration, braking, p in zip(
            limits.position_min_rad,
            limits.position_max_rad,
            limits.velocity_max_rad_s,
            limits.acceleration_max_rad_s2,
            limits.braking_rad_s2,
            start,
            strict=True,
        )
    ]
    for command in commands:
        sent, memory, _ = filter_command(rad(command), memory, limits, H)
        for joint, x, fast in zip(joints, command, sent, strict=True):
            before = copy(joint)
            # Rounding decides which of the two a command is that lies at the edge of what is within reach.
            slow = (emission(joint if slack == 0.0 else copy(before), x, H, slack) for slack in (0.0, 1e-9, -1e-9))
            assert any(fast == pytest.approx(value, abs=1e-8, rel=1e-7) for value in slow)
        # Both go on from the same place: a difference of rounding must not grow.
        for joint, p, v in zip(joints, memory.applied_rad, memory.velocity_rad_s, strict=True):
            joint.p, joint.v = float(p), float(v)


@given(configs(), st.lists(nearby, min_size=1, max_size=20))
def test_hard_stages_leave_their_own_output_alone(config, commands):
    limits = config.limits(NAMES)
    memory = standing(limits)
    for command in commands:
        sent, after, _ = filter_command(rad(command), memory, limits, H)
        again, _, reasons = filter_command(sent, memory, limits, H)
        np.testing.assert_allclose(again, sent, atol=1e-12)
        assert not reasons & ~Reason.RATE
        memory = after


@given(st.lists(st.tuples(*[st.floats(-0.5, 0.5)] * 3), min_size=1, max_size=40))
def test_slow_feasible_commands_pass_unchanged_bit_for_bit(accelerations_of):
    config = GuardConfig(position_min_rad=-50.0, position_max_rad=50.0, velocity_max_rad_s=30.0, acceleration_max_rad_s2=100.0)
    limits = config.limits(NAMES)
    memory, command, velocity = seeded(np.zeros(3)), np.zeros(3), np.zeros(3)
    for change in accelerations_of:
        velocity = velocity + rad(change)
        command = command + velocity * H
        sent, memory, reasons = filter_command(command, memory, limits, H)
        np.testing.assert_array_equal(sent, command)
        assert reasons is Reason.NONE


@given(configs(), nearby, st.floats(0.3, 1.0))
def test_tightening_a_limit_never_enlarges_what_is_reached_in_a_tick(config, command, share):
    wide = config.limits(NAMES)
    tight_config = config.model_copy(
        update={
            "velocity_max_rad_s": config.velocity_max_rad_s * share,
            "acceleration_max_rad_s2": config.acceleration_max_rad_s2 * share,
            "braking_rad_s2": config.braking_rad_s2 * share,
        }
    )
    start = standing(wide)
    far = filter_command(rad(command), start, wide, H)[0] - start.applied_rad
    close = filter_command(rad(command), start, tight_config.limits(NAMES), H)[0] - start.applied_rad
    assert (np.abs(close) <= np.abs(far) + 1e-12).all()


@given(st.floats(0.0, 10.0), st.floats(0.5, 1e4), st.sampled_from([0.001, 0.002, 0.01, 0.02]))
def test_the_stopping_speed_is_the_continuous_law_for_short_ticks_and_never_above_it(distance, braking, h):
    speed = float(stopping_speed(rad([distance]), rad([braking]), h)[0])
    continuous = np.sqrt(2.0 * braking * distance)
    assert speed <= continuous + 1e-9
    assert continuous - speed <= braking * h + 1e-9
    covered, u = 0.0, speed
    while u > 0.0:
        covered, u = covered + u * h, u - braking * h
    np.testing.assert_allclose(covered, distance, atol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("joint", [0, 1, 2])
def test_one_bad_element_rejects_the_whole_vector_and_the_good_one_before_stays(bad, joint):
    config = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=1.0, acceleration_max_rad_s2=10.0)
    limits = config.limits(NAMES)
    goal, spoilt = np.array([0.5, -0.5, 0.2]), np.array([0.9, 0.9, 0.9])
    spoilt[joint] = bad
    _, memory, _ = filter_command(goal, seeded(np.zeros(3)), limits, H, 5)
    sent, after, reasons = filter_command(spoilt, memory, limits, H, 5)
    expected, _, _ = filter_command(goal, memory, limits, H, 5)
    np.testing.assert_array_equal(sent, expected)
    np.testing.assert_array_equal(after.goal_rad, goal)
    assert Reason.NOT_FINITE in reasons


@pytest.mark.parametrize("start", [-1.4, 1.4])
def test_a_joint_outside_goes_inwards_only_and_slowly(start):
    config = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=5.0, acceleration_max_rad_s2=100.0)
    limits = config.limits(NAMES)
    memory = seeded(np.array([start, 0.0, 0.0]))
    inwards = -np.sign(start)
    for command in (10.0 * start, 0.0, start, -start, np.nan, 0.0):
        for _ in range(20):
            before = memory.applied_rad[0]
            _, memory, _ = filter_command(np.array([command, 0.0, 0.0]), memory, limits, H)
            step = (memory.applied_rad[0] - before) * inwards
            assert -1e-12 <= step <= np.radians(1.0) * H + 1e-12
    assert abs(memory.applied_rad[0]) < abs(start)


@given(st.integers(1, 8), nearby, nearby)
def test_interpolation_is_a_straight_line_to_each_new_command(ticks, first, second):
    config = GuardConfig(position_min_rad=-2.0, position_max_rad=2.0, velocity_max_rad_s=1e4, acceleration_max_rad_s2=1e8)
    limits = config.limits(NAMES)
    memory, start = seeded(np.zeros(3)), np.zeros(3)
    for goal in (rad(first), rad(second)):
        for tick in range(1, ticks + 1):
            sent, memory, reasons = filter_command(goal, memory, limits, H, ticks)
            if (goal == start).all():
                return
            np.testing.assert_allclose(sent, start + (goal - start) * tick / ticks, atol=1e-9)
            assert not reasons & INTERVENTIONS
        np.testing.assert_array_equal(sent, goal)
        start = goal


@given(st.floats(1.0, 40.0), st.floats(-0.5, 0.5))
@settings(max_examples=min(30, settings().max_examples))
def test_the_low_pass_follows_the_first_order_law_and_settles(cutoff_hz, goal):
    config = GuardConfig(
        position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=1e4, acceleration_max_rad_s2=1e7, low_pass_hz=cutoff_hz
    )
    limits, memory = config.limits(NAMES), seeded(np.zeros(3))
    for tick in range(1, 200):
        sent, memory, reasons = filter_command(np.full(3, goal), memory, limits, H)
        np.testing.assert_allclose(sent, goal * (1.0 - np.exp(-2.0 * np.pi * cutoff_hz * H * tick)), atol=1e-12)
        assert not reasons & INTERVENTIONS
    np.testing.assert_allclose(sent, goal, atol=1e-3)


@given(st.lists(nearby, min_size=1, max_size=40), st.floats(0.2, 1.0), st.sampled_from([(1.0, 1.0), (1.0, -1.0), (2.0, 1.0)]))
def test_coupled_joints_keep_apart_now_and_while_braking(commands, bound, weights):
    pair = CoupledConfig(joints=("a", "b"), weights=weights, min_rad=-bound, max_rad=bound)
    config = GuardConfig(
        position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=20.0, acceleration_max_rad_s2=300.0, coupled=(pair,)
    )
    limits, memory = config.limits(NAMES), seeded(np.zeros(3))
    row = np.array([*weights, 0.0])
    for command in commands:
        sent, memory, _ = filter_command(rad(command), memory, limits, H, 2)
        assert abs(sent @ row) <= bound + 1e-6
        stopping = memory
        for _ in range(10):
            sent, stopping, _ = brake(stopping, limits, H)
            assert abs(sent @ row) <= bound + 1e-6


def test_coupled_joints_that_are_too_close_already_may_only_come_apart():
    pair = CoupledConfig(joints=("a", "b"), min_rad=-0.5, max_rad=0.5)
    config = GuardConfig(
        position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=5.0, acceleration_max_rad_s2=100.0, coupled=(pair,)
    )
    limits, memory = config.limits(NAMES), seeded(np.array([0.5, 0.5, 0.0]))
    for _ in range(20):
        sent, memory, reasons = filter_command(np.array([1.0, 1.0, 0.0]), memory, limits, H)
        assert sent[0] + sent[1] <= 1.0 + 1e-9
        assert Reason.COUPLED in reasons
    for _ in range(60):
        sent, memory, _ = filter_command(np.array([-0.2, 0.1, 0.0]), memory, limits, H)
    np.testing.assert_allclose(sent, [-0.2, 0.1, 0.0], atol=1e-6)


@given(configs(), st.lists(nearby, min_size=1, max_size=20), st.floats(0.0005, 0.01))
def test_rounding_is_to_whole_pulses_inside_the_box_and_never_stalls_a_slow_motion(config, commands, pulse):
    limits = config.limits(NAMES, pulse_rad=pulse)
    memory = standing(limits)
    for command in commands:
        sent, memory, _ = filter_command(rad(command), memory, limits, H)
        counts = sent / pulse
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-6)
        assert ((sent >= limits.position_min_rad) & (sent <= limits.position_max_rad)).all()
        assert (np.abs(sent - memory.applied_rad) <= pulse * (1.0 + 1e-9)).all()
    slow, step = standing(limits).applied_rad, pulse / 10.0
    memory, end = seeded(slow), slow + 2.0 * pulse
    end = np.minimum(end, limits.position_max_rad - pulse)
    for _ in range(25):
        slow = np.minimum(slow + step, end)
        sent, memory, _ = filter_command(slow, memory, limits, H)
    assert (np.abs(sent - end) <= pulse).all() or limits.velocity_max_rad_s[0] * H < step or config.acceleration_max_rad_s2 * H * H < step


@given(st.floats(0.0, 1.0), st.lists(nearby, min_size=1, max_size=20))
def test_heat_slows_a_joint_to_its_share_of_the_speed(share, commands):
    config = GuardConfig(position_min_rad=-2.0, position_max_rad=2.0, velocity_max_rad_s=5.0, acceleration_max_rad_s2=1e4)
    limits = config.limits(NAMES)
    memory = seeded(np.zeros(3))._replace(derating=np.array([share, 1.0, 1.0]))
    for command in commands:
        before = memory.applied_rad
        _, memory, reasons = filter_command(rad(command), memory, limits, H)
        assert abs(memory.applied_rad[0] - before[0]) <= 5.0 * share * H + 1e-12
        assert (Reason.DERATED in reasons) <= (share < 1.0)


def test_the_order_of_the_chain_is_the_documented_one():
    assert [stage.__name__ for stage in CHAIN] == ["low_pass", "derate", "limit_rate", "keep_apart", "limit_position", "quantise"]


def test_a_step_is_approached_fast_and_without_running_far_past_it():
    config = GuardConfig(position_min_rad=-2.0, position_max_rad=2.0, velocity_max_rad_s=5.0, acceleration_max_rad_s2=50.0)
    limits, memory = config.limits(NAMES), seeded(np.zeros(3))
    path = []
    for _ in range(80):
        sent, memory, _ = filter_command(np.ones(3), memory, limits, H)
        path.append(float(sent[0]))
    # The time of the fastest motion is 0.3 s; a few ticks are lost in whole steps.
    assert abs(path[32] - 1.0) < 0.05
    assert max(path) < 1.0 + 3.0 * 50.0 * H * H + 1e-9
    np.testing.assert_allclose(path[45:], 1.0, atol=1e-9)
