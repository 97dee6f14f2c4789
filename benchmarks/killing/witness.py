"""A process that sees from outside what a run acknowledges, and when: it knows the cursors in the run's shared memory and nothing else."""

from __future__ import annotations

import multiprocessing
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from robot.clock import monotonic_s, sleep_s
from training.link import Link, LinkShape

_fork = multiprocessing.get_context("fork")
# Between two looks: how exact a lateness is.
_LOOK_S = 0.001


@dataclass(slots=True)
class Lateness:
    """The longest that a step waited for its acknowledgement, s: while the logger lived, and where it was killed meanwhile."""

    living_s: float = 0.0
    killed_s: float = 0.0

    def join(self, other: Lateness) -> None:
        """Take the larger of both."""
        self.living_s, self.killed_s = max(self.living_s, other.living_s), max(self.killed_s, other.killed_s)

    def record(self) -> dict[str, JsonValue]:
        """Return the figures for the report."""
        return {"logger alive, s": round(self.living_s, 3), "logger killed meanwhile, s": round(self.killed_s, 3)}


class Witness:
    """Watches the first collector of a run; a context manager.

    Args:
        shape: Of the run's link.
    """

    def __init__(self, shape: LinkShape) -> None:
        self._killed = _fork.Value("b", 0)
        self._over = _fork.Event()
        self._end, other = _fork.Pipe(duplex=False)
        self._process = _fork.Process(target=self._watch, args=(shape, other), daemon=True)
        self._process.start()

    def logger_killed(self) -> None:
        """Say so before the logger is killed: what waits now, or comes until `logger_back`, waits for another one."""
        self._killed.value = 1

    def logger_back(self) -> None:
        """Say that a new logger acknowledges."""
        self._killed.value = 0

    def tell(self) -> tuple[NDArray[np.void], Lateness]:
        """End; return every step that was acknowledged, as it was in the ring then, and how late that was."""
        self._over.set()
        seen, lateness = self._end.recv()
        self._process.join()
        return seen, lateness

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.join()

    def _watch(self, shape: LinkShape, told: Connection) -> None:
        ring = Link.attach(shape).steps[0]
        first = head = acknowledged = ring.acknowledged
        # Since when, up to which step, and whether the logger was killed meanwhile.
        waiting: deque[tuple[float, int, bool]] = deque()
        seen, lateness, before_s = [ring.read(first, 0)], Lateness(), monotonic_s()
        while True:
            over = self._over.is_set()
            newest, safe, now_s = ring.head, ring.acknowledged, monotonic_s()
            killed = bool(self._killed.value)
            if killed:
                waiting = deque((since_s, end, True) for since_s, end, _ in waiting)
            if newest > head:
                # Appended at some time since the look before: the longest that is possible counts.
                waiting.append((before_s, newest, killed))
                head = newest
            if safe > acknowledged:
                seen.append(ring.read(acknowledged, safe - acknowledged))
                acknowledged = safe
                while waiting and waiting[0][1] <= safe:
                    since_s, _, meanwhile = waiting.popleft()
                    lateness.join(Lateness(0.0, now_s - since_s) if meanwhile else Lateness(now_s - since_s))
            before_s = now_s
            if over:
                break
            sleep_s(_LOOK_S)
        told.send((np.concatenate(seen), lateness))
