"""Made-up records, for faults of what writes them down."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.records import bus_dtype, step_dtype

# A small robot: 5 observations, 2 actions, 3 joints.
STEP, BUS = step_dtype(5, 2), bus_dtype(3)
Records = NDArray[Any]


def steps_of(first: int, count: int, episode: int, *, end: bool = False) -> Records:
    """Return step records from a sequence number on, each of which spans two bus ticks; `end` ends the episode with the last."""
    records = np.zeros(count, STEP)
    sequence = np.arange(first, first + count)
    records["sequence"], records["step"] = sequence, sequence
    records["bus_first"], records["bus_last"] = 2 * sequence, 2 * sequence + 1
    records["episode"] = episode
    records["stamp_s"] = 0.02 * sequence
    records["observation"] = np.random.default_rng(first).standard_normal(records["observation"].shape)
    if end:
        records["truncated"][-1] = 1
    return records


def ticks_of(first: int, count: int, episode: int) -> Records:
    """Return bus records from a sequence number on."""
    records = np.zeros(count, BUS)
    records["sequence"] = np.arange(first, first + count)
    records["episode"] = episode
    records["stamp_s"] = 0.01 * records["sequence"]
    return records
