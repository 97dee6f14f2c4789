"""What one output cycle of an IMU said, in its own frame, and the way from there to the robot's base and back.

The world has z up. Its yaw is what the device makes of it: with a magnetometer in the estimate (nine axes) 0 is a fixed direction near
magnetic north, which iron and motors bend; without (six axes) 0 is where the device was switched on, and it drifts. No task may rest on an
absolute yaw. A WT901 is asked by its register 0x24, a VN-100 by its register 35.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from robot.errors import UsageError
from robot.imu.rotations import Quaternion, Vector, matrix_quaternion, require_rotation, rotation_matrix
from robot.types import FloatArray, ImuState, frozen_array

# A WT901's rounding moves the norm by 6e-5 at most; the rest is for filters that do not normalise every step. Of four random numbers
# in [-1, 1] 2.5% pass.
NORM_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class ImuSample:
    """One output cycle.

    Attributes:
        quaternion_wxyz: Orientation, sensor to world (z up), (w, x, y, z); its norm is near 1.
        angular_velocity_sensor_rad_s: (x, y, z), rad/s, in the sensor's frame.
        specific_force_sensor_g: What the accelerometer measured, (x, y, z), g: at rest 1 upwards. None where it is not sent.
        device_time_ns: Since the device started, ns, or None.
    """

    quaternion_wxyz: Quaternion
    angular_velocity_sensor_rad_s: Vector
    specific_force_sensor_g: Vector | None = None
    device_time_ns: int | None = None


@dataclass(slots=True)
class ParserStatistics:
    """What a parser has seen. A damaged frame usually counts in several.

    Attributes:
        samples: Returned.
        bad_checksums: Places with a frame's header and a wrong checksum.
        resyncs: Frames that were found behind bytes that were none.
        skipped_bytes: Bytes that belonged to no frame.
        bad_content: Frames with a right checksum and content that cannot be: not finite, or a quaternion whose norm is not near 1.
        unpaired: Frames whose partner of the same cycle was lost.
    """

    samples: int = 0
    bad_checksums: int = 0
    resyncs: int = 0
    skipped_bytes: int = 0
    bad_content: int = 0
    unpaired: int = 0


def plausible(sample: ImuSample) -> bool:
    """Return whether all numbers are finite and the quaternion's norm is near 1."""
    force = sample.specific_force_sensor_g or ()
    # A NaN makes the comparison false.
    near = abs(math.hypot(*sample.quaternion_wxyz) - 1.0) <= NORM_TOLERANCE
    return near and all(map(math.isfinite, (*sample.angular_velocity_sensor_rad_s, *force)))


def require_plausible(sample: ImuSample) -> None:
    """Check what an encoder is given.

    Raises:
        UsageError: If a number is not finite, or the quaternion's norm not near 1.
    """
    if not plausible(sample):
        raise UsageError(f"an IMU reports finite numbers and a quaternion of norm 1 +- {NORM_TOLERANCE}: got {sample}")


def up_in_sensor(quaternion_wxyz: Quaternion) -> Vector:
    """Return the world's z axis in the sensor's frame: what an accelerometer at rest shows, in g."""
    norm = math.hypot(*quaternion_wxyz)
    w, x, y, z = (value / norm for value in quaternion_wxyz)
    return 2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)


def tilt_error_rad(sample: ImuSample) -> float | None:
    """Return the angle between "up" by the quaternion and by the accelerometer, rad; None without one. It means something only at rest."""
    force = sample.specific_force_sensor_g
    if force is None:
        return None
    up = up_in_sensor(sample.quaternion_wxyz)
    cross = (up[1] * force[2] - up[2] * force[1], up[2] * force[0] - up[0] * force[2], up[0] * force[1] - up[1] * force[0])
    return math.atan2(math.hypot(*cross), sum(a * b for a, b in zip(up, force, strict=True)))


def sample_to_state(sample: ImuSample, rotation_sensor_to_base: FloatArray, age_s: float) -> ImuState:
    """Return what a sample says of the base.

    Args:
        sample: Of the device.
        rotation_sensor_to_base: Shape (3, 3): how the device is mounted.
        age_s: Of the sample, s.
    """
    rotation = rotation_matrix(sample.quaternion_wxyz) @ rotation_sensor_to_base.T
    rate = rotation_sensor_to_base @ frozen_array(sample.angular_velocity_sensor_rad_s)
    return ImuState(frozen_array(rotation), frozen_array(rate), age_s)


def state_to_sample(state: ImuState, rotation_sensor_to_base: FloatArray, device_time_ns: int | None = None) -> ImuSample:
    """Return what an exact device on a base in this state would sample, at rest as far as its accelerometer goes.

    The inverse of `sample_to_state`, up to rounding and the quaternion's sign.

    Args:
        state: Of the base.
        rotation_sensor_to_base: Shape (3, 3): how the device is mounted.
        device_time_ns: Since the device started, ns.

    Raises:
        UsageError: If the base's rotation is none, or its rate not finite.
    """
    require_rotation(state.rotation_base_to_world)
    if not np.isfinite(state.angular_velocity_base_rad_s).all():
        raise UsageError(f"an IMU turns at finite numbers of rad/s: got {state.angular_velocity_base_rad_s.tolist()}")
    quaternion = matrix_quaternion(state.rotation_base_to_world @ rotation_sensor_to_base)
    x, y, z = (rotation_sensor_to_base.T @ state.angular_velocity_base_rad_s).tolist()
    return ImuSample(quaternion, (x, y, z), up_in_sensor(quaternion), device_time_ns)
