"""Laws of unusable commands: three in a row or five within a second are too many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.rejections import Rejections, rejected

GOOD, BAD = np.zeros(3), np.array([0.0, np.nan, 0.0])


def too_many(commands: list[np.ndarray], period_s: float) -> list[bool]:
    memory, found = Rejections(), []
    for command in commands:
        memory, one_too_many = rejected(memory, command, period_s)
        found.append(one_too_many)
    return found


@given(st.lists(st.booleans(), max_size=60), st.sampled_from([1 / 256, 1 / 32, 1 / 8, 1 / 4, 1.0]))
def test_three_in_a_row_or_five_within_a_second_and_nothing_else(good, period_s):
    """Periods are powers of two, so that exactly one second is exactly that: five rejections over a whole second are not too many."""
    bad_at = [tick for tick, is_good in enumerate(good) if not is_good]
    expected = []
    for tick, is_good in enumerate(good):
        newest = [at for at in bad_at if at <= tick][-5:]
        in_a_row = newest[-3:] == [tick - 2, tick - 1, tick]
        often = len(newest) == 5 and (tick - newest[0]) * period_s < 1.0
        expected.append(not is_good and (in_a_row or often))
    assert too_many([GOOD if is_good else BAD for is_good in good], period_s) == expected


@pytest.mark.parametrize("good_before", [0, 1000])
@pytest.mark.parametrize(("ticks_between", "expected"), [(16, False), (15, True)])
def test_five_over_exactly_a_second_are_not_too_many_however_long_the_robot_has_run(ticks_between, expected, good_before):
    commands = [GOOD] * good_before + ([BAD] + [GOOD] * (ticks_between - 1)) * 5
    assert any(too_many(commands, 1 / 64)) is expected


def test_nothing_has_been_rejected_at_first():
    assert Rejections() == Rejections(tick=0, row=0, ticks=())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_element_makes_a_command_unusable(bad):
    for joint in range(3):
        command = np.zeros(3)
        command[joint] = bad
        assert rejected(Rejections(), command, 0.01)[0] == Rejections(1, 1, (1,))
