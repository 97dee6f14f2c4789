"""What a run's files hold after a kill, read file by file, and the sums of a sweep."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks.fault_matrix.outcome import WrongOutcome
from robot.clock import monotonic_s
from robot.errors import FetlockError, LogError, RobotError
from training.link import Link
from training.rollout_log import PART, RolloutLog, log_files, read_log

# A live logger may rename a file between the look at the folder and the look into the file; so often in a row it does not.
_LOOKS = 20
# Promises broken after which a sweep ends.
_WRONG_MAX = 10


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the logger said was safe, as the shared memory of the run tells an outsider."""

    steps: int
    bus: int

    @classmethod
    def of(cls, link: Link) -> Acknowledged:
        """Look at the first collector's rings."""
        return cls(link.steps[0].acknowledged, link.bus[0].acknowledged)


@dataclass(frozen=True, slots=True)
class Found:
    """What is on the disk.

    Attributes:
        steps: Step records of all files, by their number; each number once.
        doubled: Records, of steps and of bus ticks, whose number another one has too.
        missing: Numbers below the largest, of steps and of bus ticks, that no record has.
        bus: Bus ticks.
        unreadable: Finished files that cannot be read to their end.
    """

    steps: NDArray[np.void]
    bus: int
    doubled: int
    missing: int
    unreadable: int


def find(rollouts: Path) -> Found:
    """Read every file of a run of one collector; nothing is taken for granted, damage and doubles are counted."""
    logs, unreadable = _read_all(rollouts)
    steps = [log.steps for log in logs if len(log.steps)]
    bus = np.concatenate([log.bus["sequence"] for log in logs if len(log.bus)] or [np.zeros(0, np.uint64)])
    if not steps:
        return Found(np.zeros(0, [("sequence", "<u8")]), len(bus), 0, 0, unreadable)
    together = np.concatenate(steps)
    numbers, first = np.unique(together["sequence"], return_index=True)
    ticks = np.unique(bus)
    doubled = len(together) - len(numbers) + len(bus) - len(ticks)
    missing = int(numbers[-1]) + 1 - len(numbers) + (int(ticks[-1]) + 1 - len(ticks) if len(ticks) else 0)
    return Found(together[first], len(ticks), doubled, missing, unreadable)


def _read_all(rollouts: Path) -> tuple[list[RolloutLog], int]:
    for _ in range(_LOOKS):
        logs, unreadable = [], 0
        try:
            for path in log_files(rollouts):
                try:
                    log = read_log(path)
                except LogError as error:
                    if isinstance(error.__cause__, FileNotFoundError):
                        raise
                    # One that holds nothing yet is no damage while it is unfinished.
                    unreadable += path.suffix != PART
                    continue
                unreadable += not log.intact and path.suffix != PART
                logs.append(log)
        except LogError:
            continue
        return logs, unreadable
    raise RobotError(f"{rollouts}: files came and went in {_LOOKS} looks in a row")


@dataclass(frozen=True, slots=True)
class Quota:
    """How much a sweep is to do.

    Attributes:
        kills: So many.
        until_s: Or as many as there is time for until then, monotonic time, s.
    """

    kills: int
    until_s: float = math.inf

    def left(self, tally: Tally) -> int:
        """Return how many kills are left; none where so much went wrong that more of it tells nothing new."""
        return 0 if monotonic_s() > self.until_s or tally.wrong.total() >= _WRONG_MAX else self.kills - tally.total


@dataclass(slots=True)
class Tally:
    """The sums of a sweep.

    Attributes:
        kills: By who was killed.
        lost: Records that had been acknowledged and are not on the disk, of steps and of bus ticks.
        doubled: As in `Found`, summed over all looks.
        missing: As in `Found`.
        changed: Looks at which records of an earlier look had become others.
        unreadable: As in `Found`.
        wrong: What else was not as promised, by its text.
        never: Steps that were taken and died with the whole run before they were acknowledged, at most at one kill.
    """

    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    missing: int = 0
    changed: int = 0
    unreadable: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    never: int = 0

    @property
    def total(self) -> int:
        """Number of kills."""
        return sum(self.kills.values())

    @property
    def violations(self) -> int:
        """Everything that should be 0."""
        return self.lost + self.doubled + self.missing + self.changed + self.unreadable + sum(self.wrong.values())

    def judged(self, repeat: Callable[[], object]) -> bool:
        """Run what must go as promised; count and tell whether it did."""
        try:
            repeat()
        except (WrongOutcome, FetlockError) as wrong:
            self.wrong[str(wrong)] += 1
            return False
        return True

    def look(self, rollouts: Path, acknowledged: Acknowledged, before: NDArray[np.void] | None) -> NDArray[np.void]:
        """Count what is wrong with the files; return the steps that they hold.

        Args:
            rollouts: Of the run.
            acknowledged: What had been before the files are read.
            before: Steps of the look before, None at the first.
        """
        found = find(rollouts)
        self.lost += max(0, acknowledged.steps - len(found.steps)) + max(0, acknowledged.bus - found.bus)
        self.doubled += found.doubled
        self.missing += found.missing
        self.unreadable += found.unreadable
        if before is not None and len(before):
            self.changed += found.steps[: len(before)].tobytes() != before.tobytes()
        return found.steps

    def record(self) -> dict[str, JsonValue]:
        """Return the sums for the report."""
        return {
            "kills": self.total,
            "killed": dict(self.kills.most_common()),
            "acknowledged records lost": self.lost,
            "records doubled": self.doubled,
            "numbers missing": self.missing,
            "records changed": self.changed,
            "unreadable files": self.unreadable,
            "otherwise wrong": dict(self.wrong.most_common()),
            "steps never acknowledged, at most": self.never,
        }
