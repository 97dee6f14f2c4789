"""The fingers of a D'Claw for tests, with the dimensions of ROBEL's scene files."""

from __future__ import annotations

import math

import numpy as np

from safety.fingers import Capsule, Fingers

BASE_RADIUS_M, SIDE_M, MIDDLE_M = 0.06, 0.0675, 0.068
AZIMUTHS = (-math.pi / 3.0, math.pi / 3.0, math.pi)
CAPSULES = (
    Capsule(0, 0.0, 0.0675, 0.0248),
    Capsule(1, 0.0, 0.068, 0.0248),
    Capsule(2, 0.0, 0.03, 0.0282),
    Capsule(2, 0.033, 0.073, 0.011),
)
FINGERS = Fingers(BASE_RADIUS_M, AZIMUTHS, SIDE_M, MIDDLE_M, CAPSULES)
MARGIN_M = 0.005
HOME = np.array([0.0, -math.pi / 3.0, math.pi / 3.0] * 3)
# What the mechanics allow.
LOWEST, HIGHEST = np.array([-0.45, -2.0, -2.0] * 3), np.array([1.35, 2.0, 2.0] * 3)
# A stroke that turns the valve, in its middle.
STROKE = np.array([0.0, 0.25, -0.07] * 3)


def poses(count: int, seed: int = 0) -> np.ndarray:
    """Draw poses, shape (count, 9), rad."""
    return np.random.default_rng(seed).uniform(LOWEST, HIGHEST, (count, 9))


def gap(pose: np.ndarray) -> float:
    """Return the smallest distance between two fingers, m."""
    return float(FINGERS.distances(np.asarray(pose)[None]).min())
