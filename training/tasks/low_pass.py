"""The low-pass between a policy's actions and its targets: f <- (1 - w) f + w a, at the policy's rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from robot.types import FloatArray
from safety.motion import BusTick
from safety.types import INTERVENTIONS


class LowPass:
    """Filters actions, and says what a command that the guard has changed amounts to.

    Args:
        weight: w, of the new action; 1 switches the filter off.
        shape_of: From joint angles, shape (n,), rad, to the filter's state, shape (a,).
    """

    def __init__(self, weight: float, shape_of: Callable[[FloatArray], FloatArray]) -> None:
        self._weight = weight
        self._shape_of = shape_of

    def after(self, action: FloatArray, before: FloatArray) -> FloatArray:
        """Return the state that an action, cut to [-1, 1], leads to. Shapes (a,)."""
        return (1.0 - self._weight) * before + self._weight * np.minimum(np.maximum(action, -1.0), 1.0)

    def applied(self, action: FloatArray, before: FloatArray, ticks: Sequence[BusTick]) -> tuple[FloatArray, FloatArray]:
        """Return the action that would have led to the last emission, and the state that it left. Shapes (a,)."""
        if not ticks[-1].reasons & INTERVENTIONS:
            return action, self.after(action, before)
        state = self._shape_of(ticks[-1].applied.position_rad)
        return (state - (1.0 - self._weight) * before) / self._weight, state
