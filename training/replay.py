"""Replay of state transitions in one packed float32 array.

A row is observation | action | reward | terminated | next observation, and where it is asked for the object's angle before and after.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot.errors import UsageError
from training.records import learnable
from training.sac import Batch


class Replay:
    """The newest `capacity` transitions.

    One row is gathered by one `index_select`: 12 us for a batch of 256, where five arrays take 88 (measured).

    Args:
        observation: Elements.
        action: Elements.
        capacity: Transitions.
        tracking: Keep where the tracked object was.

    Raises:
        UsageError: If it would hold nothing.
    """

    def __init__(self, observation: int, action: int, capacity: int, *, tracking: bool = False) -> None:
        if capacity < 1:
            raise UsageError(f"a replay of {capacity} transitions holds nothing: give at least 1")
        self._widths = [observation, action, 1, 1, observation, *([2] if tracking else [])]
        self._tracking = tracking
        # Pages are touched as rows are written: a large capacity costs no memory until it is used.
        self._rows = torch.empty(capacity, sum(self._widths), dtype=torch.float32)
        self._array: NDArray[np.float32] = self._rows.numpy()
        self._next = 0
        self.size = 0

    @property
    def capacity(self) -> int:
        """Largest number of transitions."""
        return int(self._rows.shape[0])

    @property
    def nbytes(self) -> int:
        """Size in memory once it is full, bytes."""
        return self._rows.nbytes

    def extend(self, steps: NDArray[np.void]) -> int:
        """Append records of `training.records.step_dtype`, oldest first, and return the number added.

        What cannot be learned from is left out.
        """
        added = np.flatnonzero(learnable(steps))
        # Every transition has its row by its number, so that a replay that is rebuilt at once is the one that grew.
        first = self._next + max(0, len(added) - self.capacity)
        steps = steps[added[-self.capacity :]]
        count = len(steps)
        rows = (first + np.arange(count)) % self.capacity
        ends = np.cumsum(self._widths)
        self._array[rows, : ends[0]] = steps["observation"]
        self._array[rows, ends[0] : ends[1]] = steps["action"]
        self._array[rows, ends[1]] = steps["reward"]
        self._array[rows, ends[2]] = steps["terminated"]
        self._array[rows, ends[3] : ends[4]] = steps["next_observation"]
        if self._tracking:
            # Logs of an earlier version do not have it.
            self._array[rows, ends[4] :] = steps["object_rad"] if "object_rad" in (steps.dtype.names or ()) else np.nan
        self._next = (first + count) % self.capacity
        self.size = min(self.size + count, self.capacity)
        return count

    def fill_with_noise(self, generator: torch.Generator) -> None:
        """Fill every row with standard normal numbers, terminations with 0: data to warm a compiler up on."""
        self._rows.normal_(generator=generator)
        self._array[:, self._widths[0] + self._widths[1] + 1] = 0.0
        self.size = self.capacity

    def sample(self, batch_size: int, batches: int, generator: torch.Generator) -> list[Batch]:
        """Draw `batches` batches uniformly with replacement; raises UsageError if the replay is empty."""
        return sample([(self, batch_size)], batches, generator)

    def rows(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw rows uniformly with replacement, shape (count, width).

        Raises:
            UsageError: If the replay is empty.
        """
        if self.size == 0:
            raise UsageError("the replay is empty: collect transitions before sampling")
        return self.at(torch.randint(self.size, (count,), generator=generator))

    def at(self, rows: Tensor) -> Tensor:
        """Return rows by their places, shape (count, width): transition n of all that were ever added lies at n modulo the capacity."""
        return self._rows.index_select(0, rows)

    def split(self, rows: Tensor) -> Batch:
        """Take rows of a replay of this width, shape (batch, width), apart."""
        observation, action, reward, terminated, next_observation, *tracked = torch.split(rows, self._widths, dim=-1)
        object_rad = tracked[0] if tracked else None
        return Batch(observation, action, reward.squeeze(-1), terminated.squeeze(-1), next_observation, object_rad=object_rad)


def sample(parts: Sequence[tuple[Replay, int]], batches: int, generator: torch.Generator) -> list[Batch]:
    """Draw batches that are made of so many rows of each replay.

    Args:
        parts: Replays of one width, and how many rows of a batch are theirs.
        batches: How many.
        generator: Of the random numbers.

    Raises:
        UsageError: If one of them is empty.
    """
    drawn = [replay.rows(batches * count, generator).view(batches, count, -1) for replay, count in parts]
    rows = drawn[0] if len(drawn) == 1 else torch.cat(drawn, dim=1)
    return [parts[0][0].split(part) for part in rows.unbind(0)]
