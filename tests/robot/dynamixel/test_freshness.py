"""Old answers are told from new ones by the motors' clocks, whatever their phase."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot.dynamixel.freshness import TICK_MODULUS, TickCheck

PERIOD_S = 0.01


def tick(time_s: float, phase: int = 0) -> int:
    return (int(time_s * 1e3) + phase) % TICK_MODULUS


@given(
    phase=st.integers(0, TICK_MODULUS - 1),
    drift=st.floats(-0.015, 0.015),
    late=st.lists(st.floats(0.0, 0.008), min_size=2, max_size=50),
)
def test_answers_on_time_are_believed_whatever_the_phase_and_drift(phase: int, drift: float, late: list[float]) -> None:
    check = TickCheck(1)
    for index, late_s in enumerate(late):
        sent_s = index * PERIOD_S
        measured = tick((sent_s + late_s) * (1.0 + drift), phase)
        assert check.judge(np.array([measured]), sent_s, sent_s + 0.009, np.array([True]))[0]


@given(
    phase=st.integers(0, TICK_MODULUS - 1),
    transaction_s=st.floats(0.0002, 0.004),
    cycles=st.integers(1, 20),
    old_s=st.floats(0.0, 0.05),
)
def test_an_answer_that_was_measured_before_it_was_asked_for_is_never_believed(
    phase: int, transaction_s: float, cycles: int, old_s: float
) -> None:
    check = TickCheck(1)
    for index in range(cycles):
        sent_s = index * PERIOD_S
        # Somewhere between request and receipt.
        check.judge(np.array([tick(sent_s + transaction_s / 2.0, phase)]), sent_s, sent_s + transaction_s, np.array([True]))
    sent_s = cycles * PERIOD_S
    # What is older than one transaction, the clock's grain and its drift over a period cannot be taken for new.
    older_s = transaction_s + 0.002 + 0.02 * PERIOD_S + old_s
    late = tick(sent_s - older_s, phase)
    assert not check.judge(np.array([late]), sent_s, sent_s + transaction_s, np.array([True]))[0]


def test_a_motor_that_started_again_is_not_believed_until_it_is_asked_to_be() -> None:
    check = TickCheck(2)
    both = np.array([True, True])

    def judge(ticks: list[int], at_s: float) -> list[bool]:
        return check.judge(np.array(ticks), at_s, at_s + 0.001, both).tolist()

    assert judge([5000, 7000], 0.0) == [True, True]
    assert judge([5010, 3], PERIOD_S) == [True, False]
    assert judge([5020, 13], 2 * PERIOD_S) == [True, False]
    check.forget()
    assert judge([5030, 23], 3 * PERIOD_S) == [True, True]


def test_silence_is_not_an_answer() -> None:
    check = TickCheck(1)
    assert not check.judge(np.array([0]), 0.0, 0.0, np.array([False]))[0]
    assert check.judge(np.array([400]), 0.0, 0.001, np.array([True]))[0]
    assert check.judge(np.array([500]), 0.1, 0.101, np.array([True]))[0]


def test_the_counter_may_turn_over() -> None:
    check = TickCheck(1)
    for index in range(3 * TICK_MODULUS // 10):
        sent_s = index * PERIOD_S
        assert check.judge(np.array([tick(sent_s, 32_000)]), sent_s, sent_s, np.array([True]))[0]
