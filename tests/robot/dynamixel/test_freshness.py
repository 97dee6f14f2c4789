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
    jitter=st.lists(st.floats(0.0, 0.003), min_size=2, max_size=50),
)
def test_answers_on_time_are_believed_whatever_the_phase_and_drift(phase: int, drift: float, jitter: list[float]) -> None:
    check = TickCheck(1, 0.4 * PERIOD_S)
    for index, late_s in enumerate(jitter):
        measured_s = index * PERIOD_S + late_s
        assert check.judge(np.array([tick(measured_s * (1.0 + drift), phase)]), index * PERIOD_S, np.array([True]))[0]


@given(phase=st.integers(0, TICK_MODULUS - 1), cycles=st.integers(1, 20), behind=st.integers(1, 5))
def test_an_answer_of_an_earlier_tick_is_never_believed(phase: int, cycles: int, behind: int) -> None:
    check = TickCheck(1, 0.4 * PERIOD_S)
    for index in range(cycles):
        check.judge(np.array([tick(index * PERIOD_S, phase)]), index * PERIOD_S, np.array([True]))
    late = tick((cycles - behind) * PERIOD_S, phase)
    assert not check.judge(np.array([late]), cycles * PERIOD_S, np.array([True]))[0]
    # And it stays unbelieved: what came late is no reference for the next.
    assert not check.judge(np.array([tick((cycles + 1 - behind) * PERIOD_S, phase)]), (cycles + 1) * PERIOD_S, np.array([True]))[0]


def test_a_motor_that_started_again_is_not_believed_until_it_is_asked_to_be() -> None:
    check = TickCheck(2, 0.4 * PERIOD_S)
    both = np.array([True, True])
    assert check.judge(np.array([5000, 7000]), 0.0, both).tolist() == [True, True]
    assert check.judge(np.array([5010, 3]), PERIOD_S, both).tolist() == [True, False]
    assert check.judge(np.array([5020, 13]), 2 * PERIOD_S, both).tolist() == [True, False]
    check.forget()
    assert check.judge(np.array([5030, 23]), 3 * PERIOD_S, both).tolist() == [True, True]


def test_silence_is_not_an_answer() -> None:
    check = TickCheck(1, 0.4 * PERIOD_S)
    assert not check.judge(np.array([0]), 0.0, np.array([False]))[0]
    assert check.judge(np.array([400]), 0.0, np.array([True]))[0]
    assert check.judge(np.array([500]), 0.1, np.array([True]))[0]
