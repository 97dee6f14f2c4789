"""`fetlock stop`: real programs on a board of their own, motion processes that answer or do not, stations on a pseudo-terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from robot import FetlockError
from robot.clock import monotonic_s, sleep_s
from robot.transport import StandingBlock
from safety import MotionLink, sweep_dead
from safety.estop import StopBoard
from safety.stop_records import StopLevel
from tests.safety.served import unique
from tests.waiting import eventually

pytestmark = pytest.mark.realtime

ROOT = Path(__file__).resolve().parents[2]
_SOON_S = 60.0
HEARTBEAT_S = 0.6


@pytest.fixture(autouse=True)
def board_name(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = unique()
    monkeypatch.setenv("FETLOCK_ESTOP", name)
    yield name
    Path("/dev/shm", name).unlink(missing_ok=True)


@pytest.fixture
def board(board_name: str) -> Iterator[StopBoard]:
    with StopBoard(board_name) as made:
        yield made


def stop(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fetlock", "stop", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def level(board: StopBoard) -> StopLevel | None:
    return board.state(monotonic_s()).level


@contextmanager
def serving(**environment: str) -> Iterator[str]:
    """Run a motion process of no robot, as fast as its core goes."""
    name = unique()
    code = f"from tests.safety.served import *; spin({name!r}, CountingRobot)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment}) as process:
        try:
            assert eventually(lambda: Path(f"/dev/shm/fetlock-motion-{name}-words").exists() and ticks(name) > 0)
            yield name
        finally:
            process.kill()
            process.wait()
            sweep_dead(name)


def ticks(name: str) -> int:
    try:
        link = MotionLink.attach(name)
    except FetlockError:
        return 0
    count = link.ticks.head
    link.close()
    return count


def asked_to_stop(name: str) -> bool:
    link = MotionLink.attach(name)
    asked = link.words.get("stop_s") > 0.0
    link.close()
    return asked


def pid_of(name: str) -> int:
    link = MotionLink.attach(name)
    pid = link.introduction().pid
    link.close()
    return pid


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), StopLevel.HOLD),
        (("--settle",), StopLevel.SETTLE),
        (("--cut",), StopLevel.CUT),
        (("--terminate",), StopLevel.TERMINATE),
        (("--level", "settle"), StopLevel.SETTLE),
    ],
)
def test_a_stop_needs_no_board_and_stops_who_comes_later(arguments: tuple[str, ...], expected: StopLevel, board_name: str) -> None:
    result = stop(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"stopped: {expected.name} on the board {board_name} (trip 1)" in result.stdout
    with StopBoard(board_name) as later:
        state = later.state(monotonic_s())
        assert (state.level, state.source, state.sequence) == (expected, "fetlock stop", 1)
        assert 0.0 < monotonic_s() - state.stamp_s < _SOON_S


def test_the_operator_sees_and_clears(board: StopBoard) -> None:
    assert "nothing in force, 0 trips so far" in stop("--status").stdout
    board.trip(StopLevel.CUT, "console", monotonic_s())
    assert "CUT by console in force, 1 trips so far" in stop("--status").stdout
    cleared = stop("--clear")
    assert (cleared.returncode, level(board)) == (0, None)
    shown = stop("--status")
    assert (shown.returncode, "last cleared" in shown.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--level", "gently"), "'gently'"),
        (("--cut", "--settle"), "not allowed with"),
        (("--clear", "--cut"), "ask for no level"),
        (("--clear", "--watch"), "not allowed with"),
        (("--heartbeat",), "add --watch"),
        (("--button", "/dev/null"), "add --watch"),
        (("--watch",), "needs a terminal"),
        (("--watch", "--button", "COM1"), "--button COM1"),
        (("--stop",), "unknown option --stop"),
    ],
)
def test_a_wrong_call_is_one_line_and_trips_nothing(arguments: tuple[str, ...], part: str, board: StopBoard) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "fetlock", "stop", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr.count("\n"), result.stdout) == (2, 1, "")
    assert part in result.stderr
    assert (level(board), board.endpoints()) == (None, ())


def test_a_stop_loads_nothing_heavy() -> None:
    code = "import sys, fetlock.stop; fetlock.stop.run([]); sys.stderr.write(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(result.stderr.split())
    assert loaded & {"torch", "pybullet", "sim", "training", "policy", "cv2", "yaml", "serial", "matplotlib", "rich"} == set()


def test_motion_processes_are_stopped_at_once_and_say_so(board: StopBoard) -> None:
    with serving() as first, serving() as second, serving(FETLOCK_ESTOP=unique()) as foreign:
        result = stop("--cut")
        assert result.returncode == 0, result.stdout
        for name in (first, second):
            assert f"motion process {name} (process {pid_of(name)}): confirmed, it holds" in result.stdout
        assert foreign not in result.stdout
        assert not asked_to_stop(foreign)
        assert f"motion process {first} (process {pid_of(first)}): runs" in stop("--status").stdout
    assert level(board) is StopLevel.CUT


def test_a_process_that_does_not_answer_is_named_and_the_others_are_stopped(board: StopBoard) -> None:
    with serving() as frozen, serving() as well:
        os.kill(pid_of(frozen), signal.SIGSTOP)
        result = stop()
        assert result.returncode == 1
        assert f"motion process {frozen} (process {pid_of(frozen)}): not confirmed: it does not answer" in result.stdout
        assert f"motion process {well} (process {pid_of(well)}): confirmed" in result.stdout
    assert level(board) is StopLevel.HOLD


def test_a_broken_board_keeps_no_motion_process_from_stopping(board_name: str) -> None:
    StandingBlock(board_name, 64).close()
    with serving() as name:
        result = stop()
        assert (result.returncode, "another version" in result.stderr) == (1, True)
        assert f"{name} (process {pid_of(name)}): confirmed" in result.stdout


def test_a_killed_motion_process_is_no_motion_process() -> None:
    with serving() as name:
        os.kill(pid_of(name), signal.SIGKILL)
        assert eventually(lambda: name not in stop("--status").stdout)
        assert stop().returncode == 0


def test_a_server_to_which_no_client_can_attach_is_stopped_all_the_same() -> None:
    with serving() as name:
        pid = pid_of(name)
        for part in ("status", "ticks", "command"):
            Path(f"/dev/shm/fetlock-motion-{name}-{part}").unlink()
        assert f"motion process {name} (process {pid}): confirmed" in stop().stdout


@contextmanager
def station(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a station on a terminal; yield it and the end at which one types, when it watches."""
    master, slave = os.openpty()
    command = [sys.executable, "-m", "fetlock", "stop", "--watch", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=slave, stdout=subprocess.PIPE, text=True) as process:
        os.close(slave)
        try:
            assert process.stdout is not None
            assert "any key is" in process.stdout.readline()
            yield process, master
        finally:
            process.kill()
            os.close(master)


