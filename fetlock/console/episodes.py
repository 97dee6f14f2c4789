"""Follows the step records of a run as they come, for the episodes that end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from robot.transport import OverrunError, Ring
from training.episodes import EpisodeBook, EpisodeSummary

# Records looked at in one go: some seconds of a fast simulation.
_BATCH = 4096
# Episodes kept: more than the page has points.
_KEPT = 2000


class Episodes:
    """Follows the ring of one collector from the oldest step that it still has.

    Args:
        ring: Attached.
        collectors: Of the run: they take turns, by which the steps of all of them are counted.
    """

    def __init__(self, ring: Ring, collectors: int) -> None:
        self._ring = ring
        self._collectors = collectors
        self._begin(ring.head)
        self.finished: list[EpisodeSummary] = []

    def _begin(self, head: int) -> None:
        """Go to the oldest step that is still there: of an episode under way the beginning is not seen."""
        self._position = max(0, head - self._ring.capacity + 2)
        self._book = EpisodeBook()
        self._begun: set[int] = set()

    def look(self) -> None:
        """Take what has been recorded since the last look."""
        while (head := self._ring.head) > self._position:
            position = self._position
            try:
                rows = self._ring.read(position, _BATCH)
            except OverrunError:
                self._begin(head)
                continue
            self._position += len(rows)
            # Positions from before a resumed run's start were never written.
            rows = rows[rows["sequence"] == position + np.arange(len(rows))]
            self._begun.update(rows["episode"][rows["step"] == 0].tolist())
            ends = rows["sequence"][(rows["terminated"] | rows["truncated"]) != 0].tolist()
            for sequence, one in zip(ends, self._book.add(rows), strict=True):
                if one.episode in self._begun:
                    self._begun.remove(one.episode)
                    self.finished.append(replace(one, end_steps=(sequence + 1) * self._collectors))
            del self.finished[:-_KEPT]
