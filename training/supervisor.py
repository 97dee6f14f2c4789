"""Starts the processes of a run, notices when one dies, and starts it again."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from robot.clock import monotonic_s
from robot.errors import FetlockError, RobotError
from training.roles import orphaned

# A child that dies more often than this in a minute will not be better the next time.
_DEATHS_IN_A_MINUTE = 5
# A child that was asked to stop and has not within this time is killed: a flush and a checkpoint take well under a second.
_STOP_TIMEOUT_S = 20.0
# Exit code of a child that ended with an error that the user must act on: starting it again would fail again.
_EXIT_FATAL = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Role:
    """A process of the run: `body` runs in a spawned process and returns when the run is over."""

    name: str
    body: Callable[[], None]


@dataclass(slots=True)
class _Child:
    role: Role
    process: BaseProcess
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=_DEATHS_IN_A_MINUTE))


class Supervisor:
    """Keeps the processes of a run alive.

    Args:
        roles: What to run; bodies must be picklable (functions of a module, `functools.partial` of them).
        logs: Folder for what each child prints, one file each.
    """

    def __init__(self, roles: list[Role], logs: Path) -> None:
        self._roles = roles
        self._logs = logs
        self._children: dict[str, _Child] = {}
        self.restarts: dict[str, int] = {role.name: 0 for role in roles}

    def start(self) -> None:
        """Start every child."""
        self._logs.mkdir(parents=True, exist_ok=True)
        for role in self._roles:
            self._children[role.name] = _Child(role, self._spawn(role))

    def pid(self, name: str) -> int | None:
        """Return the process id of a child now, None if it has ended."""
        process = self._children[name].process
        return process.pid if process.is_alive() else None

    def ended(self, name: str) -> bool:
        """Tell whether a child returned by itself."""
        return self._children[name].process.exitcode == 0

    def poll(self) -> list[str]:
        """Start dead children again; return their names.

        Raises:
            RobotError: If a child ended with an error that a restart cannot mend, or died too often.
        """
        restarted = []
        for child in self._children.values():
            code = child.process.exitcode
            if code is None or code == 0:
                continue
            where = self._logs / f"{child.role.name}.log"
            if code == _EXIT_FATAL:
                raise RobotError(f"the {child.role.name} stopped: {_last_line(where)}; mend that, then go on with --resume")
            now_s = monotonic_s()
            if len(child.deaths) == _DEATHS_IN_A_MINUTE and now_s - child.deaths[0] < 60.0:
                raise RobotError(
                    f"the {child.role.name} died {_DEATHS_IN_A_MINUTE + 1} times in a minute: see {where}, then go on with --resume"
                )
            child.deaths.append(now_s)
            _log.warning("the %s died (%s): starting it again", child.role.name, _cause(code))
            child.process = self._spawn(child.role)
            self.restarts[child.role.name] += 1
            restarted.append(child.role.name)
        return restarted

    def join(self) -> None:
        """Wait until every child has returned; kill those that take longer than 20 s. The caller asked them to stop."""
        deadline_s = monotonic_s() + _STOP_TIMEOUT_S
        for child in self._children.values():
            child.process.join(max(0.0, deadline_s - monotonic_s()))
            if child.process.exitcode is None:
                _log.warning("the %s did not stop within %.0f s: killed", child.role.name, _STOP_TIMEOUT_S)
                child.process.kill()
                child.process.join()

    def _spawn(self, role: Role) -> BaseProcess:
        process = multiprocessing.get_context("spawn").Process(
            target=_child_main, args=(role, self._logs / f"{role.name}.log"), name=f"fetlock-{role.name}", daemon=True
        )
        process.start()
        return process


def _child_main(role: Role, log: Path) -> None:
    """Run a role with its output in a file; Ctrl-C and SIGTERM, which reach the whole group, are the supervisor's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    # Held until this process and all that it starts have ended: who goes on with the run waits for that (`training.runs.lock_run`).
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    if orphaned()():
        # The supervisor died while this process was starting: the run may be somebody else's already.
        os._exit(0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    try:
        role.body()
    except FetlockError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        os._exit(_EXIT_FATAL)
    except BaseException:  # noqa: BLE001 (the last thing that the process does)
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _cause(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return lines[-1] if lines else "it left no message"
