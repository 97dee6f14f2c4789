"""The statistics that LeRobot keeps of each column, for its normalisation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

# LeRobot's DEFAULT_QUANTILES.
_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def statistics(values: NDArray[np.generic]) -> dict[str, JsonValue]:
    """Return min, max, mean, std, count and quantiles, each a list with one figure for each element of a row, and one count.

    Rows with a number that is not finite, such as an action that the guard rejected, are left out; without any row all figures are NaN.

    Args:
        values: Shape (k,) or (k, d).
    """
    rows = values.astype(np.float64).reshape(len(values), -1)
    finite = rows[np.isfinite(rows).all(axis=1)]
    counted = finite if len(finite) else np.full((1, rows.shape[1]), np.nan)
    figures = {"min": counted.min(axis=0), "max": counted.max(axis=0), "mean": counted.mean(axis=0), "std": counted.std(axis=0)}
    figures |= {name: np.quantile(counted, share, axis=0) for name, share in _QUANTILES.items()}
    return {**{name: figure.tolist() for name, figure in figures.items()}, "count": [len(finite)]}
