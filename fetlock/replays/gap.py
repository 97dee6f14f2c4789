"""How far two recordings of the same joints are apart, in angle and in time: pure functions of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Lags that are looked for, s, and how finely before the parabola, as a share of a tick.
_LAG_MAX_S = 0.1
_FINE = 0.25
# Joints that move less than this say nothing of time, rad: ten counts of a DYNAMIXEL's encoder.
MOVES_RAD = 0.015


def rms_by_joint(difference_rad: NDArray[np.float64]) -> list[float]:
    """Return the root mean square of each column, shape (ticks, n), rad."""
    return [float(value) for value in np.sqrt(np.mean(difference_rad**2, axis=0))]


def lag_s(recorded_rad: NDArray[np.float64], simulated_rad: NDArray[np.float64], period_s: float) -> float | None:
    """Return by how much recorded joints come behind simulated ones, s: the shift at which they differ least in the square.

    Found on a grid of a quarter of a tick, between ticks by linear interpolation, and refined by a parabola; joints weigh by how much they
    move. At most 0.1 s either way.

    Args:
        recorded_rad: Shape (ticks, n).
        simulated_rad: Shape (ticks, n).
        period_s: Of a tick.

    Returns:
        None if nothing moves, or there are too few ticks.
    """
    moving = np.minimum(recorded_rad.std(axis=0), simulated_rad.std(axis=0)) > MOVES_RAD
    margin = int(np.ceil(_LAG_MAX_S / period_s)) + 1
    inner = np.arange(margin, len(recorded_rad) - margin)
    if not moving.any() or len(inner) < 2 * margin:
        return None
    # Where a joint stands does not matter, how it moves does.
    recorded = (recorded_rad - recorded_rad.mean(axis=0))[:, moving]
    simulated = (simulated_rad - simulated_rad.mean(axis=0))[:, moving]
    step_s = _FINE * period_s
    lags_s = step_s * np.arange(-round(_LAG_MAX_S / step_s), round(_LAG_MAX_S / step_s) + 1)
    costs = np.array([np.mean((recorded[inner] - _between(simulated, inner - lag / period_s)) ** 2) for lag in lags_s])
    best = int(costs.argmin())
    if best in (0, len(costs) - 1):
        return float(lags_s[best])
    before, at, after = costs[best - 1 : best + 2]
    curvature = before - 2.0 * at + after
    return float(lags_s[best] + (0.5 * step_s * (before - after) / curvature if curvature > 0.0 else 0.0))


def _between(values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of values at places between them, linearly."""
    low = np.floor(places).astype(np.int64)
    share = (places - low)[:, None]
    result: NDArray[np.float64] = values[low] * (1.0 - share) + values[low + 1] * share
    return result
