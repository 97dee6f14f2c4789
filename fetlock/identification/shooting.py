"""Simulates excerpts of a log from their recorded beginnings: where the joints should have gone, if the machine were as configured.

Multiple shooting: each excerpt begins anew from what was measured, so that no error of the state grows for longer than it lasts
(H. G. Bock, Recent advances in parameter identification techniques for O.D.E., 1983). The beginnings are the measured ones, not free: the
start of each excerpt is left out of the comparison instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetlock.identification.excerpts import Excerpt
from robot.types import FloatArray
from sim import Replica

# Times are sums of periods: a goal is not late by their rounding, in steps.
_ROUNDING = 1e-6


def predict(replica: Replica, excerpt: Excerpt, latency_s: float) -> NDArray[np.float64]:
    """Return the joint angles at the times of the measurements. Shape (m, n), rad.

    Args:
        replica: The machine.
        excerpt: Where it begins and what it is told.
        latency_s: From a goal on the bus to its effect.
    """
    base = excerpt.base
    replica.begin(_known(excerpt), excerpt.velocity_rad_s, base)
    arrival = (excerpt.goal_s + latency_s) / replica.step_s - _ROUNDING
    wanted = excerpt.measured_s / replica.step_s
    steps = int(np.ceil(wanted[-1] - _ROUNDING))
    # The goal that counts when each step begins, and the one that counts when it ends; before any has come, the oldest known.
    at_start = np.maximum(np.searchsorted(arrival, np.arange(steps + 1), side="right") - 1, 0)
    track = np.empty((steps + 1, excerpt.measured_rad.shape[1]))
    track[0] = replica.position_rad()
    goals = excerpt.goal_rad
    for step in range(steps):
        old, new = at_start[step], at_start[step + 1]
        if old == new:
            replica.step(goals[new])
        else:
            replica.step(goals[new], goals[old], float(arrival[new]) - step)
        track[step + 1] = replica.position_rad()
    return _at(track, wanted)


def _known(excerpt: Excerpt) -> FloatArray:
    """Return where the joints begin; a motor that was silent then is where its goal is."""
    first = excerpt.measured_rad[0]
    return np.where(np.isnan(first), excerpt.goal_rad[0], first)


def _at(track: NDArray[np.float64], steps: FloatArray) -> NDArray[np.float64]:
    """Return rows of a track between its steps, linearly."""
    low = np.minimum(np.floor(steps + _ROUNDING).astype(np.int64), len(track) - 1)
    high = np.minimum(low + 1, len(track) - 1)
    share = np.maximum(steps - low, 0.0)[:, None]
    result: NDArray[np.float64] = track[low] * (1.0 - share) + track[high] * share
    return result
