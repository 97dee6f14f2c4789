"""Sources of actions that no policy should give: random, adversarial, any bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.guarded_plant import H
from robot.types import FloatArray
from safety.limits import Limits

Source = Callable[[np.random.Generator, Limits, FloatArray], FloatArray]


def _uniform(rng: np.random.Generator, limits: Limits, _: FloatArray) -> FloatArray:
    return rng.uniform(limits.position_min_rad, limits.position_max_rad)


def _wide(rng: np.random.Generator, limits: Limits, _: FloatArray) -> FloatArray:
    return rng.normal(0.0, 10.0 ** rng.uniform(-3.0, 6.0), len(limits.position_min_rad))


def _bang(rng: np.random.Generator, limits: Limits, _: FloatArray) -> FloatArray:
    return np.where(rng.random(len(limits.position_min_rad)) < 0.5, limits.position_min_rad, limits.position_max_rad)


def _edge(rng: np.random.Generator, limits: Limits, _: FloatArray) -> FloatArray:
    return _bang(rng, limits, _) + rng.normal(0.0, 1e-3, len(limits.position_min_rad))


def _opposite(rng: np.random.Generator, limits: Limits, now: FloatArray) -> FloatArray:
    """Away from where the robot is, as far as it goes."""
    middle = 0.5 * (limits.position_min_rad + limits.position_max_rad)
    far: FloatArray = np.where(now > middle, limits.position_min_rad, limits.position_max_rad)
    return far * (1.0 + rng.normal(0.0, 1e-6))


def _shiver(rng: np.random.Generator, limits: Limits, now: FloatArray) -> FloatArray:
    """Just beyond what velocity and acceleration allow."""
    step: FloatArray = limits.velocity_max_rad_s * (H * rng.choice((-1.0, 1.0), len(now)) * rng.uniform(0.9, 1.1))
    return now + step


def _spoilt(rng: np.random.Generator, limits: Limits, now: FloatArray) -> FloatArray:
    """Any bits: denormals, infinities, numbers that are none."""
    if rng.random() < 0.5:
        return _uniform(rng, limits, now)
    values = rng.integers(0, 2**64, len(now), dtype=np.uint64).view(np.float64)
    # One pattern in two thousand is no number: too few to meet three in a row.
    values[int(rng.integers(len(now)))] = rng.choice((np.nan, np.inf, -np.inf, 5e-324, 1.7e308))
    return values


SOURCES: tuple[Source, ...] = (_uniform, _wide, _bang, _edge, _opposite, _shiver, _spoilt)
