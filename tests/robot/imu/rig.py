"""An emulated IMU and its driver on one clock, for the IMU's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot import FloatArray, ImuState
from robot.imu import EmulatedImu, ImuConfig, MountConfig, SerialImu, quantised
from tests.robot.imu.motions import random_motion

MOUNT = MountConfig(roll_deg=180.0, pitch_deg=-17.0, yaw_deg=60.0)
# Emission and read follow each other at once; a busy machine may take this long.
SOON_S = 5.0


class HandClock:
    """Time that moves by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Rig:
    device: EmulatedImu
    imu: SerialImu
    clock: HandClock
    rng: np.random.Generator

    def emit(self) -> tuple[FloatArray, FloatArray]:
        """Send a random motion and return it."""
        motion = random_motion(self.rng)
        self.device.emit(*motion, self.clock.now_s)
        return motion

    def step(self) -> tuple[FloatArray, FloatArray]:
        """Let 10 ms pass, send, and wait until it has come."""
        self.clock.now_s += 0.01
        stamp_s = self.imu.stamp_s
        motion = self.emit()
        self.imu.wait_newer(stamp_s, SOON_S)
        return motion


Connect = Callable[..., Rig]


def same(state: ImuState, motion: tuple[FloatArray, FloatArray], config: ImuConfig) -> bool:
    """Whether a state is bit for bit what the device reports of a motion."""
    rotation, rate = quantised(config, *motion)
    return state.rotation_base_to_world.tobytes() == rotation.tobytes() and state.angular_velocity_base_rad_s.tobytes() == rate.tobytes()
