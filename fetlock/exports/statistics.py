"""The statistics that LeRobot keeps of each column, for its normalisation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from robot.types import ByteImage

# LeRobot's DEFAULT_QUANTILES.
_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

# How often each brightness occurs, shape (3, 256): of images nothing more is needed, and two sets of them are their sum.
PixelCounts = NDArray[np.int64]


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


def count_pixels(images: Iterable[ByteImage]) -> PixelCounts:
    """Count the brightnesses of each colour in images of shape (height, width, 3)."""
    counts = np.zeros((3, 256), np.int64)
    for image in images:
        for colour in range(3):
            counts[colour] += np.bincount(image[..., colour].ravel(), minlength=256)
    return counts


def pixel_statistics(counts: PixelCounts, images: int) -> dict[str, JsonValue]:
    """Return what `statistics` returns, of brightnesses from 0 to 1: each figure of shape (3, 1, 1), as LeRobot has it for images.

    Args:
        counts: Of all pixels.
        images: Of which they are.
    """
    values, pixels = np.arange(256) / 255.0, counts.sum(axis=1)
    mean = counts @ values / pixels
    below = counts.cumsum(axis=1) / pixels[:, None]
    present = counts > 0
    figures = {
        "min": values[present.argmax(axis=1)],
        "max": values[255 - present[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1) / pixels),
    }
    figures |= {name: values[(below >= share).argmax(axis=1)] for name, share in _QUANTILES.items()}
    return {**{name: figure.reshape(3, 1, 1).tolist() for name, figure in figures.items()}, "count": [images]}
