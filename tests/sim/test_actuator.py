"""Laws of the motor model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.actuator import MotorBank, MotorParameters
from sim.model import SATURATION_TORQUE_NM

angles = st.floats(-10.0, 10.0)
rates = st.floats(-60.0, 60.0)


def bank(kp: float = 1.0, kd: float = 0.02, strength: float = 1.0, overheat_steps: int = 0, battery_v: float = 16.0) -> MotorBank:
    return MotorBank(MotorParameters(kp, kd, battery_v, 0.0, (strength,), overheat_steps))


def torque(motors: MotorBank, position: float, velocity: float, target: float) -> float:
    return motors.torques([(position, velocity, (), 0.0)], [target])[0]


@given(angles, rates, angles)
def test_torque_is_odd_and_bounded_by_the_end_of_the_table(position: float, velocity: float, target: float) -> None:
    forth, back = torque(bank(), position, velocity, target), torque(bank(), -position, -velocity, -target)
    assert forth == -back
    assert abs(forth) <= SATURATION_TORQUE_NM[-1]


@given(angles, angles, rates)
def test_torque_never_falls_with_the_target(position: float, target: float, velocity: float) -> None:
    assert torque(bank(), position, velocity, target + 0.01) >= torque(bank(), position, velocity, target) - 1e-12


@given(angles, rates, angles)
def test_torque_follows_the_published_equations(position: float, velocity: float, target: float) -> None:
    duty = np.clip(target - position - 0.02 * velocity, -1.0, 1.0)
    current = (16.0 * duty - 0.0954 * velocity) / 0.186
    expected = np.sign(current) * np.interp(abs(current), np.arange(0.0, 70.0, 10.0), [0.0, 1.0, 1.9, 2.45, 3.0, 3.25, 3.5])
    assert torque(bank(), position, velocity, target) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("cell", range(7))
def test_a_stalled_motor_reads_the_table_at_its_knots(cell: int) -> None:
    duty = 10.0 * cell * 0.186 / 16.0
    assert torque(bank(), 0.0, 0.0, duty) == pytest.approx(SATURATION_TORQUE_NM[cell], abs=1e-9)


def test_a_free_motor_ends_at_its_no_load_speed() -> None:
    assert torque(bank(kd=0.0), 0.0, 16.0 / 0.0954, 100.0) == pytest.approx(0.0, abs=1e-9)


@given(st.floats(-0.1, 0.1), st.floats(0.5, 1.5))
def test_strength_scales_the_torque(target: float, strength: float) -> None:
    assert torque(bank(strength=strength), 0.0, 0.0, target) == pytest.approx(strength * torque(bank(), 0.0, 0.0, target))


@given(angles, rates, angles)
def test_observed_torque_is_bounded_and_has_the_sign_of_the_duty_cycle(position: float, velocity: float, target: float) -> None:
    observed = bank().observed_torques_nm([(position, velocity, (), 0.0)], [target])[0]
    duty = target - position - 0.02 * velocity
    assert observed == pytest.approx(np.clip(8.2065 * np.clip(duty, -1.0, 1.0), -5.7, 5.7), rel=1e-4)


def test_a_motor_shuts_off_after_the_steps_in_a_row_above_the_overheat_torque() -> None:
    motors = bank(overheat_steps=10)
    for _ in range(10):
        assert torque(motors, 0.0, 0.0, 1.0) == 3.5
    torque(motors, 0.0, 0.0, 0.0)
    for _ in range(10):
        assert torque(motors, 0.0, 0.0, 1.0) == 3.5
    assert motors.enabled == (True,)
    torque(motors, 0.0, 0.0, 1.0)
    assert motors.enabled == (False,)
    assert torque(motors, 0.0, 0.0, 1.0) == 0.0
    assert motors.observed_torques_nm([(0.0, 0.0, (), 0.0)], [1.0]) == [0.0]


def test_a_motor_below_the_overheat_torque_never_shuts_off() -> None:
    motors = bank(overheat_steps=10)
    for _ in range(1000):
        assert torque(motors, 0.0, 0.0, 30.0 * 0.186 / 16.0 - 1e-6) > 2.4
    assert motors.enabled == (True,)
