"""Laws of what a loop runs: who is driven as an episode begins, how long a command counts, and what a bus tick says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from robot import Command, UsageError, frozen_array
from robot.clock import RealTimeClock
from safety import AppliedCommand, BusTick, Cause, GuardedRobot, Machine, Mode, MotionLoop, Reason, Silence
from safety.faults import HeldError
from tests.fakes import InstantClock, InstantRobot
from tests.safety.test_guard import CONFIG, PERIOD_S, Torque


def machine(drive: Torque | None) -> tuple[Machine, list[np.random.Generator]]:
    robot = InstantRobot(3)
    clock = InstantClock(robot, PERIOD_S)
    guard = GuardedRobot(robot, CONFIG, PERIOD_S, now_s=clock.now_s, drive=drive)
    released: list[np.random.Generator] = []
    return Machine(guard, clock, RealTimeClock(PERIOD_S, clock.now_s), released.append, drive), released


def test_a_robot_whose_torque_is_on_is_driven_as_an_episode_begins():
    on = Torque()
    on.arm()
    for drive in (None, on):
        made, released = machine(drive)
        rng = np.random.default_rng(0)
        made.begin(rng)
        assert released == [rng]
        assert made.robot.mode is Mode.ACTIVE


def test_a_robot_whose_torque_is_off_is_armed_as_an_episode_begins():
    drive = Torque()
    made, released = machine(drive)
    made.begin(np.random.default_rng(0))
    assert len(released) == 1
    assert drive.armed
    assert made.robot.mode is Mode.ACTIVE


def test_a_robot_that_only_a_person_may_release_is_not_even_made_ready():
    for cause, refused in ((Cause.STOP_HOLD, True), (Cause.STUCK, False)):
        on = Torque()
        on.arm()
        made, released = machine(on)
        made.begin(np.random.default_rng(0))
        made.robot.trip(cause)
        if refused:
            with pytest.raises(HeldError, match="emergency stop"):
                made.begin(np.random.default_rng(1))
        else:
            made.begin(np.random.default_rng(1))
        assert len(released) == (1 if refused else 2)
        assert made.robot.mode is (Mode.HOLD if refused else Mode.ACTIVE)


def test_a_command_freezes_no_later_than_it_holds():
    assert Silence(0.1, 0.1).hold_s == 0.1
    assert Silence(5e-324, 0.1).freeze_s > 0.0
    for freeze_s, hold_s in ((0.0, 0.1), (-0.1, 0.1), (0.2, 0.1), (math.nan, 0.1), (0.1, math.nan)):
        with pytest.raises(UsageError, match="freeze before it holds"):
            Silence(freeze_s, hold_s)


def test_a_bus_tick_says_what_the_guard_did_and_that_there_was_none():
    state, target = InstantRobot(3).read(), Command(frozen_array(np.zeros(3)))
    guarded = BusTick(0.01, state, target, AppliedCommand(target.position_rad, Reason.RATE, Mode.TELEOP))
    assert (guarded.reasons, guarded.mode) == (Reason.RATE, Mode.TELEOP)
    bare = BusTick(0.01, state, target, target)
    assert (bare.reasons, bare.mode) == (Reason.NONE, Mode.ACTIVE)


@pytest.mark.parametrize("ticks", [1, 3])
def test_a_loop_writes_waits_and_reads_once_a_bus_tick(ticks):
    robot = InstantRobot(3)
    clock = InstantClock(robot, PERIOD_S)
    loop = MotionLoop(robot, clock, ticks)
    assert loop.policy_period_s == pytest.approx(ticks * PERIOD_S)
    before, target = robot.read(), Command(frozen_array([0.1, 0.2, 0.3]))
    after, done = loop.advance(target, before)
    assert after.joints.stamp_s == pytest.approx(ticks * PERIOD_S)
    assert [tick.state.joints.stamp_s for tick in done] == pytest.approx([PERIOD_S * tick for tick in range(ticks)])
    # A command given at t is invisible in the state of t.
    np.testing.assert_array_equal(done[0].state.joints.position_rad, np.zeros(3))
    np.testing.assert_array_equal(after.joints.position_rad, target.position_rad)
    assert all(tick.period_s == PERIOD_S and tick.target is target for tick in done)
