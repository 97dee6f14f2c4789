"""A box around the middle of the actions that grows with success: what a policy may do on a robot that it does not know yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policy.layout import Vector
from safety.types import Mode
from training.config import CautionConfig


class ActionBox:
    """Clips actions to [-bound, bound]. The clipped action is the one that is taken, recorded and learned from.

    Args:
        config: How it begins and grows; None: it is as wide as the actions.
        bound: Where it stands; None: at its beginning.
    """

    def __init__(self, config: CautionConfig | None, bound: float | None = None) -> None:
        self._config = config or CautionConfig(first=1.0)
        self.bound = self._config.first if bound is None else bound

    @classmethod
    def after(cls, config: CautionConfig | None, steps: NDArray[np.void], collector: int) -> ActionBox:
        """Return the box of a collector as it stands after the step records of a run, which may be none."""
        box = cls(config)
        if len(steps):
            own = steps[steps["collector"] == collector]
            helped = set(own["episode"][own["mode"] == Mode.TELEOP].tolist())
            for end in own[(own["terminated"] | own["truncated"]) != 0]:
                if int(end["episode"]) in helped:
                    continue
                box.judge(failed=bool(end["terminated"]) or end["mode"] == Mode.HOLD)
        return box

    def clip(self, action: Vector) -> Vector:
        """Return an action, shape (a,), within the box."""
        return np.clip(action, -self.bound, self.bound)

    def judge(self, *, failed: bool) -> None:
        """Grow after an episode that ended by a limit; shrink after a fall or a stop."""
        growth = -self._config.growth if failed else self._config.growth
        self.bound = min(1.0, max(self._config.first, self.bound + growth))
