"""Which way is up, from the IMU alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot.errors import RobotError
from robot.types import FloatArray, ImuState, RobotState

# Cosine of the tilt from which a robot counts as upright: ROBEL's D'Kitty resets.
UPRIGHT_COSINE = 0.9


@dataclass(frozen=True, slots=True)
class Stillness:
    """What counts as still.

    Attributes:
        joints_rad_s: No joint is faster, rad/s.
        base_rad_s: The base turns no faster about any of its axes, rad/s.
    """

    joints_rad_s: float = 0.3
    base_rad_s: float = 0.3


# 12 velocity units of a servo's register, and what turns by less than 0.3 rad in a second.
STILL = Stillness(joints_rad_s=0.3, base_rad_s=0.3)


def up_in_base(state: RobotState) -> FloatArray:
    """Return the world's vertical in the base's frame, a unit vector. Shape (3,).

    Raises:
        RobotError: If the state has no IMU reading.
    """
    up: FloatArray = require_imu(state).rotation_base_to_world[2]
    return up


def tilt_cosine(state: RobotState) -> float:
    """Return the cosine between the vertical axes of base and world: 1 upright, -1 upside down.

    Raises:
        RobotError: If the state has no IMU reading.
    """
    return float(up_in_base(state)[2])


def is_still(state: RobotState, still: Stillness) -> bool:
    """Tell whether joints and base hardly move.

    Raises:
        RobotError: If the state has no IMU reading.
    """
    joints = float(np.abs(state.joints.velocity_rad_s).max())
    base = float(np.abs(require_imu(state).angular_velocity_base_rad_s).max())
    return joints <= still.joints_rad_s and base <= still.base_rad_s


def stands(state: RobotState, pose_rad: FloatArray, tolerance_rad: float) -> bool:
    """Tell whether the base is upright and every joint is at its place in a standing pose.

    The height of the base is not asked for: a robot without a tracker does not know it.

    Args:
        state: Measured.
        pose_rad: Of a robot that stands. Shape (n,), rad.
        tolerance_rad: Per joint, rad.

    Raises:
        RobotError: If the state has no IMU reading.
    """
    off = float(np.abs(state.joints.position_rad - pose_rad).max())
    return tilt_cosine(state) >= UPRIGHT_COSINE and off <= tolerance_rad


def require_imu(state: RobotState) -> ImuState:
    """Return what the IMU shows.

    Raises:
        RobotError: If the state has no IMU reading.
    """
    if state.imu is None:
        raise RobotError("the state has no IMU reading: righting needs to know which way is up; give the robot an IMU")
    return state.imu
