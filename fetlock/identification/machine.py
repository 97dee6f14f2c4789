"""The machine whose parameters are sought: built as often as its parameters change, and compared with what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetlock.identification.excerpts import Excerpt
from fetlock.identification.parameters import LATENCY, Parameter, with_values
from fetlock.identification.shooting import predict
from sim import LegsConfig, replica_of

# A simulation that flies apart is as wrong as a turn, rad: the search goes on elsewhere.
_ABSURD_RAD = 6.28


@dataclass(frozen=True, slots=True)
class Model:
    """A simulation with some numbers left open.

    Attributes:
        machine: Everything else; what it randomises is drawn by nobody.
        parameters: The open ones.
    """

    machine: LegsConfig
    parameters: tuple[Parameter, ...]

    @property
    def configured(self) -> NDArray[np.float64]:
        """Their values in the configuration. Shape (p,)."""
        return np.array([getattr(self.machine, one.key) for one in self.parameters], np.float64)

    def errors(self, values: Sequence[float] | NDArray[np.float64], excerpts: Sequence[Excerpt]) -> NDArray[np.float64]:
        """Return simulated less recorded joint angles. Shape (e, ticks, n), rad; NaN where nothing was recorded and where nothing moves.

        Args:
            values: Of the open parameters, shape (p,).
            excerpts: Of one length.
        """
        chosen = {one.key: float(value) for one, value in zip(self.parameters, values, strict=True)}
        # Physics knows whole steps; here a goal may come between two.
        latency_s = chosen.pop(LATENCY, self.machine.control_latency_s)
        replica = replica_of(with_values(self.machine, chosen))
        try:
            return np.stack([_error(predict(replica, one, latency_s), one) for one in excerpts])
        finally:
            replica.close()


def _error(simulated_rad: NDArray[np.float64], excerpt: Excerpt) -> NDArray[np.float64]:
    possible = np.clip(np.nan_to_num(simulated_rad, nan=_ABSURD_RAD), -_ABSURD_RAD, _ABSURD_RAD)
    return np.where(excerpt.moving, possible - excerpt.measured_rad, np.nan)[excerpt.compared :]