@pytest.mark.parametrize("key", [b" ", b"x", b"\x03", b"\x1a", b"\x13", b"\x1b[A", b"\n"])
def test_any_key_stops_and_q_ends_the_station(key: bytes, board: StopBoard) -> None:
    with station() as (process, keyboard):
        assert level(board) is None
        os.write(keyboard, key)
        assert eventually(lambda: level(board) is StopLevel.CUT)
        assert board.state(monotonic_s()).source == "keyboard"
        os.write(keyboard, b"q")
        assert process.wait(_SOON_S) == 0
    assert board.state(monotonic_s()).sequence == 1


def test_a_key_stops_motion_processes_at_the_level_that_was_chosen(board: StopBoard) -> None:
    with serving() as name, station("--level", "hold") as (_, keyboard):
        os.write(keyboard, b" ")
        assert eventually(lambda: asked_to_stop(name))
        assert level(board) is StopLevel.HOLD


def test_a_heartbeat_that_ends_in_order_stops_nothing(board: StopBoard) -> None:
    with station("--heartbeat", str(HEARTBEAT_S)) as (process, keyboard):
        assert eventually(lambda: level(board) is None and len(board.endpoints()) == 1)
        began_s = monotonic_s()
        while monotonic_s() < began_s + 2 * HEARTBEAT_S:
            sleep_s(0.01)
        assert len(board.endpoints()) == 1
        os.write(keyboard, b"q")
        assert process.wait(_SOON_S) == 0
    assert board.endpoints() == ()


def test_a_killed_station_is_a_stop_until_an_operator_clears(board: StopBoard) -> None:
    with station("--heartbeat", str(HEARTBEAT_S)) as (process, _):
        assert eventually(lambda: len(board.endpoints()) == 1 and level(board) is None)
        process.kill()
        process.wait()
        killed_s = monotonic_s()
    state = board.state(killed_s + HEARTBEAT_S)
    assert (state.level, len(state.silent)) == (StopLevel.CUT, 1)
    assert eventually(lambda: level(board) is StopLevel.CUT)
    assert stop("--clear").returncode == 0
    assert level(board) is None


def test_a_terminal_that_goes_away_is_a_stop(board: StopBoard) -> None:
    with station() as (process, keyboard):
        # The other end is closed in the station's place: reading is at its end from then on.
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, keyboard)
        os.close(null)
        assert process.wait(_SOON_S) == 1
    assert "terminal is gone" in board.state(monotonic_s()).source


def test_a_pressed_button_stops_and_cannot_be_cleared_away(board: StopBoard) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        with station("--button", os.ttyname(slave), "--settle") as (process, keyboard):
            assert eventually(lambda: len(board.endpoints()) == 1)
            assert level(board) is StopLevel.SETTLE

            def fine() -> bool:
                os.write(master, b"OK\n")
                return level(board) is None

            assert eventually(fine)
            os.write(master, b"STOP\n")
            assert eventually(lambda: any(f"serial button {os.ttyname(slave)}" == trip.source for trip in board.trips()))
            assert eventually(lambda: len(board.state(monotonic_s()).silent) == 1)
            assert "still in force" in stop("--clear").stdout
            assert eventually(lambda: bool(os.write(master, b"OK\n")) and board.state(monotonic_s()).silent == ())
            assert eventually(lambda: bool(os.write(master, b"OK\n")) and stop("--clear").returncode == 0)
            os.write(keyboard, b"q")
            assert process.wait(_SOON_S) == 0
    finally:
        os.close(master)
        os.close(slave)
