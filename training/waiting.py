"""Steps and frames of several collectors on their way into a replay: each step waits until the frames that it needs are there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.records import learnable

# Number of the episode and sequence of the step whose observation a frame shows.
Key = tuple[int, int]
# Steps looked at together.
_BLOCK = 1024


class Complete(NamedTuple):
    """A step with what it is seen by.

    Attributes:
        step: Record, shape (1,).
        keys: Collector, episode and sequence of its frames: the stack of its observation, oldest first, then the newest of the next one.
        images: Of each, shape (h, w, 3).
    """

    step: NDArray[np.void]
    keys: list[tuple[int, int, int]]
    images: list[NDArray[np.uint8]]


class Waiting:
    """A queue of steps in the order of their arrival, and the frames that the steps to come may need.

    The head leaves when its frames are there, or when one is missing for good: a collector's frames come in order, so that a later one
    tells. Those behind it wait, whichever collector's they are: so the order that steps leave in is that of their arrival, whenever their
    frames come.
    """

    def __init__(self, stack: int) -> None:
        self._stack = stack
        self._steps: list[NDArray[np.void]] = []
        self._frames: dict[int, dict[Key, NDArray[np.uint8]]] = {}
        self._newest: dict[int, Key] = {}
        # Steps without all of their frames, left out.
        self.missing = 0

    @property
    def steps(self) -> int:
        """Number of steps that wait."""
        return sum(len(block) for block in self._steps)

    def add_steps(self, steps: NDArray[np.void]) -> None:
        """Append records of `training.records.step_dtype`."""
        if len(steps):
            self._steps.append(steps.copy())

    def add_frames(self, frames: NDArray[np.void], collector: int) -> None:
        """Take records of `training.records.frame_dtype`, in order."""
        known = self._frames.setdefault(collector, {})
        for episode, sequence, image in zip(frames["episode"].tolist(), frames["sequence"].tolist(), frames["image"], strict=True):
            known[episode, sequence] = image.copy()
            self._newest[collector] = episode, sequence

    def take(self) -> Iterator[Complete]:
        """Remove what has ceased to wait from the head of the queue, and yield the complete steps that can be learned from."""
        while self._steps:
            steps = self._steps[0][:_BLOCK]
            columns = zip(
                *(steps[name].tolist() for name in ("collector", "episode", "sequence", "step")), learnable(steps).tolist(), strict=True
            )
            for number, (collector, episode, sequence, step, wanted) in enumerate(columns):
                known = self._frames.setdefault(collector, {})
                keys = [(episode, sequence - min(step, back)) for back in range(self._stack - 1, -1, -1)] + [(episode, sequence + 1)]
                complete = all(key in known for key in keys)
                if wanted and not complete:
                    passed = self._newest.get(collector, (-1, -1))
                    if not any(key not in known and key < passed for key in keys):
                        self._drop(number)
                        return
                    self.missing += 1
                if wanted and complete:
                    yield Complete(steps[number : number + 1], [(collector, *key) for key in keys], [known[key] for key in keys])
                # The next step of this collector needs nothing older, except its episode's first frame while that is in its stack.
                _forget(known, (episode, sequence + 2 - self._stack))
            self._drop(len(steps))

    def _drop(self, count: int) -> None:
        left = self._steps[0][count:]
        self._steps[:1] = [left] if len(left) else []


def _forget(known: dict[Key, NDArray[np.uint8]], oldest: Key) -> None:
    """Remove the frames before one; they are in order."""
    for key in list(takewhile(lambda key: key < oldest, known)):
        del known[key]
