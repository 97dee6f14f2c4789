"""Step records of a run, reduced to its finished episodes as they end."""

from __future__ import annotations

from dataclasses import dataclass

from robot.transport import OverrunError, Ring

# Records looked at in one go: some seconds of a fast simulation.
_BATCH = 4096
# Episodes kept: more than the page has points.
_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Finished:
    """An episode that ended: environment steps of all collectors by then, sum of rewards, mean measure, and whether it was a failure."""

    end_step: int
    total: float
    measure: float
    failed: bool


class Episodes:
    """Follows the ring of one collector from the oldest step that it still has.

    Args:
        ring: Attached.
        collectors: Of the run: they take turns.
    """

    def __init__(self, ring: Ring, collectors: int) -> None:
        self._ring = ring
        self._collectors = collectors
        self._position = max(0, ring.head - ring.capacity + 2)
        # Number of the present episode; None: its beginning was not seen.
        self._episode: int | None = None
        self._total = self._measure = 0.0
        self._steps = 0
        self.finished: list[Finished] = []

    def look(self) -> None:
        """Take what has been recorded since the last look."""
        while self._position < self._ring.head:
            try:
                rows = self._ring.read(self._position, _BATCH)
            except OverrunError:
                self._position, self._episode = max(self._position, self._ring.head - self._ring.capacity + 2), None
                continue
            for row in rows:
                # Positions from before a resumed run's start were never written.
                if int(row["sequence"]) == self._position:
                    self._count(int(row["episode"]), int(row["step"]), float(row["reward"]), float(row["measure"]))
                    if row["terminated"] or row["truncated"]:
                        self._finish(failed=bool(row["terminated"]))
                self._position += 1

    def _count(self, episode: int, step: int, reward: float, measure: float) -> None:
        if step == 0:
            self._episode, self._total, self._measure, self._steps = episode, 0.0, 0.0, 0
        if episode == self._episode:
            self._total += reward
            self._measure += measure
            self._steps += 1

    def _finish(self, *, failed: bool) -> None:
        if self._episode is not None and self._steps:
            end_step = (self._position + 1) * self._collectors
            self.finished.append(Finished(end_step, self._total, self._measure / self._steps, failed))
            del self.finished[:-_KEPT]
        self._episode = None
