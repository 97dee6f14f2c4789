"""Runs that differ in nothing but their seed as one curve with its spread.

The curve is the interquartile mean over the runs, the spread its 95% percentile bootstrap interval over runs: what Agarwal et al., *Deep
Reinforcement Learning at the Edge of the Statistical Precipice* (NeurIPS 2021, arXiv 2108.13264; rliable), recommend for few runs. A
standard deviation would be dominated by the one run that failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from fetlock.plots.learning import Curves

Floats = NDArray[np.float64]

# Resamples of the runs: other draws move the ends of the interval by 1% of its width (measured, 5 runs). rliable takes more, for tables.
_RESAMPLES = 2_000
_INTERVAL_PERCENT = (2.5, 97.5)
# Places at which the runs are compared: more than a picture has columns for.
_PLACES = 200
# What a name of a run ends in where a number follows.
_SEPARATORS = "-_. 0123456789"


@dataclass(frozen=True)
class Line:
    """Points of a curve; `low` and `high` bound its spread, None where there is none. All of shape (p,)."""

    x: Floats
    y: Floats
    low: Floats | None = None
    high: Floats | None = None


def interquartile_mean(values: Floats) -> Floats:
    """Return the mean over the first axis without its lowest and its highest quarter, rounded down: the mean of fewer than four runs."""
    cut = len(values) // 4
    return np.asarray(np.sort(values, axis=0)[cut : len(values) - cut].mean(axis=0), np.float64)


def bootstrap_interval(values: Floats) -> tuple[Floats, Floats]:
    """Return the ends of the 95% interval of `interquartile_mean`, resampling the first axis, the runs; the same for the same values."""
    rng = np.random.default_rng(0)
    resampled = np.stack([interquartile_mean(values[rng.integers(0, len(values), len(values))]) for _ in range(_RESAMPLES)])
    low, high = np.percentile(resampled, _INTERVAL_PERCENT, axis=0)
    return low, high


def together(lines: Sequence[Line]) -> Line:
    """Reduce lines of several runs to one, over what all of them have: from where the last begins to where the first ends.

    Between a run's points it is taken as straight. Where they have nothing in common, the line is empty.
    """
    known = [line for line in lines if len(line.x)]
    if not known:
        return Line(np.zeros(0), np.zeros(0))
    first, last = max(line.x[0] for line in known), min(line.x[-1] for line in known)
    if len(known) < len(lines) or first > last:
        return Line(np.zeros(0), np.zeros(0))
    x = np.linspace(first, last, _PLACES)
    values = np.stack([np.interp(x, line.x, line.y) for line in known])
    if len(known) == 1:
        return Line(x, values[0])
    low, high = bootstrap_interval(values)
    return Line(x, interquartile_mean(values), low, high)


def repetitions(runs: Sequence[Curves]) -> list[tuple[str, list[Curves]]]:
    """Gather runs whose configurations are equal but for the seed, in the order of the first of each; with a label for each group."""
    groups: dict[str, list[Curves]] = {}
    for run in runs:
        groups.setdefault(run.origin.recipe, []).append(run)
    named = [(_common_name([run.name for run in group]), group) for group in groups.values()]
    names = [name for name, _ in named]
    return [(f"{name if names.count(name) == 1 else group[0].name} ({_seeds(group)})", group) for name, group in named]


def _common_name(names: list[str]) -> str:
    """Return what the names begin with in common, without a number at its end; the first where that is nothing."""
    common = "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False)))
    return names[0] if len(names) == 1 else common.rstrip(_SEPARATORS) or names[0]


def _seeds(group: list[Curves]) -> str:
    return f"seed {group[0].origin.seed}" if len(group) == 1 else f"{len(group)} runs"
