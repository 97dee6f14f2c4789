"""Goals of turning a valve: how a policy sees them, what being near is worth, and what was experienced with other ones.

Fingers and valve move alike whatever the goal is: a transition tells about every goal, and not just about its own (hindsight experience
replay, Andrychowicz et al. 2017, arXiv 1707.01495).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.tasks.turn_config import AnyTurnConfig

# What a policy sees of its goal: what is left to it, or, where the valve is hidden, the goal itself.
ERROR_NAMES = ("error sine", "error cosine", "near error")
GOAL_NAMES = ("goal sine", "goal cosine")

Column = NDArray[np.float64]
# Of one transition, or of many.
Floats = Column | np.float64
Rows = NDArray[np.float32]


class TurnGoals:
    """Implements `training.hindsight.Goals`.

    Args:
        config: Of the task.
        observation_names: Elements of the observation.
    """

    def __init__(self, config: AnyTurnConfig, observation_names: Sequence[str]) -> None:
        self._config = config
        self.needs_object = config.valve_hidden
        names = GOAL_NAMES if config.valve_hidden else ERROR_NAMES
        # What critics can be told of a hidden valve.
        self.told_size = 7
        self._columns = [list(observation_names).index(name) for name in names]

    def worth(self, distance_rad: Floats) -> Floats:
        """Return the part of the reward that is for being near, of distances of 0 to pi, any shape."""
        config = self._config
        near = config.near_bonus * np.exp(-((distance_rad / config.near_rad) ** 2))
        there = config.success_bonus * np.exp(-((distance_rad / config.success_rad) ** 2))
        total: Floats = near + there - config.distance_weight * distance_rad
        return total

    def seen(self, error_rad: Floats) -> tuple[Floats, Floats, Floats]:
        """Return ERROR_NAMES of angles that are left, any shape: near the goal a hundredth of a radian counts."""
        return np.sin(error_rad), np.cos(error_rad), np.minimum(np.maximum(error_rad / self._config.near_rad, -1.0), 1.0)

    def left_rad(self, observation: Rows, object_rad: Rows | None) -> Column:
        """Return how far the valve has to turn to its goal, within half a turn, shape (k,), rad.

        Args:
            observation: Shape (k, o).
            object_rad: Where the valve is, shape (k,), if `needs_object`; else the observation tells.
        """
        seen = _angle(observation, self._columns)
        return seen if object_rad is None else _wrapped(seen - object_rad.astype(np.float64))

    def told(self, observation: Rows, object_rad: Rows) -> Rows:
        """Return what hides in a picture: where the coloured lobe is, where the lobes are, and ERROR_NAMES. Shape (k, told_size).

        Args:
            observation: Shape (k, o).
            object_rad: Where the valve is, shape (k,).
        """
        angle = object_rad.astype(np.float64)
        lobe = self._config.lobes * angle
        columns = (
            np.sin(angle),
            np.cos(angle),
            np.sin(lobe),
            np.cos(lobe),
            *self.seen(self.left_rad(observation, object_rad if self.needs_object else None)),
        )
        told: Rows = np.stack(columns, axis=1).astype(np.float32)
        return told

    def exchange(self, observation: Rows, reward: Rows, next_observation: Rows, object_rad: Rows | None, draw: Rows) -> None:
        """Give transitions goals that were drawn, in place.

        Half of a turn to either side of where the valve came to are possible, the nearer the likelier: a third of the goals are within
        0.12 rad, for a policy has to learn most about the last tenth.

        Args:
            observation: Shape (k, o).
            reward: Shape (k,).
            next_observation: Shape (k, o).
            object_rad: Of the valve, before and after, shape (k, 2); None where the observation tells what is left.
            draw: Uniform in [0, 1), shape (k,).
        """
        columns = self._columns
        after = self.left_rad(next_observation, None if object_rad is None else object_rad[:, 1])
        left = math.pi * (2.0 * draw.astype(np.float64) - 1.0) ** 3
        shift = left - after
        for rows in (observation, next_observation):
            # A third column, where there is one, is of an angle within half a turn; sine and cosine take any.
            for column, values in zip(columns, self.seen(_wrapped(_angle(rows, columns) + shift)), strict=False):
                rows[:, column] = values
        reward += (self.worth(np.abs(left)) - self.worth(np.abs(after))).astype(np.float32)


def _angle(rows: Rows, columns: Sequence[int]) -> Column:
    """Return the angle whose sine and cosine are in the first two columns, shape (k,), rad."""
    angle: Column = np.arctan2(rows[:, columns[0]].astype(np.float64), rows[:, columns[1]].astype(np.float64))
    return angle


def _wrapped(angle_rad: Column) -> Column:
    """Return angles within half a turn, rad."""
    wrapped: Column = angle_rad - 2.0 * math.pi * np.round(angle_rad / (2.0 * math.pi))
    return wrapped
