"""Which processes a motion process or a training run has, and whether they drive a robot of metal.

Nothing records them; the kernel knows: who holds the lock of a run's folder is its supervisor, and what a child prints goes to the log of
its role.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

from fetlock.config import load_config
from fetlock.machines import HardwareConfig
from robot.dynamixel.port import holding_process
from robot.errors import FetlockError, RobotError, UsageError
from robot.transport import alive
from safety import MotionLink
from training.runs import LOGS

# Options of `python -m fetlock.motion` that are not the configuration's, and how many words follow each.
_OF_MOTION = {"--name": 1, "--scheduler": 1, "--parent": 1, "--emulator-control": 1, "--cut-on-exit": 0, "--debug": 0}


@dataclass(frozen=True, slots=True)
class Target:
    """A process.

    Attributes:
        pid: Its id.
        role: Of it.
        robot: What it drives, in words.
        metal: Whether that is, or may be, a robot of metal.
    """

    pid: int
    role: str
    robot: str
    metal: bool

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return alive(self.pid)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def limit_files(pid: int, size: int) -> int:
    """Bound the size of files that a process may write to, in bytes; return the bound before (resource.RLIM_INFINITY: none).

    Raises:
        RobotError: If the process is gone or another user's.
    """
    try:
        soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    except (OSError, ValueError) as error:
        raise RobotError(f"process {pid} cannot be limited: {error}") from error
    return soft


def motion_target(name: str) -> Target:
    """Find a motion process.

    Raises:
        StaleError: If there is none of this name.
    """
    link = MotionLink.attach(name)
    try:
        pid = link.introduction().pid
    finally:
        link.close()
    return Target(pid, "motion process", *_robot_of(words_of_motion(pid)))


def run_targets(folder: Path) -> dict[str, Target]:
    """Return the processes of a training run by role, the supervisor first.

    Raises:
        UsageError: If no run goes on in this folder.
    """
    lock = folder / ".lock"
    if not lock.is_file():
        raise UsageError(f"{folder} holds no run: give a folder of `fetlock train`, such as runs/NAME")
    supervisor = holding_process(str(lock))
    if supervisor is None:
        raise UsageError(f"no run goes on in {folder}: start one, or go on with `fetlock train --resume`")
    robot = _robot_of(["--config", str(folder / "config.yaml")])
    targets = {"supervisor": Target(supervisor, "supervisor", *robot)}
    for pid in _children(supervisor):
        with contextlib.suppress(OSError):
            log = Path(f"/proc/{pid}/fd/1").readlink()
            if log.parent.name == LOGS and log.parent.parent == folder.resolve():
                targets[log.stem] = Target(pid, log.stem, *robot)
    return targets


def _children(pid: int) -> list[int]:
    # proc(5): a list of the children of a thread; the supervisor starts all of them from its main one.
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def words_of_motion(pid: int) -> list[str] | None:
    """Return the flags of the configuration that a motion process was started with; None if that cannot be told."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
        folder = Path(f"/proc/{pid}/cwd").readlink()
        left = words[words.index("fetlock.motion") + 1 :]
    except (OSError, ValueError):
        return None
    flags: list[str] = []
    while left:
        word = left.pop(0)
        if word in _OF_MOTION:
            del left[: _OF_MOTION[word]]
        else:
            flags.append(str(folder / word) if flags and flags[-1] in ("--config", "--overlay") else word)
    return flags


def _robot_of(words: list[str] | None) -> tuple[str, bool]:
    """Say what a configuration drives, and whether it is of metal; what cannot be told counts as metal."""
    if words is None:
        return "what cannot be told from here", True
    try:
        robot = load_config(words).robot
    except FetlockError:
        return "what its configuration does not tell", True
    if isinstance(robot, HardwareConfig):
        return f"a robot of metal on {robot.port}", True
    return f"an emulated or simulated {robot.kind}", False
