"""Laws of the single stages of the filter chain, at their very bounds; test_filters.py has those of the whole chain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety import filters
from safety.filters import (
    CREEP_RAD_S,
    STOP_TICKS_MAX,
    FilterMemory,
    accept,
    brake,
    braked,
    derate,
    filter_command,
    interpolate,
    keep_apart,
    limit_position,
    limit_rate,
    low_pass,
    quantise,
    seeded,
)
from safety.limits import CoupledConfig, GuardConfig, Limits
from safety.types import Reason

# A power of two, so that products with it are exact.
H = 1.0 / 128.0
NAMES = ("a", "b", "c")


def limits(pulse_rad: float | None = None, **changes: object) -> Limits:
    base = {"position_min_rad": -1.0, "position_max_rad": 1.0, "velocity_max_rad_s": 4.0, "acceleration_max_rad_s2": 128.0}
    return GuardConfig.model_validate({**base, **changes}).limits(NAMES, pulse_rad=pulse_rad)


def rad(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def moving(position: np.ndarray, velocity: np.ndarray) -> FilterMemory:
    return seeded(position)._replace(velocity_rad_s=velocity)


def test_a_memory_begins_at_rest_with_all_of_the_speed():
    at = rad(0.1, 0.2, 0.3)
    memory = seeded(at)
    for row in (memory.applied_rad, memory.goal_rad, memory.ramp_rad, memory.smoothed_rad, memory.wanted_rad):
        np.testing.assert_array_equal(row, at)
    np.testing.assert_array_equal(memory.velocity_rad_s, np.zeros(3))
    np.testing.assert_array_equal(memory.derating, np.ones(3))
    assert memory.ramp_tick == 0


def test_shares_begin_with_what_was_asked_for_and_end_with_braking():
    assert filters._SHARES[0] == 1.0
    assert filters._SHARES[-1] == 0.0


def test_a_command_on_the_edge_of_the_box_is_accepted_as_it_is():
    memory = seeded(np.zeros(3))
    for edge, beyond in ((1.0, 1.1), (-1.0, -1.1)):
        on_edge = rad(0.0, edge, 0.0)
        sent, _, reason = accept(on_edge, memory, limits(), H)
        np.testing.assert_array_equal(sent, on_edge)
        assert reason is Reason.NONE
        sent, _, reason = accept(rad(0.0, beyond, 0.0), memory, limits(), H)
        np.testing.assert_array_equal(sent, on_edge)
        assert reason is Reason.BOX


def test_a_command_that_is_not_finite_is_replaced_whole_and_says_only_that():
    memory = seeded(rad(0.1, 0.2, 0.3))
    sent, after, reason = accept(rad(0.0, math.nan, 5.0), memory, limits(), H)
    assert sent is memory.goal_rad
    assert after is memory
    assert reason is Reason.NOT_FINITE


def test_a_line_begins_at_the_command_before_bit_for_bit():
    start, first, second = rad(0.03, 0.03, 0.03), rad(0.01, 0.01, 0.01), rad(0.2, 0.2, 0.2)
    assert (start + 1.0 * (first - start) != first).all()
    memory = seeded(start)
    for _ in range(4):
        sent, memory, reason = interpolate(first, memory, 4)
    assert reason is Reason.NONE
    np.testing.assert_array_equal(sent, first)
    _, memory, reason = interpolate(second, memory, 4)
    assert reason is Reason.INTERPOLATED
    np.testing.assert_array_equal(memory.ramp_rad, first)
    assert memory.ramp_tick == 1


def test_a_line_that_is_left_half_way_goes_on_from_there():
    memory = seeded(np.zeros(3))
    for _ in range(2):
        sent, memory, _ = interpolate(rad(0.8, 0.8, 0.8), memory, 4)
    np.testing.assert_array_equal(sent, rad(0.4, 0.4, 0.4))
    sent, memory, _ = interpolate(np.zeros(3), memory, 4)
    np.testing.assert_array_equal(memory.ramp_rad, rad(0.4, 0.4, 0.4))
    np.testing.assert_allclose(sent, 0.3)


@given(st.integers(1, 6), st.integers(1, 12))
def test_a_line_takes_a_policy_tick_and_then_changes_nothing(ticks, looks):
    memory, goal = seeded(np.zeros(3)), rad(0.5, 0.5, 0.5)
    reasons = []
    for _ in range(looks):
        _, memory, reason = interpolate(goal, memory, ticks)
        reasons.append(reason)
    assert reasons == [Reason.INTERPOLATED if tick < ticks else Reason.NONE for tick in range(1, looks + 1)]
    assert memory.ramp_tick == min(looks, ticks)


def test_without_a_cut_off_nothing_is_smoothed():
    memory, command = seeded(np.zeros(3)), rad(0.5, 0.0, 0.0)
    assert low_pass(command, memory, limits(), H) == (command, memory, Reason.NONE)
    _, _, reason = low_pass(command, memory, limits(low_pass_hz=10.0), H)
    assert reason is Reason.LOW_PASS


def test_a_cool_robot_is_not_slowed_however_far_it_is_asked_to_go():
    memory, command = seeded(np.zeros(3)), rad(50.0, 0.0, 0.0)
    assert derate(command, memory, limits(), H) == (command, memory, Reason.NONE)


def test_a_hot_joint_is_slowed_alone_and_no_faster_than_it_brakes():
    share = rad(0.5, 1.0, 1.0)
    memory = moving(np.zeros(3), rad(4.0, -4.0, 0.0))._replace(derating=share)
    slow = limits(braking_rad_s2=64.0)
    for command, sent in ((rad(1.0, -4.0 * H, 0.0), rad(3.5 * H, -4.0 * H, 0.0)), (rad(-1.0, -4.0 * H, 0.0), rad(-3.5 * H, -4.0 * H, 0.0))):
        slowed, after, reason = derate(command, memory, slow, H)
        np.testing.assert_array_equal(slowed, sent)
        assert (after, reason) == (memory, Reason.DERATED)
    # At its share, a joint is left alone.
    within = rad(2.0 * H, 4.0 * H, -4.0 * H)
    slowed, _, reason = derate(within, seeded(np.zeros(3))._replace(derating=share), slow, H)
    np.testing.assert_array_equal(slowed, within)
    assert reason is Reason.NONE


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_fastest_allowed_step_is_no_intervention(side):
    """From rest: acceleration x tick; the next step beyond it is."""
    edge = side * 128.0 * H * H
    sent, _, reason = limit_rate(rad(edge, edge, 0.0), seeded(np.zeros(3)), limits(), H)
    np.testing.assert_array_equal(sent, rad(edge, edge, 0.0))
    assert reason is Reason.NONE
    beyond = rad(math.nextafter(edge, side * math.inf), 0.0, 0.0)
    sent, _, reason = limit_rate(beyond, seeded(np.zeros(3)), limits(), H)
    assert reason is Reason.RATE
    assert abs(sent[0]) <= abs(edge)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_limits_that_have_become_narrower_are_reached_by_braking(side):
    """A joint that is faster than it may be brakes; if the acceleration can bring it to its bound in this tick, it is at the bound."""
    memory = moving(np.zeros(3), rad(side * 8.0, 0.0, side * 5.0))
    far = rad(side, 0.0, side)
    sent, _, _ = limit_rate(far, memory, limits(braking_rad_s2=64.0, position_min_rad=-50.0, position_max_rad=50.0), H)
    np.testing.assert_array_equal(sent, rad(side * 7.5 * H, 0.0, side * 4.0 * H))


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_joint_on_its_very_bound_leaves_it_as_fast_as_any_other(side):
    memory = seeded(rad(side, 0.0, 0.0))
    sent, _, _ = limit_rate(rad(0.0, 0.0, 0.0), memory, limits(), H)
    assert sent[0] == side - side * 128.0 * H * H
    outside = seeded(rad(math.nextafter(side, 2.0 * side), 0.0, 0.0))
    sent, _, _ = limit_rate(rad(0.0, 0.0, 0.0), outside, limits(), H)
    assert abs(sent[0] - outside.applied_rad[0]) == pytest.approx(CREEP_RAD_S * H)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_joint_outside_that_comes_in_too_fast_brakes_to_a_creep_and_one_that_goes_out_turns(side):
    start = rad(2.0 * side, 0.0, 0.0)
    quick = limits(braking_rad_s2=64.0)
    for velocity, expected in ((2.0, 1.5), (0.5, CREEP_RAD_S), (0.25, CREEP_RAD_S), (-0.75, CREEP_RAD_S)):
        sent, _, _ = limit_rate(np.zeros(3), moving(start, rad(-side * velocity, 0.0, 0.0)), quick, H)
        assert (start[0] - sent[0]) * side / H == pytest.approx(expected)
        sent, _, _ = limit_rate(3.0 * start, moving(start, rad(-side * velocity, 0.0, 0.0)), quick, H)
        # Asked to go out: as slow as the acceleration allows, and never out.
        assert (start[0] - sent[0]) * side / H == pytest.approx(max(velocity - 1.0, 0.0), abs=1e-12)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_slow_robot_that_stands_outside_still_comes_in(side):
    """A degree a second is allowed even where the tick's acceleration is less."""
    start = rad(2.0 * side, 0.0, 0.0)
    sent, _, _ = limit_rate(np.zeros(3), seeded(start), limits(acceleration_max_rad_s2=1.0), H)
    assert (start[0] - sent[0]) * side / H == pytest.approx(CREEP_RAD_S)


