"""Episode figures, derived from step records alone: the same numbers live, after a resume and from a log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """A finished episode.

    Attributes:
        collector: Index of its collector.
        episode: Its number in that collector.
        end_steps: Environment steps of the run when it ended, over all collectors.
        reward: Sum.
        steps: Length.
        measure: Mean of the task's headline figure.
        failed: It ended by a termination (a fall), not by a limit.
    """

    collector: int
    episode: int
    end_steps: int
    reward: float
    steps: int
    measure: float
    failed: bool


@dataclass(slots=True)
class _Sums:
    reward: float = 0.0
    measure: float = 0.0
    steps: int = 0


class EpisodeBook:
    """Adds step records up to episodes; feed each record once, in the order of its collector."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], _Sums] = {}
        self.steps = 0
        self.finished = 0
        self.failures = 0

    def add(self, records: NDArray[np.void]) -> list[EpisodeSummary]:
        """Take records of `training.records.step_dtype`; return the episodes that they finished."""
        summaries = []
        columns = ("collector", "episode", "reward", "measure", "terminated", "truncated")
        for collector, episode, reward, measure, terminated, truncated in zip(*(records[name].tolist() for name in columns), strict=True):
            self.steps += 1
            sums = self._open.setdefault((collector, episode), _Sums())
            sums.reward += reward
            sums.measure += measure
            sums.steps += 1
            if terminated or truncated:
                del self._open[collector, episode]
                self.finished += 1
                self.failures += bool(terminated)
                mean = sums.measure / sums.steps
                summaries.append(EpisodeSummary(collector, episode, self.steps, sums.reward, sums.steps, mean, bool(terminated)))
        return summaries
