"""The motion processes of this user, and their stop words: how they are stopped whatever they know of the stop board."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from robot.clock import monotonic_s, sleep_s
from robot.errors import FetlockError
from safety.estop import BOARD_VARIABLE
from safety.motion_link import StopWord, served_names, server_pid

# A bus tick is 2 to 20 ms: who looks this often confirms without delay and without spinning.
_LOOK_S = 0.002


@dataclass(frozen=True, slots=True)
class Target:
    """A motion process that may be stopped: its name, who serves (None: nobody whom this process may see), and its stop word or why not."""

    name: str
    pid: int | None
    word: StopWord | None
    why: str = "it does not answer"

    def __str__(self) -> str:
        return f"motion process {self.name}" + ("" if self.pid is None else f" (process {self.pid})")

    def confirmed(self, asked_s: float) -> bool:
        """Tell whether it holds since it was asked (monotonic, s)."""
        return self.word is not None and self.word.confirmed(asked_s)

    def close(self) -> None:
        """Detach."""
        if self.word is not None:
            self.word.close()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a motion process said that it holds, and this as one line."""

    confirmed: bool
    line: str


def targets() -> list[Target]:
    """Find the motion processes that belong to the same stop board, and what is left of killed ones: nobody serves there."""
    found = []
    for name in served_names():
        pid = server_pid(name)
        if pid is not None and not _same_board(pid):
            continue
        try:
            found.append(Target(name, pid, StopWord(name)))
        except FetlockError as error:
            found.append(Target(name, pid, None, str(error)))
    return found


def stop_motion(patience_s: float) -> list[Outcome]:
    """Ask all of them to hold at once, and wait until those that somebody serves have confirmed it.

    Args:
        patience_s: How long to wait at most, s.
    """
    asked = targets()
    asked_s = monotonic_s()
    for target in asked:
        if target.word is not None:
            target.word.post(asked_s)
    served = [target for target in asked if target.pid is not None and target.word is not None]
    while not all(target.confirmed(asked_s) for target in served) and monotonic_s() < asked_s + patience_s:
        sleep_s(_LOOK_S)
    outcomes = [_outcome(target, asked_s) for target in asked if target.pid is not None or target.confirmed(asked_s)]
    for target in asked:
        target.close()
    return outcomes


def _outcome(target: Target, asked_s: float) -> Outcome:
    confirmed = target.confirmed(asked_s)
    return Outcome(confirmed, f"{target}: confirmed, it holds" if confirmed else f"{target}: not confirmed: {target.why}")


def _same_board(pid: int) -> bool:
    """Tell whether a process was started with this one's FETLOCK_ESTOP; if nobody may say, it counts as ours."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\x00")
    except OSError:
        return True
    start = f"{BOARD_VARIABLE}=".encode()
    theirs = next((word[len(start) :] for word in words if word.startswith(start)), b"")
    return theirs == os.environ.get(BOARD_VARIABLE, "").encode()
