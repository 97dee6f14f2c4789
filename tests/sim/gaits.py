"""Scripted motions and recordings for the laws of the simulation."""

from __future__ import annotations

import numpy as np

from robot import Command, FloatArray, command
from sim import MinitaurSimulation

_SIDE = np.array([1.0, 1.0, -1.0, -1.0])
# Front left and back right swing together, and so do the others.
_PHASE = np.array([0.0, np.pi, np.pi, 0.0])


def legs(extension_rad: FloatArray | float, swing_rad: FloatArray | float) -> Command:
    """Motor targets of four legs."""
    motors = np.empty(8)
    motors[0::2] = extension_rad - _SIDE * swing_rad
    motors[1::2] = extension_rad + _SIDE * swing_rad
    return command(motors, 8)


def trot(time_s: float) -> Command:
    """A trot at 2 Hz: a leg is shorter while it swings forwards."""
    angle = 2.0 * np.pi * 2.0 * time_s + _PHASE
    return legs(2.0 - 0.4 * np.maximum(0.0, np.cos(angle)), -0.5 * np.sin(angle))


def reading(simulation: MinitaurSimulation) -> FloatArray:
    """Everything that one read says, in one row."""
    state = simulation.robot.read()
    assert state.imu is not None
    assert state.tracked_base is not None
    assert state.joints.torque_nm is not None
    return np.concatenate(
        [
            state.joints.position_rad,
            state.joints.velocity_rad_s,
            state.joints.torque_nm,
            state.joints.age_s,
            state.imu.rotation_base_to_world.ravel(),
            state.imu.angular_velocity_base_rad_s,
            state.tracked_base.position_world_m,
            state.tracked_base.velocity_world_m_s,
        ]
    )


def record(simulation: MinitaurSimulation, ticks: int, delay_ticks: int = 0) -> FloatArray:
    """Trot, starting after `delay_ticks`; return the readings before, between and after the ticks. Shape (ticks + 1, o)."""
    rows = [reading(simulation)]
    for tick in range(ticks):
        if tick >= delay_ticks:
            simulation.robot.write(trot((tick - delay_ticks) * simulation.clock.period_s))
        simulation.clock.wait()
        rows.append(reading(simulation))
    return np.array(rows)


def hold(simulation: MinitaurSimulation, target: Command, duration_s: float) -> None:
    """Write one target for a while."""
    for _ in range(round(duration_s / simulation.clock.period_s)):
        simulation.robot.write(target)
        simulation.clock.wait()