def pairs(*bounds: tuple[str, str, float, float]) -> dict[str, object]:
    return {"coupled": tuple(CoupledConfig(joints=(a, b), min_rad=low, max_rad=high) for a, b, low, high in bounds)}


def test_joints_on_the_bound_of_a_pair_are_left_alone():
    """Also by the slack of rounding beyond it, and no further."""
    bound = limits(**pairs(("a", "b", -0.5, 0.5)))
    for side in (-1.0, 1.0):
        # Just inside, where a single step of braking stops the joint.
        memory = seeded(rad(side * 0.4999, 0.0, 0.0))
        edge = 0.5 + filters._SLACK_RAD
        for at, reason in ((0.5, Reason.NONE), (edge, Reason.NONE), (math.nextafter(edge, 1.0), Reason.COUPLED)):
            sent, after, found = keep_apart(rad(side * at, 0.0, 0.0), memory, bound, H)
            assert found is reason
            assert after is memory
            assert abs(sent[0]) <= edge
    assert filters._SLACK_RAD == 1e-9


def test_a_robot_without_pairs_is_left_alone():
    command, memory = rad(9.0, 9.0, 9.0), seeded(np.zeros(3))
    assert keep_apart(command, memory, limits(), H) == (command, memory, Reason.NONE)


def test_of_two_joints_that_come_too_close_each_goes_the_largest_part_of_the_way_and_the_third_all_of_it():
    bound = limits(**pairs(("a", "b", -0.5, 0.5), ("b", "c", -5.0, 5.0)))
    memory = seeded(rad(0.25, 0.2421875, 0.0))
    asked = memory.applied_rad + rad(0.0078125, 0.0078125, 0.0078125)
    sent, _, reason = keep_apart(asked, memory, bound, H)
    # Half of the way is to the bound, within one part of sixteen.
    np.testing.assert_array_equal(sent, memory.applied_rad + rad(0.5, 0.5, 1.0) * 0.0078125)
    assert reason is Reason.COUPLED


