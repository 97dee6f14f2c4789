"""Laws of the stop board before a guard: a stop acts at the next tick, and ends by an operator alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot import RobotError, frozen_array
from robot.types import Command
from safety import Ask, Cause, HeldError, Mode, Reason
from safety.endpoint import Endpoint
from safety.estop import StopBoard
from safety.guard import GuardedRobot
from safety.station import BoardWatch
from safety.stop_records import StopLevel
from tests.fakes import InstantClock, InstantRobot
from tests.safety.test_guard import CONFIG, PERIOD_S, Torque

pytestmark = pytest.mark.realtime


@pytest.fixture
def board() -> Iterator[StopBoard]:
    with StopBoard(f"fetlock-test-{uuid.uuid4().hex[:8]}") as made:
        yield made
    Path("/dev/shm", made.name).unlink()


def guarded(board: StopBoard) -> tuple[GuardedRobot, InstantClock, Torque]:
    robot, drive = InstantRobot(3), Torque()
    clock = InstantClock(robot, PERIOD_S)
    guard = GuardedRobot(robot, CONFIG, PERIOD_S, now_s=clock.now_s, drive=drive, outside=(BoardWatch(board, clock.now_s),))
    guard.arm()
    guard.engage()
    return guard, clock, drive


def tick(guard: GuardedRobot, clock: InstantClock) -> Reason:
    applied = guard.write(Command(frozen_array([0.5, 0.0, 0.0])))
    clock.wait()
    guard.read()
    return applied.reasons


def test_a_hold_acts_at_the_next_tick_and_lasts_until_an_operator_clears_it(board):
    guard, clock, _ = guarded(board)
    assert Reason.HOLD not in tick(guard, clock)
    board.trip(StopLevel.HOLD, "test", clock.now_s())
    assert Reason.HOLD in tick(guard, clock)
    assert guard.causes is Cause.STOP_HOLD
    with pytest.raises(HeldError, match="emergency stop was pressed"):
        guard.engage()
    board.clear(clock.now_s(), "test")
    guard.engage()
    assert Reason.HOLD not in tick(guard, clock)


def test_a_cut_lets_go_at_the_next_tick_and_needs_arming_again(board):
    guard, clock, drive = guarded(board)
    tick(guard, clock)
    board.trip(StopLevel.CUT, "test", clock.now_s())
    with pytest.raises(HeldError):
        tick(guard, clock)
    assert not drive.armed
    board.clear(clock.now_s(), "test")
    with pytest.raises(HeldError):
        guard.engage()
    guard.arm()
    guard.engage()
    assert Reason.HOLD not in tick(guard, clock)


def test_a_stop_before_a_guard_keeps_it_from_arming(board):
    board.trip(StopLevel.HOLD, "test", 0.0)
    with pytest.raises(RobotError, match="emergency stop"):
        guarded(board)


def test_a_trip_that_is_cleared_between_two_ticks_stops_for_one(board):
    guard, clock, _ = guarded(board)
    tick(guard, clock)
    board.trip(StopLevel.HOLD, "test", clock.now_s())
    board.clear(clock.now_s(), "test")
    assert Reason.HOLD in tick(guard, clock)
    tick(guard, clock)
    assert guard.mode is Mode.ARMED_HOLD
    guard.engage()


def test_the_clear_of_an_operator_is_told_once(board):
    watch = BoardWatch(board, lambda: 0.0)
    assert watch.look() == (Cause.NONE, Ask.NONE)
    board.clear(1.0, "test")
    assert watch.look() == (Cause.NONE, Ask.CLEAR)
    assert watch.look() == (Cause.NONE, Ask.NONE)


@pytest.mark.parametrize("level", list(StopLevel))
def test_every_level_is_a_cause(board, level):
    watch = BoardWatch(board, lambda: 0.0)
    board.trip(level, "test", 0.0)
    causes, _ = watch.look()
    assert causes.name == f"STOP_{level.name}"


def test_a_silent_station_is_named(board):
    watch = BoardWatch(board, lambda: 10.0)
    Endpoint(board, "station", 0.3, StopLevel.HOLD, 0.0)
    causes, _ = watch.look()
    assert Cause.OPERATOR_GONE in causes
    assert Cause.STOP_HOLD in causes
