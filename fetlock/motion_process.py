"""The motion process as a child of this one: started, awaited, ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from robot.clock import monotonic_s, sleep_s
from robot.errors import FetlockError, RobotError, StaleError, UsageError
from safety import MotionLink, sweep_dead
from safety.motion_link import About

# Importing the simulation took 1 to 8 s on two busy cores (measured); arming and connecting add about a second.
_START_S = 60.0
# The loop looks for a signal at every tick; releasing a robot takes under a second. One that takes longer is killed.
_STOP_S = 10.0


def motion_name(pid: int) -> str:
    """Return the name of the motion process of a run, by the run's own process id."""
    return f"fetlock-run-{pid}"


class MotionProcess:
    """Starts `python -m fetlock.motion`; it ends with this process, with the robot stopped. A context manager: started, ready, ended.

    Args:
        name: Under which clients find it.
        arguments: Its other options: `--config FILE`, `--scheduler`, keys of the configuration.
        log: File that gets what it prints.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        self.name = name
        self._arguments = list(arguments)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, None while it does not run."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Start it; it is not ready yet. Does nothing if it runs."""
        if self.pid is not None:
            return
        command = [sys.executable, "-m", "fetlock.motion", "--name", self.name, "--parent", str(os.getpid()), *self._arguments]
        # A session of its own: Ctrl-C is for the parent, which ends it in good order. One thread of NumPy's: others would delay it.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)

    def wait_until_ready(self) -> About:
        """Wait until clients can attach; return who serves.

        Raises:
            RobotError: If it ended, with its last line, or is not ready after a minute.
        """
        limit_s = monotonic_s() + _START_S
        while monotonic_s() < limit_s:
            if (pid := self.pid) is None:
                raise RobotError(f"the motion process {self.name!r} did not start: {self._last_line()}")
            try:
                link = MotionLink.attach(self.name)
            except FetlockError:
                sleep_s(0.02)
                continue
            about = link.introduction()
            link.close()
            if about.pid == pid:
                return about
            sleep_s(0.02)
        raise StaleError(f"the motion process {self.name!r} was not ready after {_START_S:.0f} s: see {self._log}")

    def terminate(self) -> int | None:
        """End it with SIGTERM, by force after ten seconds, and remove what a killed one left; return its exit code."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            code = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        # Another that has the name by now keeps it.
        with contextlib.suppress(UsageError):
            sweep_dead(self.name)
        return code

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it left no message"

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.terminate()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.terminate()
