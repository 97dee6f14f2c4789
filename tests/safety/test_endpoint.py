"""Laws of those who must check in: stopped until the first time, at every silence, and after a death."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import ClosedError, RobotError, UsageError
from robot.clock import monotonic_s, sleep_s
from safety import stop_records as layout
from safety.endpoint import Endpoint, answer_to
from safety.estop import StopBoard
from safety.stop_records import StopLevel
from tests.safety.served import unique

pytestmark = pytest.mark.realtime

# Long for a process to start, short for a person to wait.
TIMEOUT_S = 0.5


@pytest.fixture
def board() -> Iterator[StopBoard]:
    name = unique()
    with StopBoard(name) as made:
        yield made
    Path("/dev/shm", name).unlink()


def test_registration_is_stopped_until_the_first_right_check_in(board: StopBoard) -> None:
    endpoint = Endpoint(board, "heartbeat", 1.0, StopLevel.CUT, 10.0)
    state = board.state(10.0)
    assert (state.level, state.silent, state.source, state.stamp_s) == (
        StopLevel.CUT,
        ("heartbeat",),
        "heartbeat has not checked in",
        10.0,
    )
    assert not endpoint.check_in(endpoint.challenge, 10.0)
    assert board.state(10.0).level is StopLevel.CUT
    assert endpoint.check_in(answer_to(endpoint.challenge), 10.0)
    assert (board.state(11.0).level, board.state(11.0).silent) == (None, ())
    assert board.state(11.01).source == "heartbeat is silent"


@given(st.integers(0, 2**32 - 1))
def test_a_wrong_answer_extends_nothing_and_a_right_one_makes_another_challenge(answer: int) -> None:
    name = unique()
    try:
        with StopBoard(name) as board:
            endpoint = Endpoint(board, "x", 1.0, StopLevel.HOLD, 0.0)
            endpoint.beat(0.0)
            challenge = endpoint.challenge
            right = answer == challenge ^ 0xFFFFFFFF
            assert endpoint.check_in(answer, 0.9) is right
            assert (board.state(1.5).level is None) is right
            assert endpoint.check_in(answer_to(endpoint.challenge), 0.9)
            # An old answer, said again, proves nothing (but for one in 2^32).
            assert endpoint.challenge == challenge or not endpoint.check_in(answer_to(challenge), 1.0)
            endpoint.deregister(1.0)
    finally:
        Path("/dev/shm", name).unlink()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20), st.floats(0.1, 2.0))
def test_the_board_is_stopped_exactly_where_the_newest_check_in_is_older_than_the_timeout(gaps_s: list[float], timeout_s: float) -> None:
    name = unique()
    try:
        with StopBoard(name) as board:
            endpoint = Endpoint(board, "x", timeout_s, StopLevel.SETTLE, 0.0)
            now_s = 0.0
            for gap_s in gaps_s:
                endpoint.check_in(answer_to(endpoint.challenge), now_s)
                board.clear(now_s, "the test")
                deadline_s, now_s = now_s + timeout_s, now_s + gap_s
                assert (board.state(now_s).level is not None) == (now_s > deadline_s)
            endpoint.deregister(now_s)
    finally:
        Path("/dev/shm", name).unlink()


def test_a_check_in_is_due_every_third_of_the_timeout(board: StopBoard) -> None:
    endpoint = Endpoint(board, "x", 3.0, StopLevel.HOLD, 0.0)
    beats = [endpoint.beat(now_s) for now_s in (0.0, 0.5, 0.99, 1.0, 1.5, 2.0)]
    assert beats == [True, False, False, True, False, True]


def test_silence_is_remembered_though_it_ends(board: StopBoard) -> None:
    endpoint = Endpoint(board, "console", 1.0, StopLevel.HOLD, 0.0)
    endpoint.beat(0.0)
    endpoint.beat(5.0)
    state = board.state(5.0)
    assert (state.level, state.source, state.silent) == (StopLevel.HOLD, "console was silent", ())
    assert board.clear(5.0, "the operator").level is None
    endpoint.deregister(9.0)
    assert board.state(9.0).level is StopLevel.HOLD


def test_an_orderly_end_stops_nothing(board: StopBoard) -> None:
    endpoint = Endpoint(board, "x", 1.0, StopLevel.CUT, 0.0)
    endpoint.beat(0.0)
    endpoint.deregister(1.0)
    endpoint.deregister(50.0)
    assert (board.state(100.0).level, board.endpoints()) == (None, ())
    with pytest.raises(ClosedError, match="make a new one"):
        endpoint.beat(2.0)


def test_no_clear_forgets_an_endpoint_that_lives_in_whatever_place(board: StopBoard) -> None:
    names = [f"e{index}" for index in range(layout.ENDPOINTS)]
    endpoints = [Endpoint(board, name, 1.0, StopLevel.HOLD, 0.0) for name in names]
    assert board.clear(5.0, "the operator").silent == tuple(names)
    # The kernel takes the lock of a dead one back: it alone is forgotten.
    dead = endpoints[5]._lock
    assert dead is not None
    board.block.unlock(dead)
    assert board.clear(5.0, "the operator").silent == tuple(name for name in names if name != "e5")


def test_a_living_silent_endpoint_is_not_cleared_away(board: StopBoard) -> None:
    endpoint = Endpoint(board, "x", 1.0, StopLevel.CUT, 0.0)
    endpoint.beat(0.0)
    assert board.clear(5.0, "the operator").silent == ("x",)
    endpoint.beat(5.0)
    assert board.clear(5.0, "the operator").level is None


@pytest.mark.parametrize("foreign_s", [math.nan, math.inf, 1e9])
def test_a_deadline_of_another_clock_is_silence(board: StopBoard, foreign_s: float) -> None:
    endpoint = Endpoint(board, "x", 1.0, StopLevel.CUT, 0.0)
    endpoint.check_in(answer_to(endpoint.challenge), foreign_s)
    assert board.state(10.0).silent == ("x",)


def test_the_highest_of_trips_and_silences_counts(board: StopBoard) -> None:
    endpoint = Endpoint(board, "x", 1.0, StopLevel.SETTLE, 0.0)
    board.trip(StopLevel.HOLD, "button", 0.0)
    assert board.state(0.0).source == "x has not checked in"
    board.trip(StopLevel.SETTLE, "button", 0.0)
    assert board.state(0.0).source == "button"
    endpoint.beat(0.0)
    assert board.state(0.0).level is StopLevel.SETTLE


def test_bounds_are_named(board: StopBoard) -> None:
    for timeout_s in (0.09, 61.0, math.nan):
        with pytest.raises(UsageError, match=r"choose 0\.1 to 60"):
            Endpoint(board, "x", timeout_s, StopLevel.HOLD, 0.0)
    for name in ("", "ä" * 21, "two\nlines"):
        with pytest.raises(UsageError, match="1 to 40 printable"):
            Endpoint(board, name, 1.0, StopLevel.HOLD, 0.0)
    there = [Endpoint(board, f"e{i}", 1.0, StopLevel.HOLD, 0.0) for i in range(layout.ENDPOINTS)]
    with pytest.raises(UsageError, match=r"all 8 endpoints .* are taken"):
        Endpoint(board, "one more", 1.0, StopLevel.HOLD, 0.0)
    there[3].deregister(0.0)
    with pytest.raises(UsageError, match="registered by process"):
        Endpoint(board, "e4", 1.0, StopLevel.HOLD, 0.0)
    Endpoint(board, "one more", 1.0, StopLevel.HOLD, 0.0)
    assert "one more" in board.state(0.0).silent


def test_registering_waits_for_nobody(board: StopBoard) -> None:
    assert board.block.lock(layout.REGISTER_LOCK) is not None
    with pytest.raises(RobotError, match="try again"):
        Endpoint(board, "x", 1.0, StopLevel.HOLD, 0.0)


def beating(board: StopBoard, name: str) -> subprocess.Popen[str]:
    """Start a process that registers and checks in for ever; return it when it has done so once."""
    code = f"from tests.safety.test_endpoint import beat_for_ever; beat_for_ever({board.name!r}, {name!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "beating\n"
    return process


def beat_for_ever(board: str, name: str) -> None:
    endpoint = Endpoint(StopBoard(board), name, TIMEOUT_S, StopLevel.SETTLE, monotonic_s())
    endpoint.beat(monotonic_s())
    sys.stdout.write("beating\n")
    sys.stdout.flush()
    while True:
        endpoint.beat(monotonic_s())
        sleep_s(0.01)


def test_a_killed_endpoint_is_lost_within_its_timeout_and_an_operator_forgets_it(board: StopBoard) -> None:
    with beating(board, "heartbeat") as process:
        process.kill()
        process.wait()
        killed_s = monotonic_s()
    # What the board will say, whenever it is asked.
    state = board.state(killed_s + TIMEOUT_S)
    assert (state.level, state.silent) == (StopLevel.SETTLE, ("heartbeat",))
    assert state.stamp_s <= killed_s + TIMEOUT_S
    assert board.clear(killed_s + TIMEOUT_S, "the operator").level is None
    assert board.endpoints() == ()


def test_whoever_takes_a_dead_endpoints_place_does_not_release_its_stop(board: StopBoard) -> None:
    with beating(board, "heartbeat") as process:
        with pytest.raises(UsageError, match=f"registered by process {process.pid}"):
            Endpoint(board, "heartbeat", 1.0, StopLevel.HOLD, monotonic_s())
        process.kill()
        process.wait()
    now_s = monotonic_s()
    again = Endpoint(board, "heartbeat", 1.0, StopLevel.HOLD, now_s)
    again.beat(now_s)
    state = board.state(now_s)
    assert (state.level, state.source, len(board.endpoints())) == (StopLevel.SETTLE, "heartbeat died", 1)


def test_an_endpoint_that_died_before_it_ever_checked_in_leaves_nothing_behind(board: StopBoard) -> None:
    before = Endpoint(board, "x", 1.0, StopLevel.CUT, 0.0)
    assert before._lock is not None
    # What the kernel does for the dead.
    board.block.unlock(before._lock)
    again = Endpoint(board, "x", 1.0, StopLevel.HOLD, 2.0)
    again.beat(2.0)
    state = board.state(2.0)
    assert (state.level, state.sequence, len(board.endpoints())) == (None, 0, 1)


def test_a_place_that_somebody_holds_is_left_to_them(board: StopBoard) -> None:
    for index in range(layout.ENDPOINTS - 1):
        assert board.block.lock(layout.ENDPOINT_LOCK + index) is not None
    Endpoint(board, "x", 1.0, StopLevel.HOLD, 0.0)
    assert layout.registered_places(board.block.memory) == [layout.ENDPOINTS - 1]


def test_an_answer_is_the_complement_of_a_challenge_of_32_bits(board: StopBoard) -> None:
    for challenge, answer in ((0, 0xFFFFFFFF), (0xFFFFFFFF, 0), (0x0F0F0F0F, 0xF0F0F0F0)):
        assert answer_to(challenge) == answer
    endpoint = Endpoint(board, "x", 1.0, StopLevel.HOLD, 0.0)
    challenges = []
    for _ in range(20):
        challenges.append(endpoint.challenge)
        assert endpoint.check_in(answer_to(endpoint.challenge), 0.0)
    # Another each time, but for one in 2^32; all of the size, but for one in 2^160.
    assert len(set(challenges)) > 18
    assert 2**24 < max(challenges) < 2**32


def test_names_and_timeouts_may_be_at_their_bounds(board: StopBoard) -> None:
    for name, timeout_s in (("a", 0.1), ("ä" * 20, 60.0)):
        assert name in [endpoint.name for endpoint in (Endpoint(board, name, timeout_s, StopLevel.HOLD, 0.0), *board.endpoints())]
    assert [(endpoint.name, endpoint.timeout_s) for endpoint in board.endpoints()] == [("a", 0.1), ("ä" * 20, 60.0)]


def test_a_registration_has_a_challenge_that_nobody_could_know(board: StopBoard) -> None:
    challenges = []
    for _ in range(3):
        endpoint = Endpoint(board, "x", 1.0, StopLevel.HOLD, 0.0)
        challenges.append(endpoint.challenge)
        endpoint.deregister(0.0)
    assert 0 not in challenges
    assert len(set(challenges)) == 3
