"""Laws of the two delays."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.latency import SampleDelay, TargetDelay


@dataclass(frozen=True)
class Mark:
    step: int


@given(st.integers(0, 20), st.lists(st.integers(0, 60), max_size=20))
def test_a_target_acts_from_its_step_plus_the_delay_on(delay: int, steps: list[int]) -> None:
    wire = TargetDelay(delay, [-1.0])
    steps = sorted(steps)
    for now in range(80):
        for index, step in enumerate(steps):
            if step == now:
                wire.put(now, [float(index)])
        arrived = [float(index) for index, step in enumerate(steps) if step + delay <= now]
        assert wire.at(now) == [arrived[-1] if arrived else -1.0]


def test_the_next_arrival_is_known_before_it_comes() -> None:
    wire = TargetDelay(3, [0.0])
    assert wire.next_arrival == -1
    wire.put(5, [1.0])
    wire.put(6, [2.0])
    assert wire.next_arrival == 8
    assert wire.at(8) == [1.0]
    assert wire.next_arrival == 9


@pytest.mark.parametrize("delay", [0, 1, 7])
def test_a_reader_sees_the_newest_sample_that_is_old_enough_and_the_first_until_then(delay: int) -> None:
    wire = SampleDelay(delay, Mark(0))
    for now in range(1, 30):
        wire.put(Mark(now))
        assert wire.newest_step == now
        assert wire.at(now).step == max(0, now - delay)
