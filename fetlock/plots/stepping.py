"""How a robot steps: stride, duty factors and phases, from when each foot stood on the ground. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Strides that are looked for, s: a trained Minitaur takes 4 a second (measured).
_STRIDE_MIN_S, _STRIDE_MAX_S = 0.1, 2.0
# The pattern repeats if what it has in common with itself one stride later is at least this share of what it has with itself: noise of 200
# ticks stays below 0.2, a learned gait is at 0.7, one that breaks down half-way at 0.5 (measured).
_REPEATS = 0.3
# After two strides it repeats as well: the first of the peaks that come near to the highest is one stride.
_NEAR = 0.8


@dataclass(frozen=True, slots=True)
class Foot:
    """How one foot steps.

    Attributes:
        name: Of its leg.
        duty_factor: Share of a stride that it is on the ground (Alexander, *The Gaits of Bipedal and Quadrupedal Animals*, IJRR 3, 1984).
        phase: Share of a stride by which the middle of its stance follows that of the first foot, 0 to 1 (after Hildebrand, *Symmetrical
            Gaits of Horses*, Science 150, 1965, who counts from touch-down); None where it stands or hangs all the time.
    """

    name: str
    duty_factor: float
    phase: float | None


@dataclass(frozen=True, slots=True)
class Stepping:
    """How a robot steps.

    Attributes:
        strides: Whole ones in the recording; 0 where nothing repeats.
        stride_hz: Of them, per second; None where nothing repeats.
        feet: Over the whole strides; none where nothing repeats.
    """

    strides: int
    stride_hz: float | None
    feet: tuple[Foot, ...]


def stepping(down: NDArray[np.bool_], period_s: float, names: Sequence[str]) -> Stepping:
    """Find the stride, and how each foot steps in it.

    The stride is the shortest time after which the contacts of all feet repeat best (the first high peak of their autocorrelation): a foot
    that bounces or lands twice in a stride does not shorten it.

    Args:
        down: Shape (ticks, feet): whether the ground carries each foot.
        period_s: Of a tick.
        names: Of the feet; phases count from the first.
    """
    stride = _stride_ticks(down.astype(np.float64), period_s)
    if stride is None:
        return Stepping(0, None, ())
    strides = int(len(down) / stride + 1e-9)
    whole = down[: round(strides * stride)]
    # The first harmonic of each foot's contacts turns once a stride, and points to the middle of its stance.
    turning = np.exp(-2j * np.pi * np.arange(len(whole)) / stride)
    harmonics = turning @ (whole - whole.mean(axis=0))
    feet = tuple(
        Foot(name, float(share), _phase(harmonics[0], harmonic))
        for name, share, harmonic in zip(names, whole.mean(axis=0), harmonics, strict=True)
    )
    return Stepping(strides, 1.0 / (stride * period_s), feet)


def _phase(first: complex, other: complex) -> float | None:
    if min(abs(first), abs(other)) < 1e-9:
        return None
    # A hair below 0 is 0, not 1.
    return float(np.round(-np.angle(other / first) / (2.0 * np.pi), 9) % 1.0)


def _stride_ticks(down: NDArray[np.float64], period_s: float) -> float | None:
    """Return the ticks of a stride; None where nothing repeats, or there are not two strides."""
    first = max(2, round(_STRIDE_MIN_S / period_s))
    last = min(round(_STRIDE_MAX_S / period_s), len(down) // 2)
    if last <= first:
        return None
    swing = down - down.mean(axis=0)
    power = float(np.mean(swing**2))
    if power == 0.0:
        return None
    common = np.array([float(np.mean(swing[lag:] * swing[: len(swing) - lag])) for lag in range(first - 1, last + 2)]) / power
    inner = common[1:-1]
    peaks = np.flatnonzero((inner >= common[:-2]) & (inner >= common[2:]) & (inner >= _REPEATS))
    if not len(peaks):
        return None
    peak = int(peaks[inner[peaks] >= _NEAR * inner[peaks].max()][0])
    before, at, after = common[peak : peak + 3]
    curvature = before - 2.0 * at + after
    # Between ticks by the parabola through the peak and its neighbours.
    return first + peak + (0.5 * float((before - after) / curvature) if curvature < 0.0 else 0.0)
