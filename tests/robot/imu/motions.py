"""Motions of a base and samples of a device, for the IMU's tests."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from robot.imu.rotations import Quaternion, rotation_matrix
from robot.imu.sample import ImuSample, up_in_sensor
from robot.types import FloatArray, frozen_array

_PART = st.floats(-1.0, 1.0)


def _unit(parts: tuple[float, float, float, float]) -> Quaternion:
    norm = math.hypot(*parts)
    w, x, y, z = (part / norm for part in parts)
    return w, x, y, z


QUATERNIONS = st.tuples(_PART, _PART, _PART, _PART).filter(lambda parts: math.hypot(*parts) > 0.1).map(_unit)
ROTATIONS = QUATERNIONS.map(rotation_matrix)
# Within what a gyroscope of 2000 deg/s measures along any axis: 34.9 rad/s.
RATES = st.tuples(*[st.floats(-20.0, 20.0)] * 3).map(frozen_array)


def random_sample(rng: np.random.Generator) -> ImuSample:
    """A sample of a resting base, turned at random."""
    w, x, y, z = rng.normal(size=4).tolist()
    quaternion = _unit((w, x, y, z))
    p, q, r = rng.uniform(-20.0, 20.0, size=3).tolist()
    return ImuSample(quaternion, (p, q, r), up_in_sensor(quaternion), int(rng.integers(2**62)))


def random_motion(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Rotation base to world and angular velocity."""
    sample = random_sample(rng)
    return rotation_matrix(sample.quaternion_wxyz), frozen_array(sample.angular_velocity_sensor_rad_s)


def angle_between(a: FloatArray, b: FloatArray) -> float:
    """Angle of the rotation from one orientation to another, rad. The norm keeps its precision near 0."""
    return 2.0 * math.asin(min(1.0, float(np.linalg.norm(a - b)) / math.sqrt(8.0)))
