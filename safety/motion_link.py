"""The shared memory between the motion process and its clients: five blocks under one name.

    server --about, status, ticks--> anyone        owner --command--> server        anyone --stop--> server

The server creates and locks them; the owner of the command side holds the lock of the command block, which the kernel takes back from a
dead one.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from robot.errors import FetlockError, StaleError, UsageError
from robot.transport import Block, Counters, Latest, Ring, find, lock_holder
from safety.motion_records import ABOUT, STATUS, command_dtype, tick_dtype

# Ticks kept for readers: 20 s at 100 Hz, 4 s at 500 Hz; longer than any pause of a policy that goes on afterwards.
_CAPACITY = 2048
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
# Epoch and owner are written by the owner of the command side, `stop_s` by anyone, the others by the server.
_WORDS = ("epoch", "owner_pid", "stop_s", "stopped_s", "heartbeat_s")
_PARTS = ("about", "status", "ticks", "command", "words")


@dataclass(frozen=True, slots=True)
class About:
    """Who serves: process, bus period, joints, and what the kernel granted it."""

    pid: int
    period_s: float
    joint_names: tuple[str, ...]
    granted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MotionLink:
    """The five blocks of one motion process, attached."""

    name: str
    about: Latest
    status: Latest
    ticks: Ring
    command: Latest
    words: Counters

    @classmethod
    def create(cls, name: str, joints: int) -> MotionLink:
        """Create the blocks, and remove first what a dead server of this name left.

        Raises:
            UsageError: If the name is not usable or a living server has it.
        """
        sweep_dead(name)
        about = Latest.create(_block(name, "about"), ABOUT)
        about.lock()
        return cls(
            name,
            about,
            Latest.create(_block(name, "status"), STATUS),
            Ring.create(_block(name, "ticks"), tick_dtype(joints), _CAPACITY),
            Latest.create(_block(name, "command"), command_dtype(joints)),
            Counters.create(_block(name, "words"), _WORDS),
        )

    @classmethod
    def attach(cls, name: str) -> MotionLink:
        """Attach to a server that is ready.

        Raises:
            StaleError: If there is none, or it is not ready yet.
        """
        _require_name(name)
        try:
            about = Latest.attach(_block(name, "about"), ABOUT)
        except FetlockError as error:
            raise StaleError(f"there is no motion process {name!r}: start it with 'python -m fetlock.motion --name {name}'") from error
        if (record := about.read()) is None:
            about.close()
            raise StaleError(f"the motion process {name!r} is not ready yet: try again")
        joints = int(record["joints"][0])
        return cls(
            name,
            about,
            Latest.attach(_block(name, "status"), STATUS),
            Ring.attach(_block(name, "ticks"), tick_dtype(joints), _CAPACITY),
            Latest.attach(_block(name, "command"), command_dtype(joints)),
            Counters.attach(_block(name, "words"), _WORDS),
        )

    def introduce(self, about: About) -> None:
        """Announce that the server is ready."""
        record = np.zeros(1, ABOUT)
        record["pid"], record["period_s"], record["joints"] = about.pid, about.period_s, len(about.joint_names)
        record["joint_names"] = "\n".join(about.joint_names).encode()
        record["granted"] = "\n".join(about.granted).encode()
        self.about.publish(record)

    def introduction(self) -> About:
        """Return who serves; raises StaleError if nobody has introduced itself."""
        record = self.about.read()
        if record is None:
            raise StaleError(f"the motion process {self.name!r} is not ready yet: try again")
        names, granted = (bytes(record[field][0]).decode().splitlines() for field in ("joint_names", "granted"))
        return About(int(record["pid"][0]), float(record["period_s"][0]), tuple(names), tuple(granted))

    @property
    def owned(self) -> bool:
        """Whether somebody owns the command side now, by its lock."""
        return lock_holder(_block(self.name, "command")) is not None

    def ask_stop(self, now_s: float, sleep: Callable[[float], None], patience_s: float) -> bool:
        """Bring the robot into HOLD, whoever owns it; return whether the server confirmed it in time. Never raises.

        Args:
            now_s: Monotonic time, s; each call's must be later than the one before.
            sleep: Waits so many seconds.
            patience_s: How long to wait for the confirmation.
        """
        period_s = patience_s / 20
        self.words.set("stop_s", now_s)
        for _ in range(20):
            if self.words.get("stopped_s") >= now_s:
                return True
            sleep(period_s)
        return self.words.get("stopped_s") >= now_s

    def close(self) -> None:
        """Detach, and give up the ownership."""
        for block in self._blocks():
            block.close()

    def unlink(self) -> None:
        """Remove the blocks; for the server."""
        for block in self._blocks():
            with contextlib.suppress(FileNotFoundError):
                block.unlink()

    def _blocks(self) -> Iterator[Block]:
        yield from (self.about, self.status, self.ticks, self.command, self.words)


class StopWord:
    """The stop word of a motion process, and nothing else of it: for who stops servers of any version, ready or not.

    Raises:
        FetlockError: If it is not there.
    """

    def __init__(self, name: str) -> None:
        self._words = Counters.attach(_block(name, "words"), _WORDS)

    def post(self, now_s: float) -> None:
        """Ask for HOLD as `MotionLink.ask_stop`, without waiting for anything."""
        self._words.set("stop_s", now_s)

    def confirmed(self, now_s: float) -> bool:
        """Tell whether the server has confirmed the stop that was asked for at a time (monotonic, s)."""
        return self._words.get("stopped_s") >= now_s

    def close(self) -> None:
        """Detach."""
        self._words.close()


def server_pid(name: str) -> int | None:
    """Return the process that serves under a name, by its lock; None if none does, or none that this one may see."""
    return lock_holder(_block(name, "about"))


def served_names() -> list[str]:
    """Return the names under which there are blocks: of motion processes that run, start or were killed."""
    return find(rf"fetlock-motion-({_NAME.pattern})-about")


def sweep_dead(name: str) -> None:
    """Remove the blocks that a dead server of this name left behind.

    Raises:
        UsageError: If it lives, or the name is not usable.
    """
    _require_name(name)
    with contextlib.ExitStack() as stack:
        try:
            about = stack.enter_context(Latest.attach(_block(name, "about"), ABOUT))
            alive = not about.lock()
        except FetlockError:
            # There is none, or another sweeper was faster.
            alive = False
        if alive:
            record = about.read()
            pid = "" if record is None else f" (process {int(record['pid'][0])})"
            raise UsageError(f"a motion process {name!r} runs already{pid}: stop it, or choose another --name")
        for part in _PARTS:
            with contextlib.suppress(FetlockError), Block(_block(name, part), 1, create=False) as block:
                block.unlink()


def _block(name: str, part: str) -> str:
    return f"fetlock-motion-{name}-{part}"


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"a motion process cannot be called {name!r}: use up to 40 small letters, digits, '-' and '_'")
