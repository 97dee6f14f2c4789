"""A run's folder: made once, never overwritten, resumed only with the configuration that it was made with, or to go on further.

config.yaml  prior/  evaluations.jsonl  policy/  policy_last/  rollouts/  checkpoints/  tensorboard/  logs/  videos/  curves.png
walk.mp4  summary.json  report.html
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from robot.clock import monotonic_s, sleep_s, wall_datetime
from robot.errors import FetlockError, UsageError
from robot.files import write_atomically

_CONFIG = "config.yaml"
# What a run began with: `training.prior`.
PRIOR_FOLDER = "prior"
# What the processes of a run print, in its folder.
LOGS = "logs"
# The line of a configuration that says how far a run goes, `train.total_steps`, and nothing of what it does.
_LENGTH = re.compile(r"^  total_steps: ([0-9]+)\n", re.MULTILINE)
# A process without a supervisor ends within a second or two once it looks; loading torch on a crowded machine takes a minute before that.
_ENDING_S, _LOOK_S = 90.0, 0.05
# Below this much free space a run would not get far: a walking run of 20,000 steps writes 30 MB (measured).
_FREE_BYTES = 200_000_000


def run_path(runs_dir: Path, name: str | None, kind: str) -> Path:
    """Return the folder of a run: its name in the folder of runs, by default its kind and the time.

    Raises:
        UsageError: If the name would lead elsewhere.
    """
    if name is None:
        return runs_dir / f"{kind}-{wall_datetime():%Y%m%d-%H%M%S}"
    if name in ("", ".", "..") or Path(name).name != name:
        raise UsageError(f"--name {name!r} is no name of a folder: give one without slashes, and --runs-dir for where it is made")
    return runs_dir / name


class RunFolder:
    """An open run folder, locked against a second process.

    Use as a context manager.

    Attributes:
        path: Of the folder.
        config_sha: SHA-256 of its configuration without its length: the same for a run that goes on further.
    """

    def __init__(self, path: Path, config_text: str, lock: IO[str]) -> None:
        self.path = path
        self.config_sha = hashlib.sha256(_without_length(config_text).encode()).hexdigest()
        self._lock = lock

    @classmethod
    def create(cls, path: Path, config_text: str) -> RunFolder:
        """Make a new run.

        Raises:
            UsageError: If the folder exists.
            FetlockError: If it cannot be written or the disk is nearly full.
        """
        if path.exists() and any(path.iterdir() if path.is_dir() else [path]):
            raise UsageError(f"{path} exists already: go on with it by --resume, or give another --name")
        try:
            path.mkdir(parents=True, exist_ok=True)
            _require_space(path)
            lock = lock_run(path)
            write_atomically(path / _CONFIG, config_text.encode())
        except OSError as error:
            raise FetlockError(f"{path}: a run cannot be made here ({error.strerror}): choose another --runs-dir or fix it") from error
        return cls(path, config_text, lock)

    @classmethod
    def resume(cls, path: Path, config_text: str) -> RunFolder:
        """Open an existing run, to go on as far as it was to go, or further.

        Raises:
            UsageError: If there is no run, or its configuration is another one, or ends earlier.
            FetlockError: If it cannot be written or another process has it.
        """
        if not (path / _CONFIG).is_file():
            raise UsageError(f"{path} holds no run to resume ({_CONFIG} is missing): leave --resume out, or give the --name of a run")
        recorded = (path / _CONFIG).read_text()
        before, now = _without_length(recorded), _without_length(config_text)
        if before != now:
            raise UsageError(f"{path} was made with another configuration ({_first_difference(before, now)}): resume it as it was")
        if _length(config_text) < _length(recorded):
            raise UsageError(
                f"{path} was made for train.total_steps {_length(recorded)}, and {_length(config_text)} is less: resume it as it was, "
                "or for more"
            )
        try:
            _require_space(path)
            lock = lock_run(path)
            if config_text != recorded:
                write_atomically(path / _CONFIG, config_text.encode())
        except OSError as error:
            raise FetlockError(f"{path}: the run cannot be written ({error.strerror}): fix its permissions") from error
        return cls(path, config_text, lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.close()


def lock_run(path: Path) -> IO[str]:
    """Keep every other process from writing into a run's folder, until what is returned is closed; a context manager.

    The processes of a run whose supervisor was killed end by themselves, and write down what they have before: they are waited for.

    Raises:
        FetlockError: If another process has it, or the folder cannot be written.
    """
    lock = (path / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise FetlockError(f"{path} is in use by another process: wait for it, or stop it") from None
    try:
        for log in sorted((path / LOGS).glob("*.log")):
            _await_end(log)
    except FetlockError:
        lock.close()
        raise
    return lock


def _await_end(log: Path) -> None:
    """Wait until no process writes to its log any more; each holds a lock on it (`training.supervisor`)."""
    deadline_s = monotonic_s() + _ENDING_S
    with log.open() as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if monotonic_s() > deadline_s:
                    raise FetlockError(
                        f"the {log.stem} of a run that was killed has not ended within {_ENDING_S:.0f} s: see {log}, and end it"
                    ) from None
                sleep_s(_LOOK_S)
            else:
                return


def _require_space(path: Path) -> None:
    status = os.statvfs(path)
    free = status.f_bavail * status.f_frsize
    if free < _FREE_BYTES:
        raise FetlockError(
            f"{path}: {free // 1_000_000} MB are free and a run needs {_FREE_BYTES // 1_000_000} MB: free some space or move it"
        )


def _without_length(config_text: str) -> str:
    return _LENGTH.sub("", config_text)


def _length(config_text: str) -> int:
    found = _LENGTH.search(config_text)
    return 0 if found is None else int(found[1])


def _first_difference(recorded: str, given: str) -> str:
    for old, new in zip(recorded.splitlines(), given.splitlines(), strict=False):
        if old != new:
            return f"recorded '{old.strip()}', given '{new.strip()}'"
    return "one of them has more lines"
