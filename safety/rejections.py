"""How many unusable commands are too many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot.types import FloatArray

# Rejected vectors that lead to HOLD: this many in a row, or that many within a second.
IN_A_ROW = 3
IN_A_SECOND = 5


@dataclass(frozen=True, slots=True)
class Rejections:
    """What is remembered of them.

    Attributes:
        tick: Commands so far.
        row: Newest rejections without a good command between.
        ticks: Of the newest rejections, oldest first, at most five.
    """

    tick: int = 0
    row: int = 0
    ticks: tuple[int, ...] = ()


def rejected(memory: Rejections, command_rad: FloatArray, period_s: float) -> tuple[Rejections, bool]:
    """Count a command, shape (n,); return the memory, and whether this rejection is one too many."""
    tick = memory.tick + 1
    if np.isfinite(command_rad).all():
        return Rejections(tick, 0, memory.ticks), False
    ticks = (*memory.ticks, tick)[-IN_A_SECOND:]
    often = len(ticks) == IN_A_SECOND and (tick - ticks[0]) * period_s < 1.0
    return Rejections(tick, memory.row + 1, ticks), memory.row + 1 >= IN_A_ROW or often
