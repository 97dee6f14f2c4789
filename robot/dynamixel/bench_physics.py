"""Motors on a bench: each shaft turns an inertia of its own, with friction and an optional end stop. No robot, no PyBullet.

Source of the numbers: MuJoCo Menagerie's robotis_op3 (XM430-W350) has an armature of 0.045 kg m^2, which a gear of 353.5 makes of a rotor
of 3.6e-7 kg m^2; its friction is 0.03 N m.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robot.errors import UsageError
from robot.types import BodyMotion, MotorConditions

ROTOR_INERTIA_KG_M2 = 0.045 / 353.5**2
FRICTION_NM = 0.03


class BenchPhysics:
    """Implements MotorPhysics: semi-implicit Euler for each shaft, Coulomb friction that stops it and never drives it.

    Args:
        gear_ratios: Of each motor; the reflected rotor is the inertia.
        step_s: Physics step, s.
        start_rad: Angles at the start and, give or take the noise, at each reset, shape (n,), rad.
        supply_v: Of the bus.
        load_kg_m2: Inertia on each shaft beside the rotor.
        stops_rad: Where shafts hit a stop, (low, high), or None.
        start_noise_rad: Largest deviation from `start_rad` that a reset draws, rad.

    Raises:
        UsageError: If the sizes differ or a number is not positive.
    """

    def __init__(
        self,
        gear_ratios: Sequence[float],
        step_s: float = 0.001,
        start_rad: Sequence[float] | None = None,
        supply_v: float = 12.0,
        load_kg_m2: float = 0.0,
        stops_rad: tuple[float, float] | None = None,
        start_noise_rad: float = 0.0,
    ) -> None:
        start = tuple(start_rad) if start_rad is not None else (0.0,) * len(gear_ratios)
        if len(start) != len(gear_ratios) or not gear_ratios or not 0.0 < step_s < 0.1 or load_kg_m2 < 0.0:
            raise UsageError(
                f"a bench needs motors, a start angle for each, steps below 0.1 s and no negative load: got {len(gear_ratios)} motors, "
                f"{len(start)} angles, {step_s} s, {load_kg_m2} kg m^2"
            )
        self._step_s = step_s
        self._inertia = [ROTOR_INERTIA_KG_M2 * ratio * ratio + load_kg_m2 for ratio in gear_ratios]
        self._start = start
        self._supply_v = supply_v
        self._stops = stops_rad
        self._start_noise_rad = start_noise_rad
        self._joints = [(angle, 0.0) for angle in start]
        self._jammed: set[int] = set()

    @property
    def step_s(self) -> float:
        return self._step_s

    def joints(self) -> Sequence[Sequence[float]]:
        return self._joints

    def step(self, torques_nm: Sequence[float]) -> None:
        before = self._joints
        self._joints = [
            self._moved(angle, rate, torque, inertia)
            for (angle, rate), torque, inertia in zip(self._joints, torques_nm, self._inertia, strict=True)
        ]
        for joint in self._jammed:
            self._joints[joint] = (before[joint][0], 0.0)

    def body(self) -> BodyMotion | None:
        return None

    def reset(self, rng: np.random.Generator) -> MotorConditions:
        noise = self._start_noise_rad
        start = tuple(float(angle + rng.uniform(-noise, noise)) for angle in self._start) if noise else self._start
        self._joints = [(angle, 0.0) for angle in start]
        return MotorConditions(start, self._supply_v, (1.0,) * len(start))

    def turn(self, joint: int, angle_rad: float) -> None:
        """Let a hand turn a shaft to an angle, rad."""
        self._joints[joint] = (angle_rad, 0.0)

    def jam(self, joint: int, *, on: bool) -> None:
        """Block a shaft where it is, or free it."""
        (self._jammed.add if on else self._jammed.discard)(joint)

    def _moved(self, angle: float, rate: float, torque: float, inertia: float) -> tuple[float, float]:
        free = rate + torque / inertia * self._step_s
        grip = FRICTION_NM / inertia * self._step_s
        rate = math.copysign(max(0.0, abs(free) - grip), free)
        angle += rate * self._step_s
        if self._stops is not None and not self._stops[0] <= angle <= self._stops[1]:
            return min(max(angle, self._stops[0]), self._stops[1]), 0.0
        return angle, rate
