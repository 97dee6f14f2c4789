"""White noise on sensors: of a sample, it depends on the episode's seed and the sample's step alone, so that repeated reads are equal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot.types import FloatArray

Deviation = tuple[slice, float]


class SensorNoise:
    """Noise on one flat array of readings.

    Args:
        deviations: Places in the array and the standard deviations there; the order is part of what a seed means.
        rotation: Place of a rotation matrix, 9 numbers.
        orientation_rad: Standard deviation of a turn about a random axis of the base.
        seed: Of the episode's noise.
        first_step: Physics step at which the episode began.
    """

    def __init__(self, deviations: Sequence[Deviation], rotation: slice, orientation_rad: float, seed: int, first_step: int) -> None:
        self._deviations = tuple(deviations)
        self._rotation = rotation
        self._orientation_rad = orientation_rad
        self._seed = seed
        self._first_step = first_step
        self._noisy = orientation_rad > 0.0 or any(deviation > 0.0 for _, deviation in deviations)

    def add(self, values: FloatArray, step: int) -> None:
        """Add the noise of the sample of a physics step to its readings, in place."""
        if not self._noisy:
            return
        rng = np.random.default_rng((self._seed, step - self._first_step))
        for part, deviation in self._deviations:
            values[part] += deviation * rng.standard_normal(values[part].shape)
        turn = _small_rotation(self._orientation_rad * rng.standard_normal(3))
        values[self._rotation] = (values[self._rotation].reshape(3, 3) @ turn).ravel()


def _small_rotation(vector: FloatArray) -> FloatArray:
    """Return the rotation by a vector of axis times angle, rad (Rodrigues' formula). Shape (3, 3)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: FloatArray = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
    return rotation
