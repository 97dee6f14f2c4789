"""`./run bench console`: from the press in a real browser to the motion process that holds its robot, and what the page costs.

A client drives an emulated kitty in real time; the page is open; STOP is pressed by mouse and by the space key in turn.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from benchmarks.chromium import Tab, browsing, eventually
from benchmarks.report import Report
from fetlock.motion_process import MotionProcess
from robot.clock import monotonic_s, sleep_s
from robot.errors import RobotError, StaleError, UsageError
from robot.types import Command, FloatArray
from safety import MotionClient, MotionLink
from safety.estop import BOARD_VARIABLE, StopBoard
from safety.types import Cause

# The target of docs/console.md, ms.
_LIMIT_MS = 200.0
_COMMAND_S = 0.04
# Of the pauses between presses.
_SEED = 0
_LOOK_S = 0.001
_SOON_S = 60.0
# Of the two ways of a stop the slower one is over by then; else it would stop the next episode.
_SECOND_WAY_S = 0.3
# How long the page's cost is measured, s.
_IDLE_S = 10.0


def main(argv: Sequence[str]) -> Report:
    """Trip and clear; 50 trips take about a minute."""
    parser = argparse.ArgumentParser(prog="bench console", description=__doc__)
    parser.add_argument("--trips", type=int, default=50, help="(50)")
    parser.add_argument("--config", default="configs/kitty_emulated.yaml", help="of the robot")
    options = parser.parse_args(list(argv))
    if options.trips < 20:
        raise UsageError(f"--trips {options.trips}: give at least 20")
    name = f"fetlock-bench-{os.getpid()}"
    os.environ[BOARD_VARIABLE] = name
    with tempfile.TemporaryDirectory() as folder, StopBoard(name) as board:
        try:
            with (
                MotionProcess(name, ["--config", options.config], Path(folder) / "motion.log"),
                _console(name) as (address, process),
                browsing() as tab,
                _Drive(name) as drive,
            ):
                tab.open(address)
                _require(tab.wait("document.querySelector('.mode')?.textContent === 'ACTIVE'", _SOON_S), "the page did not show the robot")
                cpu = _share_of_core(process.pid)
                hold_ms = _measure(tab, board, drive, options.trips)
        finally:
            Path("/dev/shm", name).unlink(missing_ok=True)
    p99 = round(float(np.percentile(hold_ms, 99)), 1)
    details: dict[str, JsonValue] = {
        "trips": len(hold_ms),
        "press to the first tick in HOLD, ms": _spread(hold_ms),
        "over 200 ms": int((np.array(hold_ms) > _LIMIT_MS).sum()),
        "console's share of a core with one page open": round(cpu, 3),
        "load average when done": round(os.getloadavg()[0], 1),
        "robot": options.config,
    }
    return Report("console", p99, None, _LIMIT_MS, "ms from press to the motion process's first tick in HOLD, p99", [_SEED], details)


def _spread(values_ms: list[float]) -> dict[str, JsonValue]:
    figures = np.percentile(values_ms, (50, 99, 100))
    return dict(zip(("p50", "p99", "max"), (round(float(value), 1) for value in figures), strict=True))


def _measure(tab: Tab, board: StopBoard, drive: _Drive, trips: int) -> list[float]:
    """Press STOP; return the times from the press to the first tick in HOLD, ms."""
    rng = np.random.default_rng(_SEED)
    taken = []
    for trip in range(trips):
        drive.begin()
        # At a random part of a tick, and no press that the page takes for one with the press before.
        sleep_s(0.6 + 0.01 * float(rng.uniform()))
        taken.append(_press(tab, drive, tab.space if trip % 2 else lambda: tab.press("#stop")))
        board.clear(monotonic_s(), "bench")
    return taken


def _press(tab: Tab, drive: _Drive, press: Callable[[], float]) -> float:
    asked_s = press()
    _require(eventually(lambda: drive.held_s() > asked_s, _SOON_S, _LOOK_S), "a stop did not reach the motion process")
    hold_ms = (drive.held_s() - asked_s) * 1e3
    # Its second way has arrived as well by the time the page has its answer.
    _require(tab.wait("document.getElementById('stop-said').className === 'good'"), "the page had no answer")
    sleep_s(_SECOND_WAY_S)
    return hold_ms


class _Drive:
    """Commands a robot the pose that it has, and reads when the motion process came into HOLD.

    Args:
        name: Of the motion process.
    """

    def __init__(self, name: str) -> None:
        self._client = MotionClient(name, monotonic_s, sleep_s)
        self._link = MotionLink.attach(name)
        self._over = threading.Event()
        # The client is one owner of a command side: one command at a time.
        self._lock = threading.Lock()
        self._pose_rad: FloatArray | None = None
        self._thread = threading.Thread(target=self._drive, daemon=True)

    def begin(self) -> None:
        """Begin an episode, and again until one begins.

        Raises:
            StaleError: If none does.
        """

        def begun() -> bool:
            with self._lock:
                try:
                    self._client.release(1)
                    self._pose_rad = self._client.read().joints.position_rad
                except RobotError:
                    return False
            return True

        _require(eventually(begun, _SOON_S, _LOOK_S), "no episode begins")

    def held_s(self) -> float:
        """Return when the first tick that a stop on the board holds was published, monotonic time, s; 0 while none does."""
        ring = self._link.ticks
        head = ring.head
        count = min(head, ring.capacity // 2)
        rows = ring.read(head - count, count)
        others = np.flatnonzero((rows["causes"] & int(Cause.STOP_HOLD)) == 0)
        first = int(others[-1]) + 1 if len(others) else 0
        return float(rows["published_s"][first]) if first < len(rows) else 0.0

    def _drive(self) -> None:
        while not self._over.wait(_COMMAND_S):
            with self._lock:
                if self._pose_rad is not None:
                    self._client.send(Command(self._pose_rad))

    def __enter__(self) -> _Drive:
        self.begin()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._link.close()
        self._client.close()


@contextmanager
def _console(motion: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "fetlock", "console", "--motion", motion, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = "" if process.stdout is None else process.stdout.readline()
            match = re.search(r"http\S+", line)
            if match is None:
                raise RobotError("the console did not start")
            yield match[0], process
        finally:
            process.terminate()


def _share_of_core(pid: int) -> float:
    """Return the CPU time of a process over some seconds, by their length."""
    before = _cpu_s(pid)
    sleep_s(_IDLE_S)
    return (_cpu_s(pid) - before) / _IDLE_S


def _cpu_s(pid: int) -> float:
    # proc(5): fields 14 and 15 of stat, user and system time; the name before them may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _require(met: bool, otherwise: str) -> None:
    if not met:
        raise StaleError(otherwise)
