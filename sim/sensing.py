"""From what PyBullet says at one physics step to what the robot's sensors report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot.types import FloatArray, ImuState, JointState, RobotState, TrackedPose, frozen_array
from sim.actuator import MotorState
from sim.config import NoiseConfig
from sim.model import DIRECTIONS

_MOTORS = len(DIRECTIONS)
# Places of the readings in one flat array.
_POSITION, _VELOCITY, _TORQUE = (slice(part * _MOTORS, (part + 1) * _MOTORS) for part in range(3))
_ROTATION = slice(3 * _MOTORS, 3 * _MOTORS + 9)
_RATE, _TRACKED_POSITION, _TRACKED_VELOCITY = (slice(_ROTATION.stop + 3 * part, _ROTATION.stop + 3 * part + 3) for part in range(3))


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
    joints: tuple[MotorState, ...]
    observed_torque_nm: list[float]
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
        self._ages: FloatArray | None = None

    def state(self, sample: Sample, step: int) -> RobotState:
        """Return what a read at physics step `step` says of `sample`."""
        age_s = (step - sample.step) * self._step_s
        values = np.array(_values(sample))
        if self._noisy:
            self._add_noise(values, sample.step)
        # Views of a read-only array are read-only.
        values.flags.writeable = False
        joints = JointState(
            sample.step * self._step_s, values[_POSITION], values[_VELOCITY], self._ages_s(age_s), torque_nm=values[_TORQUE]
        )
        imu = ImuState(values[_ROTATION].reshape(3, 3), values[_RATE], age_s)
        return RobotState(joints, imu, TrackedPose(values[_TRACKED_POSITION], values[_TRACKED_VELOCITY], age_s), voltage_v=self._voltage_v)

    def _ages_s(self, age_s: float) -> FloatArray:
        """Return the ages of all joints; nearly every read of an episode has the same."""
        if self._ages is None or self._ages[0] != age_s:
            self._ages = frozen_array([age_s] * _MOTORS)
        return self._ages

    def _add_noise(self, values: FloatArray, step: int) -> None:
        rng = np.random.default_rng((self._seed, step - self._first_step))
        noise = self._noise
        for part, deviation in (
            (_POSITION, noise.position_rad),
            (_VELOCITY, noise.velocity_rad_s),
            (_TORQUE, noise.torque_nm),
            (_RATE, noise.gyro_rad_s),
            (_TRACKED_POSITION, noise.tracked_position_m),
            (_TRACKED_VELOCITY, noise.tracked_velocity_m_s),
        ):
            values[part] += deviation * rng.standard_normal(values[part].shape)
        turn = _small_rotation(noise.orientation_rad * rng.standard_normal(3))
        values[_ROTATION] = (values[_ROTATION].reshape(3, 3) @ turn).ravel()


def _values(sample: Sample) -> list[float]:
    """Return all readings in one list, in the order of the slices above; plain floats, for small NumPy operations cost 1 us each."""
    x, y, z, w = sample.quaternion
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
    a, b, c = sample.angular_velocity_world_rad_s
    return [
        *(direction * joint[0] for direction, joint in zip(DIRECTIONS, sample.joints, strict=True)),
        *(direction * joint[1] for direction, joint in zip(DIRECTIONS, sample.joints, strict=True)),
        *(direction * torque for direction, torque in zip(DIRECTIONS, sample.observed_torque_nm, strict=True)),
        *rotation,
        # World to base: the transpose.
        a * xx + b * yx + c * zx,
        a * xy + b * yy + c * zy,
        a * xz + b * yz + c * zz,
        *sample.position_world_m,
        *sample.velocity_world_m_s,
    ]


def _small_rotation(vector: FloatArray) -> FloatArray:
    """Return the rotation by a vector of axis times angle, rad (Rodrigues' formula). Shape (3, 3)."""
    angle = float(np.linalg.norm(vector))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: FloatArray = np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross)
    return rotation
