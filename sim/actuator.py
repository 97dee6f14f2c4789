"""The motors of the Minitaur: position loop, battery, back-EMF and saturation, evaluated at every physics step.

The model is bullet3's (identified on the robot): duty = clip(kp (q* - q) - kd w, +-1), amperes = (duty U - (K + b) w) / R, and torque
from a table of the current. bullet3 clips the net voltage at 50 V too, which the end of the table at 60 A (11.2 V) hides. The model is odd,
so it works in the joint convention without the directions of the motors. Plain floats: NumPy takes several times as long.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from sim.model import (
    OBSERVED_TORQUE_LIMIT_NM,
    OVERHEAT_TORQUE_NM,
    RESISTANCE_OHM,
    SATURATION_STEP_A,
    SATURATION_TORQUE_NM,
    TORQUE_CONSTANT_NM_PER_A,
)

# What PyBullet says of a joint: position, rad; velocity, rad/s; forces at the joint; the torque applied.
MotorState = tuple[float, float, tuple[float, ...], float]

_CELLS = len(SATURATION_TORQUE_NM) - 1
# Torque = base + slope * amperes / 10 within a cell of the table.
_SLOPES = tuple(high - low for low, high in itertools.pairwise(SATURATION_TORQUE_NM))
_BASES = tuple(low - cell * slope for cell, (low, slope) in enumerate(zip(SATURATION_TORQUE_NM, _SLOPES, strict=False)))


@dataclass(frozen=True, slots=True)
class MotorParameters:
    """Of one episode.

    Attributes:
        kp: Duty cycle per rad.
        kd: Duty cycle per rad/s.
        battery_v: V.
        viscous_damping: V per rad/s, beside the back-EMF.
        strength: Factor on the torque of each motor.
        overheat_steps: Physics steps above the overheat torque after which a motor shuts off; 0: never.
    """

    kp: float
    kd: float
    battery_v: float
    viscous_damping: float
    strength: tuple[float, ...]
    overheat_steps: int


class MotorBank:
    """All motors of the robot, with the heat that they remember; made anew for every episode."""

    def __init__(self, parameters: MotorParameters) -> None:
        motors = len(parameters.strength)
        self._parameters = parameters
        self._strength = list(parameters.strength)
        # Current in units of the table's cells, per duty cycle and per rad/s.
        cells_per_v = 1.0 / (RESISTANCE_OHM * SATURATION_STEP_A)
        self._cells_per_duty = parameters.battery_v * cells_per_v
        self._cells_per_rad_s = (TORQUE_CONSTANT_NM_PER_A + parameters.viscous_damping) * cells_per_v
        self._step = 0
        self._hot_since = [0] * motors
        self._hot_until = [-2] * motors

    @property
    def enabled(self) -> tuple[bool, ...]:
        """Whether each motor still works: False after an overheat."""
        return tuple(strength > 0.0 for strength in self._strength)

    def torques(self, states: Sequence[MotorState], targets: Sequence[float]) -> list[float]:
        """Return the torques of the coming physics step, N m, and count it. Shape (n,).

        Args:
            states: Of each motor.
            targets: Joint targets, rad.
        """
        kp, kd = self._parameters.kp, self._parameters.kd
        cells_per_duty, cells_per_rad_s = self._cells_per_duty, self._cells_per_rad_s
        self._step += 1
        torques: list[float] = []
        append = torques.append
        for state, target, strength in zip(states, targets, self._strength, strict=True):
            velocity = state[1]
            duty = kp * (target - state[0]) - kd * velocity
            if duty > 1.0:
                duty = 1.0
            elif duty < -1.0:
                duty = -1.0
            current = duty * cells_per_duty - cells_per_rad_s * velocity
            if current < 1.0 and current > -1.0:
                append(current * strength)
            else:
                append(self._saturated(len(torques), current))
        return torques

    def _saturated(self, motor: int, current: float) -> float:
        """Return the torque beyond the first cell of the table, N m, and count the heat."""
        magnitude = abs(current)
        cell = int(magnitude)
        torque = SATURATION_TORQUE_NM[-1] if cell >= _CELLS else _BASES[cell] + _SLOPES[cell] * magnitude
        torque *= self._strength[motor]
        if torque > OVERHEAT_TORQUE_NM and self._parameters.overheat_steps:
            self._heat(motor)
        return torque if current > 0.0 else -torque

    def _heat(self, motor: int) -> None:
        """Count a step above the overheat torque; a step below it starts the count anew."""
        if self._hot_until[motor] != self._step - 1:
            self._hot_since[motor] = self._step
        self._hot_until[motor] = self._step
        if self._step - self._hot_since[motor] >= self._parameters.overheat_steps:
            self._strength[motor] = 0.0

    def observed_torques_nm(self, states: Sequence[MotorState], targets: Sequence[float]) -> list[float]:
        """Return what the controllers report of a step, N m: the torque of a stalled motor that never saturates; 0 where it is off.

        Shape (n,); counts nothing.
        """
        kp, kd = self._parameters.kp, self._parameters.kd
        stall = TORQUE_CONSTANT_NM_PER_A * self._parameters.battery_v / RESISTANCE_OHM
        # A duty cycle of 1 may report more than the limit or less: the battery decides.
        limit = min(stall, OBSERVED_TORQUE_LIMIT_NM)
        observed: list[float] = []
        append = observed.append
        for state, target, strength in zip(states, targets, self._strength, strict=True):
            torque = stall * (kp * (target - state[0]) - kd * state[1]) if strength else 0.0
            if torque > limit:
                torque = limit
            elif torque < -limit:
                torque = -limit
            append(torque)
        return observed
