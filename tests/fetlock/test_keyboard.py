"""Space beside a run, on a real terminal: it holds the robot, and no other key does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from robot.clock import monotonic_s
from safety.estop import StopBoard
from safety.stop_records import StopLevel
from safety.types import Mode
from tests.fetlock.recorded import record_run
from tests.safety.served import unique
from tests.waiting import eventually
from training.rollout_log import log_files, read_log, read_run

pytestmark = pytest.mark.realtime

ROOT = Path(__file__).resolve().parents[2]
_SOON_S = 60.0
# Give a program a terminal of its own, in whose foreground it is.
_START = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[StopBoard]:
    name = unique()
    monkeypatch.setenv("FETLOCK_ESTOP", name)
    with StopBoard(name) as made:
        yield made
    Path("/dev/shm", name).unlink(missing_ok=True)


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a policy in real time on a terminal; yield it and the end at which one types."""
    record_run(folder / "mine", episodes=1)
    words = ["run", "--policy", str(folder / "mine"), "--runs-dir", str(folder), "--name", "done", "--realtime", "--duration", "100"]
    master, slave = os.openpty()
    command = [sys.executable, "-c", _START, "-m", "fetlock", *words]
    with subprocess.Popen(command, cwd=ROOT, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        os.close(slave)
        try:
            yield process, master
        finally:
            process.kill()
            os.close(master)


def test_space_holds_a_robot_that_is_run_from_a_terminal(tmp_path: Path, board: StopBoard) -> None:
    with running(tmp_path) as (process, keyboard):
        rollouts = tmp_path / "done" / "rollouts"

        def steps() -> int:
            return len(read_run(rollouts)) if rollouts.is_dir() else 0

        assert eventually(lambda: steps() > 20)
        os.write(keyboard, b"x")
        before = steps()
        assert eventually(lambda: steps() > before + 5)
        assert board.state(monotonic_s()).level is None
        os.write(keyboard, b" ")
        _, said = process.communicate(timeout=_SOON_S)
        state = board.state(monotonic_s())
        assert (process.returncode, state.level, state.source) == (1, StopLevel.HOLD, "space")
        assert "space holds the robot" in said
        assert "the emergency stop was pressed" in said.splitlines()[-1]
    bus = np.concatenate([read_log(path).bus for path in log_files(rollouts)])
    assert Mode.HOLD in bus["mode"]


def test_a_run_beside_which_nobody_sits_looks_at_no_key(tmp_path: Path, board: StopBoard) -> None:
    record_run(tmp_path / "mine", episodes=1)
    words = ["run", "--policy", str(tmp_path / "mine"), "--runs-dir", str(tmp_path), "--name", "done", "--realtime", "--duration", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "fetlock", *words], cwd=ROOT, input="   ", capture_output=True, text=True, check=False, timeout=_SOON_S
    )
    assert (done.returncode, board.state(monotonic_s()).level) == (0, None)
    assert "space" not in done.stderr
