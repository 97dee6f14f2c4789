"""What the console watches: a run by its folder, a motion process by its name, or whatever lives on this machine."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from fetlock.config import RunConfig, load_config
from fetlock.motion_process import motion_name
from fetlock.run_processes import words_of_motion
from fetlock.stop_motion import targets
from robot.dynamixel.port import holding_process
from robot.errors import FetlockError, UsageError
from safety.motion_link import server_pid


@dataclass(frozen=True, slots=True)
class Subject:
    """What lives at this moment.

    Attributes:
        name: For the page.
        pid: Process whose end is the subject's end.
        motion: Name of its motion process; None where the robot is driven by the run's own process.
        run: Folder and process of the run; None for a motion process without one.
        config: Of the robot; None if that cannot be told.
    """

    name: str
    pid: int
    motion: str | None
    run: tuple[Path, int] | None
    config: RunConfig | None


@dataclass(frozen=True, slots=True)
class Choice:
    """What the operator chose to watch: a run's folder, a motion process's name, or neither: the newest of what lives.

    Attributes:
        runs_dir: Where runs are looked for.
        run: Folder.
        motion: Name.
    """

    runs_dir: Path
    run: Path | None = None
    motion: str | None = None

    def find(self) -> Subject | None:
        """Return what lives of it now."""
        if self.motion is not None:
            return _of_motion(self.motion)
        if self.run is not None:
            return _of_run(self.run)
        return next((found for folder in _newest_runs(self.runs_dir) if (found := _of_run(folder)) is not None), None) or next(
            (found for name in _motions() if (found := _of_motion(name)) is not None), None
        )

    @property
    def waiting(self) -> str:
        """What is waited for, one sentence."""
        if self.motion is not None:
            return f"No motion process {self.motion} runs. Waiting for it."
        if self.run is not None:
            return f"No process works in {self.run}. Waiting for the run to go on (fetlock train --resume)."
        return f"Nothing runs: no run in {self.runs_dir}/, no motion process. Waiting for one."


def choose(runs_dir: Path, run: str | None, motion: str | None) -> Choice:
    """Return the choice of `--run` and `--motion`.

    Args:
        runs_dir: Where run folders are.
        run: Name of a run there, or its folder.
        motion: Name of a motion process.

    Raises:
        UsageError: If both are given, or there is no such run.
    """
    if run is not None and motion is not None:
        raise UsageError("--run and --motion are two things to watch: give one")
    if run is None:
        return Choice(runs_dir, motion=motion)
    for folder in (Path(run), runs_dir / run):
        if (folder / "config.yaml").is_file():
            return Choice(runs_dir, run=folder)
    known = [folder.name for folder in _newest_runs(runs_dir)]
    close = difflib.get_close_matches(run, known, n=1, cutoff=0.0)
    there = f"the nearest is {close[0]}" if close else "there is none yet: begin one, or leave --run out to wait for the first"
    raise UsageError(f"--run {run}: there is no such run in {runs_dir}/: {there}")


def _newest_runs(runs_dir: Path) -> list[Path]:
    configs = [*runs_dir.glob("*/config.yaml")] if runs_dir.is_dir() else []
    return [path.parent for path in sorted(configs, key=lambda path: path.stat().st_mtime, reverse=True)]


def _motions() -> list[str]:
    found = targets()
    for target in found:
        target.close()
    return [target.name for target in found if target.pid is not None]


def _of_run(folder: Path) -> Subject | None:
    pid = holding_process(str(folder / ".lock"))
    if pid is None:
        return None
    motion = motion_name(pid)
    served = motion if server_pid(motion) is not None else None
    return Subject(f"run {folder.name}", pid, served, (folder, pid), _config(["--config", str(folder / "config.yaml")]))


def _of_motion(name: str) -> Subject | None:
    pid = server_pid(name)
    if pid is None:
        return None
    words = words_of_motion(pid)
    return Subject(f"motion process {name}", pid, name, None, None if words is None else _config(words))


def _config(words: list[str]) -> RunConfig | None:
    try:
        return load_config(words)
    except FetlockError:
        return None


def goes_on(subject: Subject) -> bool:
    """Tell whether the subject still lives, and is what it was: a run's motion process comes later than the run."""
    if subject.run is None:
        return subject.motion is not None and server_pid(subject.motion) == subject.pid
    if holding_process(str(subject.run[0] / ".lock")) != subject.pid:
        return False
    return subject.motion is not None or server_pid(motion_name(subject.pid)) is None
