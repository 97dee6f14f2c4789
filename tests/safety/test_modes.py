"""Laws of the state machine, for every sequence of inputs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from safety.modes import RULES, SETTLE_S, Ask, Clear, Inputs, ModeState, Stop, needs_person, next_mode, sentences, severest
from safety.types import MOVING, STOPPED, Cause, Mode

single = st.sampled_from(sorted(RULES))
some = st.sets(single, max_size=4).map(lambda causes: Cause(sum(causes)))
asks = st.sets(st.sampled_from(sorted(Ask)), max_size=3).map(lambda items: Ask(sum(items)))
inputs = st.builds(Inputs, st.booleans(), st.booleans(), some, asks, st.booleans())
states = st.builds(ModeState, st.sampled_from(sorted(Mode)), some, st.just(0.0))
times = st.floats(0.0, 20.0)


@given(states, inputs, times)
def test_a_driven_robot_was_armed_before_has_torque_and_nothing_stops_it(state, given_inputs, now_s):
    after = next_mode(state, given_inputs, now_s)
    if after.mode in MOVING:
        assert state.mode in MOVING or state.mode is Mode.ARMED_HOLD
        assert given_inputs.torque
        assert after.causes == Cause.NONE
        if state.mode is Mode.ARMED_HOLD:
            assert given_inputs.asks & (Ask.DRIVE | Ask.RESET | Ask.TELEOPERATE)
        else:
            assert state.mode is after.mode
            assert Ask.REST not in given_inputs.asks


@given(states, inputs, times)
def test_torque_is_followed_only_after_an_arming_that_was_asked_for_and_passed(state, given_inputs, now_s):
    after = next_mode(state, given_inputs, now_s)
    if state.mode in (Mode.BOOT, Mode.DISARMED) and after.mode not in (Mode.DISARMED, Mode.CUT, Mode.TERMINATED):
        assert after.mode is Mode.ARMED_HOLD
        assert given_inputs.ready
        assert Ask.ARM in given_inputs.asks
        assert given_inputs.torque
        assert severest(after.causes) is Stop.NONE


@given(states, inputs, times)
def test_a_cause_goes_only_by_its_own_clear_event(state, given_inputs, now_s):
    after = next_mode(state, given_inputs, now_s)
    assert given_inputs.raised & ~after.causes == Cause.NONE
    off = state.mode in (Mode.BOOT, Mode.DISARMED) and not given_inputs.torque
    for cause in state.causes & ~after.causes:
        clear = RULES[cause].clear
        operator = Ask.CLEAR in given_inputs.asks
        assert clear is not Clear.NEVER
        assert clear is not Clear.RELEASE or operator or Ask.RELEASE in given_inputs.asks
        assert clear is not Clear.OPERATOR or operator
        assert clear is not Clear.DISARM or (operator and off)


@pytest.mark.parametrize("cause", sorted(RULES))
def test_a_cause_goes_by_its_clear_event_at_once_unless_it_is_raised_again(cause):
    asked = (Ask.NONE, Ask.RELEASE, Ask.CLEAR, Ask.REST, Ask.ARM)
    for ask, mode, torque in itertools.product(asked, set(Mode) - {Mode.TERMINATED}, (True, False)):
        off = mode in (Mode.BOOT, Mode.DISARMED) and not torque
        over = {
            Clear.RELEASE: ask in (Ask.RELEASE, Ask.CLEAR),
            Clear.OPERATOR: ask is Ask.CLEAR,
            Clear.DISARM: ask is Ask.CLEAR and off,
            Clear.NEVER: False,
        }[RULES[cause].clear]
        after = next_mode(ModeState(mode, cause, 0.0), Inputs(torque, asks=ask), 1.0)
        assert after.causes == (Cause.NONE if over else cause)
        assert next_mode(ModeState(mode, cause, 0.0), Inputs(torque, raised=cause, asks=ask), 1.0).causes is cause


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("passed_s", [0.0, 4.999, 5.0, 5.001])
def test_settling_ends_at_the_rest_pose_or_after_five_seconds_and_is_never_left_out(settled, passed_s):
    for mode in Mode:
        before, now_s = ModeState(mode, Cause.HOT, 100.0), 100.0 + passed_s
        after = next_mode(before, Inputs(True, settled=settled), now_s).mode
        if mode is Mode.SETTLE:
            assert after is (Mode.CUT if settled or passed_s >= 5.0 else Mode.SETTLE)
        elif mode in MOVING | {Mode.ARMED_HOLD, Mode.HOLD}:
            assert after is Mode.SETTLE


@given(states, inputs, times)
def test_the_severest_cause_decides_and_nothing_lessens_a_stop_under_way(state, given_inputs, now_s):
    after = next_mode(state, given_inputs, now_s)
    if state.mode is Mode.TERMINATED:
        assert after.mode is Mode.TERMINATED
        return
    stop = severest(after.causes)
    if stop is Stop.TERMINATE:
        assert after.mode is Mode.TERMINATED
    elif not given_inputs.torque:
        assert after.mode is Mode.DISARMED
    elif stop is Stop.CUT or state.mode is Mode.CUT or Ask.DISARM in given_inputs.asks:
        assert after.mode is Mode.CUT
    elif state.mode in MOVING | {Mode.ARMED_HOLD, Mode.HOLD} and stop is not Stop.NONE:
        assert after.mode is (Mode.SETTLE if stop is Stop.SETTLE_THEN_CUT else Mode.HOLD)
    elif state.mode is Mode.SETTLE:
        assert after.mode in (Mode.SETTLE, Mode.CUT)
        assert (after.mode is Mode.CUT) == (given_inputs.settled or now_s >= SETTLE_S)
    if state.mode is Mode.HOLD and stop is Stop.NONE and given_inputs.torque and Ask.DISARM not in given_inputs.asks:
        assert after.mode is Mode.ARMED_HOLD


@given(states, st.permutations(sorted(RULES)), st.integers(2, 5), times)
def test_the_order_in_which_causes_arrive_changes_nothing(state, causes, count, now_s):
    chosen = causes[:count]
    together = next_mode(state, Inputs(True, raised=Cause(sum(chosen))), now_s)
    results = set()
    for order in itertools.islice(itertools.permutations(chosen), 6):
        one = state
        for cause in order:
            one = next_mode(one, Inputs(True, raised=cause), now_s)
        results.add((one.causes, severest(one.causes)))
    assert results == {(together.causes, severest(together.causes))}


@given(states, inputs, times, st.floats(-1e6, 1e6))
def test_only_differences_of_time_count(state, given_inputs, now_s, shift_s):
    here = next_mode(state, given_inputs, now_s)
    moved = ModeState(state.mode, state.causes, state.since_s + round(shift_s))
    there = next_mode(moved, given_inputs, now_s + round(shift_s))
    if abs(now_s - SETTLE_S) > 1e-6:
        assert (there.mode, there.causes) == (here.mode, here.causes)


@given(states, some, times)
def test_staying_without_news_changes_nothing_but_a_settling_robot(state, raised, now_s):
    first = next_mode(state, Inputs(True, raised=raised), now_s)
    second = next_mode(first, Inputs(True, raised=raised), now_s)
    if first.mode is not Mode.SETTLE:
        assert second == first


def test_a_person_is_needed_if_one_cause_ends_by_one_and_by_nothing_else():
    persons = Cause.NONE
    for cause, rule_of in RULES.items():
        needed = rule_of.clear in (Clear.OPERATOR, Clear.DISARM)
        assert needs_person(cause) is needed
        assert needs_person(cause | Cause.ASKED) is needed
        persons |= cause if needed else Cause.NONE
    assert needs_person(persons)
    assert not needs_person(~persons & Cause(sum(RULES)))
    assert not needs_person(Cause.NONE)


def test_every_cause_has_a_rule_that_says_why_and_what_ends_it():
    for cause in Cause:
        assert f"{RULES[cause].says} (cleared by: {RULES[cause].clear.value})" == sentences(cause)
    both = sentences(Cause.ASKED | Cause.STOP_CUT)
    assert both.index("emergency stop") < both.index("asked to")
    assert severest(Cause.NONE) is Stop.NONE
    assert sentences(Cause.NONE) == ""


@pytest.mark.parametrize("ask", [Ask.DRIVE, Ask.RESET, Ask.TELEOPERATE])
def test_from_boot_to_driven_and_back(ask):
    torque = True
    state = next_mode(ModeState(), Inputs(torque=False), 0.0)
    assert state == ModeState(Mode.DISARMED, Cause.NONE, 0.0)
    state = next_mode(state, Inputs(torque, ready=True, asks=Ask.ARM), 1.0)
    assert (state.mode, state.since_s) == (Mode.ARMED_HOLD, 1.0)
    state = next_mode(state, Inputs(torque, asks=ask), 2.0)
    assert state.mode is {Ask.DRIVE: Mode.ACTIVE, Ask.RESET: Mode.RESETTING, Ask.TELEOPERATE: Mode.TELEOP}[ask]
    assert next_mode(state, Inputs(torque), 3.0).since_s == 2.0
    assert next_mode(state, Inputs(torque, asks=Ask.REST), 3.0).mode is Mode.ARMED_HOLD
    assert next_mode(state, Inputs(torque, asks=Ask.DISARM), 3.0).mode is Mode.CUT


class AnyLife(RuleBasedStateMachine):
    """A robot's life under random causes, requests and motors that obey, or switch off by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.now_s, self.torque = ModeState(), 0.0, False
        self.armed_by_us = False
        self.terminated = False

    def tick(self, **more: object) -> None:
        self.now_s += 0.01
        before = self.state
        self.state = next_mode(self.state, Inputs(self.torque, **more), self.now_s)
        assert self.state.since_s <= self.now_s
        if self.state.mode in (Mode.CUT, Mode.TERMINATED):
            self.torque = False
        if self.state.mode is Mode.DISARMED:
            self.armed_by_us = False
        assert severest(self.state.causes) >= (severest(before.causes) if not more.get("asks") else Stop.NONE)

    @rule(ready=st.booleans())
    def arm(self, ready: bool) -> None:
        if self.state.mode in (Mode.BOOT, Mode.DISARMED) and ready and not self.state.causes:
            self.torque = self.armed_by_us = True
        self.tick(ready=ready, asks=Ask.ARM)

    @rule(ask=st.sampled_from(sorted(Ask)))
    def ask(self, ask: Ask) -> None:
        self.tick(asks=ask)

    @rule(cause=single)
    def stop(self, cause: Cause) -> None:
        self.tick(raised=cause)
        assert self.state.mode not in MOVING
        self.terminated |= cause is Cause.STOP_TERMINATE

    @rule()
    def settled(self) -> None:
        self.tick(settled=True)

    @rule(ticks=st.integers(1, 700))
    def wait(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick()

    @precondition(lambda self: self.torque)
    @rule()
    def motors_restart(self) -> None:
        self.torque = False
        self.tick()
        assert self.state.mode in (Mode.DISARMED, Mode.TERMINATED)

    @invariant()
    def nothing_moves_that_was_not_armed(self) -> None:
        if self.state.mode in MOVING:
            assert self.armed_by_us
            assert self.torque
            assert not self.state.causes

    @invariant()
    def terminated_is_for_ever(self) -> None:
        assert not self.terminated or self.state.mode is Mode.TERMINATED

    @invariant()
    def a_stop_has_a_cause(self) -> None:
        if self.state.mode in STOPPED - {Mode.CUT}:
            assert self.state.causes or self.state.mode is Mode.SETTLE


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=min(60, settings().max_examples), stateful_step_count=40, deadline=None)
