"""From what PyBullet says of the Minitaur at one physics step to what its sensors report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot.dynamixel.readings import BODY_VALUES, POSITION, RATE, ROTATION, VELOCITY, body_state, body_values
from robot.types import BodyMotion, FloatArray, JointState, RobotState, frozen_array
from sim.actuator import MotorState
from sim.config import NoiseConfig
from sim.model import DIRECTIONS
from sim.noise import SensorNoise

_MOTORS = len(DIRECTIONS)
# Places of the readings in one flat array.
_POSITION, _VELOCITY, _TORQUE = (slice(part * _MOTORS, (part + 1) * _MOTORS) for part in range(3))
_BODY = slice(3 * _MOTORS, 3 * _MOTORS + BODY_VALUES)


@dataclass(frozen=True, slots=True)
class Sample:
    """Raw, exact values at one physics step.

    Attributes:
        step: Number of the physics step.
        joints: Joint states of the motors, as `getJointStates` returns them.
        observed_torque_nm: Of each motor in the step before, as PyBullet counts, N m.
        body: Of the base.
    """

    step: int
    joints: tuple[MotorState, ...]
    observed_torque_nm: list[float]
    body: BodyMotion


class Sensors:
    """Turns samples into states.

    Args:
        noise: Standard deviations.
        seed: Of the episode's noise.
        first_step: Physics step at which the episode began.
        step_s: Length of a physics step, s.
        voltage_v: Of the battery.
    """

    def __init__(self, noise: NoiseConfig, seed: int, first_step: int, step_s: float, voltage_v: float) -> None:
        deviations = (
            (_POSITION, noise.position_rad),
            (_VELOCITY, noise.velocity_rad_s),
            (_TORQUE, noise.torque_nm),
            (_in_body(RATE), noise.gyro_rad_s),
            (_in_body(POSITION), noise.tracked_position_m),
            (_in_body(VELOCITY), noise.tracked_velocity_m_s),
        )
        self._noise = SensorNoise(deviations, _in_body(ROTATION), noise.orientation_rad, seed, first_step)
        self._step_s = step_s
        self._voltage_v = voltage_v
        self._ages: FloatArray | None = None

    def state(self, sample: Sample, step: int) -> RobotState:
        """Return what a read at physics step `step` says of `sample`."""
        age_s = (step - sample.step) * self._step_s
        values = np.array(_values(sample))
        self._noise.add(values, sample.step)
        # Views of a read-only array are read-only.
        values.flags.writeable = False
        joints = JointState(
            sample.step * self._step_s, values[_POSITION], values[_VELOCITY], self._ages_s(age_s), torque_nm=values[_TORQUE]
        )
        return RobotState(joints, *body_state(values[_BODY], age_s), voltage_v=self._voltage_v)

    def _ages_s(self, age_s: float) -> FloatArray:
        """Return the ages of all joints; nearly every read of an episode has the same."""
        if self._ages is None or self._ages[0] != age_s:
            self._ages = frozen_array([age_s] * _MOTORS)
        return self._ages


def _in_body(part: slice) -> slice:
    return slice(_BODY.start + part.start, _BODY.start + part.stop)


def _values(sample: Sample) -> list[float]:
    """Return all readings in one list, in the order of the slices above; plain floats, for small NumPy operations cost 1 us each."""
    return [
        *(direction * joint[0] for direction, joint in zip(DIRECTIONS, sample.joints, strict=True)),
        *(direction * joint[1] for direction, joint in zip(DIRECTIONS, sample.joints, strict=True)),
        *(direction * torque for direction, torque in zip(DIRECTIONS, sample.observed_torque_nm, strict=True)),
        *body_values(sample.body),
    ]