def test_where_one_pair_cannot_be_kept_without_breaking_another_all_joints_brake():
    bound = limits(**pairs(("a", "b", -5.0, 0.5), ("b", "c", -0.5, 5.0)))
    memory = seeded(rad(0.5, 0.0, -0.5))
    asked = memory.applied_rad + rad(0.0078125, 0.0, -0.0078125)
    # Each joint at a bound of its own pair: nothing is left but to stand.
    sent, _, reason = keep_apart(asked, memory, bound, H)
    np.testing.assert_array_equal(sent, memory.applied_rad)
    assert reason is Reason.COUPLED
    # b goes down for a to go up, and breaks c's pair; held back for that, it breaks a's.
    asked = memory.applied_rad + rad(0.0078125, -0.0078125, 0.0)
    sent, _, _ = keep_apart(asked, memory, bound, H)
    np.testing.assert_array_equal(sent, memory.applied_rad)


def test_a_pair_that_is_broken_can_only_brake_if_nothing_of_the_way_is_good():
    """Moving outwards beyond what braking can stop: what was asked for is refused whole."""
    bound = limits(**pairs(("a", "b", -0.5, 0.5)), braking_rad_s2=64.0)
    memory = moving(rad(0.5, 0.0, 0.3), rad(2.0, 0.0, 1.0))
    sent, _, reason = keep_apart(rad(0.6, 0.0, 0.31), memory, bound, H)
    np.testing.assert_array_equal(sent, memory.applied_rad + braked(memory.velocity_rad_s, bound, H) * H)
    assert reason is Reason.COUPLED


@given(st.lists(st.tuples(*[st.floats(-1.0, 1.0)] * 3), min_size=1, max_size=30), st.floats(0.05, 0.5), st.floats(0.05, 0.5))
def test_two_pairs_that_share_a_joint_are_kept_now_and_while_braking(commands, first, second):
    bound = limits(**pairs(("a", "b", -first, first), ("b", "c", -second, second)), acceleration_max_rad_s2=50.0)
    memory = seeded(np.zeros(3))
    for command in commands:
        _, memory, _ = filter_command(rad(*command), memory, bound, H, 2)
        stopping = memory
        for _ in range(20):
            sums = bound.coupled_weights @ stopping.applied_rad
            assert (np.abs(sums) <= rad(first, second)[: len(sums)] + 1e-6).all()
            _, stopping, _ = brake(stopping, bound, H)


