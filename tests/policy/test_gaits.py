"""Laws of the scripted gait."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.gaits import Twist, Walker
from robot import UsageError
from training.tasks import KittyWalkConfig, WalkConfig

LEGS = {"minitaur": WalkConfig().legs, "kitty": KittyWalkConfig().legs}
shares = st.floats(-1.0, 1.0)


def walker(robot: str) -> Walker:
    return Walker(LEGS[robot].action_names, 0.04)


@pytest.mark.parametrize("robot", LEGS)
@given(st.lists(st.builds(Twist, shares, shares), min_size=1, max_size=50))
def test_an_action_is_within_its_bounds_whatever_is_asked(robot, twists):
    gait = walker(robot)
    for twist in twists:
        action = gait.act(twist)
        assert action.shape == (len(LEGS[robot].action_names),)
        assert (np.abs(action) <= 1.0).all()


@pytest.mark.parametrize("robot", LEGS)
def test_who_asks_for_nothing_stands_and_begins_each_walk_alike(robot: str):
    gait = walker(robot)
    first = [gait.act(Twist(1.0, 0.5)) for _ in range(7)]
    assert not gait.act(Twist()).any()
    np.testing.assert_array_equal([gait.act(Twist(1.0, 0.5)) for _ in range(7)], first)


@pytest.mark.parametrize("robot", LEGS)
@given(forward=shares, turn=shares, ticks=st.integers(1, 60))
def test_to_the_left_is_to_the_right_seen_in_a_mirror_half_a_cycle_later(robot, forward, turn, ticks):
    names = LEGS[robot].action_names
    mirrored = [names.index(name.replace("left", "L").replace("right", "left").replace("L", "right")) for name in names]
    left, right = walker(robot), walker(robot)
    # 0.04 s are a tenth of a cycle of 2.5 Hz.
    for _ in range(5):
        right.act(Twist(forward, -turn) if forward or turn else Twist(1.0))
    for _ in range(ticks):
        there, here = left.act(Twist(forward, turn)), right.act(Twist(forward, -turn))
    np.testing.assert_allclose(there, here[mirrored], atol=1e-5)


def test_unknown_legs_have_no_gait():
    with pytest.raises(UsageError, match="no gait is known for actions wheel left"):
        Walker(("wheel left", "wheel right"), 0.04)
