"""What is known behind a transition: other goals that it can be learned from with, and what its policy had to see.

Hindsight experience replay: Andrychowicz et al. 2017, arXiv 1707.01495.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from training.sac import Batch

Rows = NDArray[np.float32]


class Goals(Protocol):
    """Goals of a task that transitions can be given afterwards."""

    needs_object: bool
    told_size: int

    def exchange(self, observation: Rows, reward: Rows, next_observation: Rows, object_rad: Rows | None, draw: Rows) -> None:
        """Give transitions other goals in place.

        Args:
            observation: Shape (k, o).
            reward: Shape (k,).
            next_observation: Shape (k, o).
            object_rad: Angle of the tracked object before and after, shape (k, 2), if `needs_object`, else None.
            draw: What the goals are drawn by: uniform in [0, 1), shape (k,).
        """

    def told(self, observation: Rows, object_rad: Rows) -> Rows:
        """Return what critics can be told, shape (k, told_size); `object_rad` has shape (k,)."""


class Hindsight:
    """Gives a share of each batch other goals, and tells critics what its policy had to see.

    Args:
        goals: Of the task.
        share: Of the transitions, 0 to 1.
        telling: Whether critics are told.
    """

    def __init__(self, goals: Goals, share: float, *, telling: bool = False) -> None:
        self._goals = goals
        self._share = share
        self._telling = telling

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a batch that may be changed, changed."""
        if self._share:
            self._exchange(batch, generator)
        if not self._telling:
            return batch._replace(object_rad=None)
        if batch.object_rad is None:
            raise ValueError("critics are told by where the object was: the replay has to keep that")
        object_rad = batch.object_rad.numpy()
        seen = batch.observation.numpy(), batch.next_observation.numpy()
        told, next_told = (torch.from_numpy(self._goals.told(rows, object_rad[:, place])) for place, rows in enumerate(seen))
        return batch._replace(object_rad=None, told=told, next_told=next_told)

    def _exchange(self, batch: Batch, generator: torch.Generator) -> None:
        draws = torch.rand((2, len(batch.reward)), generator=generator).numpy()
        chosen = np.flatnonzero(draws[0] < self._share)
        columns = batch.observation.numpy(), batch.reward.numpy(), batch.next_observation.numpy()
        observation, reward, next_observation = (column[chosen] for column in columns)
        needed = batch.object_rad if self._goals.needs_object else None
        object_rad = None if needed is None else needed.numpy()[chosen]
        self._goals.exchange(observation, reward, next_observation, object_rad, draws[1][chosen])
        for column, changed in zip(columns, (observation, reward, next_observation), strict=True):
            column[chosen] = changed
