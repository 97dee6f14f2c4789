"""From what a plant of servos showed at one physics step to what the robot's sensors report."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot.dynamixel.plant import PlantSample
from robot.dynamixel.readings import POSITION, RATE, ROTATION, VELOCITY, JointReadings, body_state, body_values, shown_voltage_v
from robot.dynamixel.units import JointMap
from robot.types import BodyMotion, FloatArray, ImuState, MotorConditions, RobotState, TrackedAngle, TrackedPose, frozen_array
from sim.noise import SensorNoise
from sim.servo_config import BodyNoiseConfig

# Takes rotation base to world, shape (3, 3), and angular velocity in the base's frame, shape (3,), rad/s; returns what a device reports
# of them.
ImuQuantiser = Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


class ServoSensors:
    """Turns samples into states: joints as exact as their registers, the base with noise.

    Args:
        readings: Of the joints' registers.
        noise: Standard deviations of what measures the base.
        conditions: Of the episode.
        first_step: Physics step of the first sample of the episode.
        step_s: Length of a physics step, s.
        imu_quantiser: Rounds the IMU's reading as a device does; None leaves it exact.
        object_map: Registers to angles of the motor behind those of the joints, which an object turns; None if there is none.
    """

    def __init__(
        self,
        readings: JointReadings,
        noise: BodyNoiseConfig,
        conditions: MotorConditions,
        first_step: int,
        step_s: float,
        imu_quantiser: ImuQuantiser | None = None,
        object_map: JointMap | None = None,
    ) -> None:
        deviations = (
            (RATE, noise.gyro_rad_s),
            (POSITION, noise.tracked_position_m),
            (VELOCITY, noise.tracked_velocity_m_s),
        )
        self._noise = SensorNoise(deviations, ROTATION, noise.orientation_rad, conditions.noise_seed, first_step)
        self._readings = readings
        self._voltage_v = shown_voltage_v(conditions.supply_v)
        self._step_s = step_s
        self._quantise = imu_quantiser
        self._joints = readings.joints
        self._object_map = object_map

    def state(self, sample: PlantSample, step: int) -> RobotState:
        """Return what a read at physics step `step` says of `sample`."""
        age_s = (step - sample.step) * self._step_s
        ages = frozen_array([age_s] * self._joints)
        count = self._joints
        registers = (sample.position_raw[:count], sample.velocity_raw[:count], sample.current_raw[:count])
        joints = self._readings.state(sample.step * self._step_s, ages, *registers)
        if sample.body is None:
            return RobotState(joints, tracked_object=self._object(sample, age_s), voltage_v=self._voltage_v)
        imu, tracked = self.base(sample.body, sample.step, age_s)
        return RobotState(joints, imu, tracked, voltage_v=self._voltage_v)

    def _object(self, sample: PlantSample, age_s: float) -> TrackedAngle | None:
        if self._object_map is None:
            return None
        place = slice(self._joints, self._joints + 1)
        angle = self._object_map.position_rad(np.array(sample.position_raw[place]))
        rate = self._object_map.velocity_rad_s(np.array(sample.velocity_raw[place]))
        return TrackedAngle(float(angle[0]), float(rate[0]), age_s)

    def base(self, body: BodyMotion, sample_step: int, age_s: float) -> tuple[ImuState, TrackedPose]:
        """Return what IMU and tracker say of a base's motion at a physics step."""
        values = np.array(body_values(body))
        self._noise.add(values, sample_step)
        # Views of a read-only array are read-only.
        values.flags.writeable = False
        imu, tracked = body_state(values, age_s)
        if self._quantise is not None:
            rotation, rate = self._quantise(imu.rotation_base_to_world, imu.angular_velocity_base_rad_s)
            imu = ImuState(frozen_array(rotation), frozen_array(rate), age_s)
        return imu, tracked
