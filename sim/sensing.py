"""From what PyBullet says at one physics step to what the robot's sensors report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot.types import FloatArray, ImuState, JointState, RobotState, TrackedPose
from sim.config import NoiseConfig
from sim.model import DIRECTIONS

_DIRECTIONS = np.array(DIRECTIONS)


@dataclass(frozen=True, slots=True)
class Sample:
    """Raw, exact values at one physics step, in PyBullet's conventions.

    Attributes:
        step: Number of the physics step.
        joints: Joint states of the motors, as `getJointStates` returns them.
        observed_torque_nm: Of each motor in the step before, joint convention, N m.
        position_world_m: Of the base, m.
        quaternion: Orientation of the base, (x, y, z, w).
        velocity_world_m_s: Of the base, m/s.
        angular_velocity_world_rad_s: Of the base, rad/s.
    """

    step: int
    joints: tuple[tuple[float, float, tuple[float, ...], float], ...]
    observed_torque_nm: tuple[float, ...]
    position_world_m: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    velocity_world_m_s: tuple[float, float, float]
    angular_velocity_world_rad_s: tuple[float, float, float]


class Sensors:
    """Turns samples into states; the noise of a sample depends on the seed and the sample's step alone.

    Args:
        noise: Standard deviations.
        seed: Of the episode's noise.
        first_step: Physics step at which the episode began.
        step_s: Length of a physics step, s.
        voltage_v: Of the battery.
    """

    def __init__(self, noise: NoiseConfig, seed: int, first_step: int, step_s: float, voltage_v: float) -> None:
        self._noise = noise
        self._noisy = any(deviation > 0.0 for deviation in noise.model_dump().values())
        self._seed = seed
        self._first_step = first_step
        self._step_s = step_s
        self._voltage_v = voltage_v

    def state(self, sample: Sample, step: int) -> RobotState:
        """Return what a read at physics step `step` says of `sample`."""
        age_s = (step - sample.step) * self._step_s
        joints = np.array([(joint[0], joint[1], torque) for joint, torque in zip(sample.joints, sample.observed_torque_nm, strict=True)])
        joints = joints.T * _DIRECTIONS
        rotation = _rotation(sample.quaternion)
        rate = np.array(sample.angular_velocity_world_rad_s) @ rotation
        position, velocity = np.array(sample.position_world_m), np.array(sample.velocity_world_m_s)
        if self._noisy:
            rng = np.random.default_rng((self._seed, sample.step - self._first_step))
            noise = self._noise
            deviations = np.array([[noise.position_rad], [noise.velocity_rad_s], [noise.torque_nm]])
            joints = joints + deviations * rng.standard_normal(joints.shape)
            rotation = rotation @ _small_rotation(noise.orientation_rad * rng.standard_normal(3))
            rate = rate + noise.gyro_rad_s * rng.standard_normal(3)
            position = position + noise.tracked_position_m * rng.standard_normal(3)
            velocity = velocity + noise.tracked_velocity_m_s * rng.standard_normal(3)
        ages = np.full(len(_DIRECTIONS), age_s)
        # The views of rows must be as read-only as their base.
        for array in (joints, ages, rotation, rate, position, velocity):
            array.flags.writeable = False
        return RobotState(
            JointState(sample.step * self._step_s, joints[0], joints[1], ages, torque_nm=joints[2]),
            imu=ImuState(rotation, rate, age_s),
            tracked_base=TrackedPose(position, velocity, age_s),
            voltage_v=self._voltage_v,
        )


def _rotation(quaternion: tuple[float, float, float, float]) -> FloatArray:
    """Return the matrix of a unit quaternion (x, y, z, w). Shape (3, 3)."""
    x, y, z, w = quaternion
    return np.array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
            [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
            [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )


def _small_rotation(vector: FloatArray) -> FloatArray:
    """Return the rotation by a vector of axis times angle, rad (Rodrigues' formula). Shape (3, 3)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: FloatArray = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
    return rotation
