"""Scripted motions and recordings of the kitty."""

from __future__ import annotations

import numpy as np

from robot import Command, FloatArray, command
from robot.description import load_description
from sim import ServoSimulation

DESCRIPTION = load_description("kitty")
HOME = np.array([joint.home_rad for joint in DESCRIPTION.joints])
# Front right and back left swing together, and so do the others.
_PHASE = np.array([0.0, np.pi, 0.0, np.pi])


def trot(time_s: float) -> Command:
    """A trot at 2.5 Hz: a leg folds while it swings forwards."""
    angle = 2.0 * np.pi * 2.5 * time_s + _PHASE
    fold = 0.25 * np.maximum(0.0, np.cos(angle))
    target = HOME.copy()
    target[1::3] += fold - 0.3 * np.sin(angle)
    target[2::3] -= 2.0 * fold
    return command(target, 12)


def reading(simulation: ServoSimulation) -> FloatArray:
    """Everything that one read says, in one row: joints (4 x 12), rotation, rates, position and velocity of the base, voltage."""
    state = simulation.robot.read()
    assert state.imu is not None
    assert state.tracked_base is not None
    assert state.joints.current_a is not None
    assert state.voltage_v is not None
    return np.concatenate(
        [
            state.joints.position_rad,
            state.joints.velocity_rad_s,
            state.joints.current_a,
            state.joints.age_s,
            state.imu.rotation_base_to_world.ravel(),
            state.imu.angular_velocity_base_rad_s,
            state.tracked_base.position_world_m,
            state.tracked_base.velocity_world_m_s,
            [state.voltage_v],
        ]
    )


def record(simulation: ServoSimulation, ticks: int, delay_ticks: int = 0) -> FloatArray:
    """Trot, starting after `delay_ticks`; return the readings before, between and after the ticks. Shape (ticks + 1, 67)."""
    rows = [reading(simulation)]
    for tick in range(ticks):
        if tick >= delay_ticks:
            simulation.robot.write(trot((tick - delay_ticks) * simulation.clock.period_s))
        simulation.clock.wait()
        rows.append(reading(simulation))
    return np.array(rows)


def hold(simulation: ServoSimulation, position_rad: FloatArray, duration_s: float) -> None:
    """Write one target for a while."""
    for _ in range(round(duration_s / simulation.clock.period_s)):
        simulation.robot.write(command(position_rad, 12))
        simulation.clock.wait()
