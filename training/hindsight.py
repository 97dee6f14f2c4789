"""Hindsight experience replay (Andrychowicz et al. 2017, arXiv 1707.01495): transitions are learned from with other goals as well."""

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

    def exchange(self, observation: Rows, reward: Rows, next_observation: Rows, object_rad: Rows | None, draw: Rows) -> None:
        """Give transitions other goals in place.

        Args:
            observation: Shape (k, o).
            reward: Shape (k,).
            next_observation: Shape (k, o).
            object_rad: Angle of the tracked object before and after, shape (k, 2), if `needs_object`, else None.
            draw: What the goals are drawn by: uniform in [0, 1), shape (k,).
        """


class Hindsight:
    """Gives a share of each batch other goals.

    Args:
        goals: Of the task.
        share: Of the transitions, 0 to 1.
    """

    def __init__(self, goals: Goals, share: float) -> None:
        self._goals = goals
        self._share = share

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Return a batch that may be changed, changed."""
        draws = torch.rand((2, len(batch.reward)), generator=generator).numpy()
        chosen = np.flatnonzero(draws[0] < self._share)
        columns = batch.observation.numpy(), batch.reward.numpy(), batch.next_observation.numpy()
        observation, reward, next_observation = (column[chosen] for column in columns)
        object_rad = None if batch.object_rad is None else batch.object_rad.numpy()[chosen]
        self._goals.exchange(observation, reward, next_observation, object_rad, draws[1][chosen])
        for column, changed in zip(columns, (observation, reward, next_observation), strict=True):
            column[chosen] = changed
        return batch._replace(object_rad=None)
