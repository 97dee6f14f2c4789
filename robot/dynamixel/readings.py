"""From registers and motion to what a robot says of itself: one arithmetic for simulation, emulated bus and hardware, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from robot.description import NEWEST_FIRMWARE, RobotDescription
from robot.dynamixel.tables import control_table
from robot.dynamixel.units import VOLTAGE_V, JointMap
from robot.types import BodyMotion, FloatArray, ImuState, JointState, TrackedPose, frozen_array

# Places of a body's motion in one flat array: rotation base to world (9), angular velocity in the base's frame (3), position (3) and
# velocity (3) in the world's.
ROTATION, RATE, POSITION, VELOCITY = slice(0, 9), slice(9, 12), slice(12, 15), slice(15, 18)
BODY_VALUES = 18


class JointReadings:
    """Joint states from the registers 132, 128 and 126 of all joints.

    Args:
        joint_map: Signs and zeros, after calibration where there is one.
        current_scale_a: Shape (n,), A of one raw step of each motor's current.
    """

    def __init__(self, joint_map: JointMap, current_scale_a: Sequence[float]) -> None:
        self._map = joint_map
        self._current_scale = frozen_array(current_scale_a)
        self.joints = len(self._current_scale)

    def state(
        self, stamp_s: float, age_s: FloatArray, position_raw: ArrayLike, velocity_raw: ArrayLike, current_raw: ArrayLike
    ) -> JointState:
        """Return what registers say.

        Args:
            stamp_s: Time of the measurement, s.
            age_s: Shape (n,), s, read-only.
            position_raw: Shape (n,).
            velocity_raw: Shape (n,).
            current_raw: Shape (n,).
        """
        return JointState(
            stamp_s,
            self._map.position_rad(np.asarray(position_raw, np.int64)),
            self._map.velocity_rad_s(np.asarray(velocity_raw, np.int64)),
            age_s,
            current_a=self._map.signed(np.asarray(current_raw, np.int64) * self._current_scale),
        )


def joint_readings(description: RobotDescription, joint_map: JointMap | None = None) -> JointReadings:
    """Return the readings of a robot's joints, by default with the zeros of its description.

    Args:
        description: Of the robot.
        joint_map: Signs and zeros of a calibration.
    """
    scales = [control_table(joint.model, NEWEST_FIRMWARE)["goal_current"].unit.scale for joint in description.joints]
    return JointReadings(description.joint_map if joint_map is None else joint_map, scales)


def shown_voltage_v(supply_v: float) -> float:
    """Return what register 144 says of a supply, V: whole steps of 0.1 V."""
    return round(supply_v / VOLTAGE_V) * VOLTAGE_V


def body_values(body: BodyMotion) -> list[float]:
    """Return the motion of a base as sensors would measure it, in the order of the slices above.

    Plain floats, for small NumPy operations cost 1 us each.
    """
    x, y, z, w = body.quaternion
    xx, xy, xz, yx, yy, yz, zx, zy, zz = rotation = (
        1.0 - 2.0 * (y * y + z * z),
        2.0 * (x * y - z * w),
        2.0 * (x * z + y * w),
        2.0 * (x * y + z * w),
        1.0 - 2.0 * (x * x + z * z),
        2.0 * (y * z - x * w),
        2.0 * (x * z - y * w),
        2.0 * (y * z + x * w),
        1.0 - 2.0 * (x * x + y * y),
    )
    a, b, c = body.angular_velocity_world_rad_s
    return [
        *rotation,
        # World to base: the transpose.
        a * xx + b * yx + c * zx,
        a * xy + b * yy + c * zy,
        a * xz + b * yz + c * zz,
        *body.position_world_m,
        *body.velocity_world_m_s,
    ]


def body_state(values: FloatArray, age_s: float) -> tuple[ImuState, TrackedPose]:
    """Return the states of IMU and tracker as views of `body_values` in a read-only array. Shape (18,)."""
    imu = ImuState(values[ROTATION].reshape(3, 3), values[RATE], age_s)
    return imu, TrackedPose(values[POSITION], values[VELOCITY], age_s)