def test_looking_ahead_ends_as_the_robot_stands_and_after_the_longest_stop(monkeypatch):
    looks = []

    def counted(velocity: np.ndarray, of: Limits, h: float) -> np.ndarray:
        looks.append(velocity)
        return braked(velocity, of, h)

    monkeypatch.setattr(filters, "braked", counted)
    wide = limits(**pairs(("a", "b", -50.0, 50.0)), position_min_rad=-90.0, position_max_rad=90.0)
    keep_apart(rad(2.5 * H, 0.0, 0.0), seeded(np.zeros(3)), wide, H)
    # 2.5 ticks of braking of a unit each.
    assert len(looks) == 3
    looks.clear()
    keep_apart(rad(1000.0 * H, 0.0, 0.0), seeded(np.zeros(3)), limits(**pairs(("a", "b", -9e9, 9e9))), H)
    assert len(looks) == STOP_TICKS_MAX


def test_the_box_is_the_last_word_and_names_itself_beyond_rounding_only():
    memory = seeded(np.zeros(3))
    zero = limits(position_max_rad=0.0)
    for beyond, reason in ((0.0, Reason.NONE), (1e-9, Reason.NONE), (math.nextafter(1e-9, 1.0), Reason.BOX)):
        sent, after, found = limit_position(rad(beyond, -0.5, 0.0), memory, zero, H)
        np.testing.assert_array_equal(sent, rad(0.0, -0.5, 0.0))
        np.testing.assert_array_equal(after.applied_rad, sent)
        np.testing.assert_array_equal(after.velocity_rad_s, sent / H)
        assert found is reason


def test_rounding_is_inwards_at_a_bound_and_to_the_nearest_elsewhere():
    # 0.7 / 0.25 is 2.8 counts, the nearest is outside.
    box = limits(pulse_rad=0.25, position_min_rad=-0.7, position_max_rad=0.7)
    memory = seeded(np.zeros(3))
    sent, after, reason = quantise(rad(0.7, -0.7, 0.2), memory, box, H)
    np.testing.assert_array_equal(sent, rad(0.5, -0.5, 0.25))
    assert (after, reason) == (memory, Reason.QUANTISED)
    sent, _, reason = quantise(rad(0.3, -0.3, 0.1), memory, box, H)
    np.testing.assert_array_equal(sent, rad(0.25, -0.25, 0.0))
    assert reason is Reason.NONE
    # A joint that stands outside is told where it stands.
    sent, _, reason = quantise(rad(1.3, -1.3, 0.0), memory, box, H)
    np.testing.assert_array_equal(sent, rad(1.25, -1.25, 0.0))
    assert reason is Reason.NONE
    command = rad(0.1, 0.2, 0.3)
    assert quantise(command, memory, limits(), H) == (command, memory, Reason.NONE)


def test_braking_forgets_what_was_asked_for():
    memory = moving(rad(0.1, 0.2, 0.3), rad(2.0, -2.0, 0.5))._replace(goal_rad=rad(9, 9, 9), ramp_tick=3)
    sent, after, reason = brake(memory, limits(), H)
    np.testing.assert_array_equal(sent, rad(0.1 + 1.0 * H, 0.2 - 1.0 * H, 0.3))
    for row in (after.applied_rad, after.goal_rad, after.ramp_rad, after.smoothed_rad, after.wanted_rad):
        np.testing.assert_array_equal(row, sent)
    np.testing.assert_allclose(after.velocity_rad_s, rad(1.0, -1.0, 0.0))
    assert (after.ramp_tick, reason) == (0, Reason.NONE)


def test_braking_names_what_changed_it():
    box = limits(pulse_rad=0.25, position_max_rad=0.7)
    _, _, reason = brake(moving(rad(0.69, 0.0, 0.0), rad(4.0, 0.0, 0.0)), box, H)
    assert reason == Reason.BOX | Reason.QUANTISED


def test_all_stages_that_changed_a_command_are_named():
    hot = seeded(np.zeros(3))._replace(derating=rad(0.5, 0.5, 0.5))
    box = limits(low_pass_hz=30.0, pulse_rad=0.001, **pairs(("a", "b", -0.001, 0.001)))
    _, _, reasons = filter_command(rad(5.0, 5.0, 5.0), hot, box, H, 4)
    assert reasons == Reason.BOX | Reason.INTERPOLATED | Reason.LOW_PASS | Reason.DERATED | Reason.RATE | Reason.COUPLED
