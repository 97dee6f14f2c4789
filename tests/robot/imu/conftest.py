"""Fixtures of the IMU's tests."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from robot.imu import EmulatedImu, ImuConfig, Kind, SerialImu, WireFaults
from tests.robot.imu.rig import MOUNT, Connect, HandClock, Rig


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Starts emulated IMUs with drivers, and closes both."""
    rigs: list[Rig] = []

    def make(kind: Kind = "witmotion", faults: WireFaults | None = None) -> Rig:
        device = EmulatedImu(ImuConfig(kind=kind, mount=MOUNT), faults)
        clock = HandClock()
        rigs.append(Rig(device, SerialImu(device.config, clock), clock, np.random.default_rng(1)))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.imu.close()
        rig.device.close()
