"""The emulated IMU: its rounding is the device's, its faults are those that were asked for, and nothing makes it wait."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import ClosedError, FloatArray, UsageError
from robot.imu import DEVICES, EmulatedImu, ImuConfig, Kind, MountConfig, WireFaults, quantised
from tests.robot.imu.motions import RATES, ROTATIONS, angle_between, random_motion

KINDS = list(DEVICES)
ANGLES = st.floats(-180.0, 180.0)
MOUNTS = st.builds(MountConfig, roll_deg=ANGLES, pitch_deg=ANGLES, yaw_deg=ANGLES)
Start = Callable[..., EmulatedImu]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts emulated IMUs and closes them."""
    started: list[EmulatedImu] = []

    def make(kind: Kind = "witmotion", faults: WireFaults | None = None) -> EmulatedImu:
        started.append(EmulatedImu(ImuConfig(kind=kind), faults))
        return started[-1]

    yield make
    for imu in started:
        imu.close()


def received(imu: EmulatedImu) -> bytes:
    """What waits at the driver's end."""
    os.set_blocking(imu._terminal, False)
    data = b""
    while True:
        try:
            data += os.read(imu._terminal, 4096)
        except BlockingIOError:
            return data


def emit(imu: EmulatedImu, count: int = 1, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for number in range(count):
        imu.emit(*random_motion(rng), number / imu.config.rate_hz)


@pytest.mark.parametrize(("kind", "angle_rad", "rate_rad_s"), [("witmotion", 2e-4, math.radians(2000) / 32768), ("vectornav", 1e-6, 4e-6)])
@given(mount=MOUNTS, rotation=ROTATIONS, rate=RATES)
def test_rounding_is_as_small_as_the_device_says(
    kind: Kind, angle_rad: float, rate_rad_s: float, mount: MountConfig, rotation: FloatArray, rate: FloatArray
) -> None:
    found_rotation, found_rate = quantised(ImuConfig(kind=kind, mount=mount), rotation, rate)
    assert angle_between(found_rotation, rotation) < angle_rad
    # Half a step along each of the sensor's axes is sqrt(3)/2 of one along one of the base's.
    assert np.abs(found_rate - rate).max() < rate_rad_s


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_motion_is_refused(start: Start, kind: Kind) -> None:
    imu = start(kind)
    mirror = np.diag([1.0, 1.0, -1.0])
    none = [2.0 * np.eye(3), mirror, np.full((3, 3), np.nan), np.eye(4), np.zeros((3, 3)), np.eye(3) + 1e-3]
    motions = [(matrix, np.zeros(3), "orthonormal") for matrix in none]
    motions += [(np.eye(3), np.array((0.0, bad, 0.0)), "finite numbers") for bad in (np.nan, np.inf)]
    for rotation, rate, message in motions:
        with pytest.raises(UsageError, match=message):
            quantised(imu.config, rotation, rate)
        with pytest.raises(UsageError, match=message):
            imu.emit(rotation, rate, 0.0)
    assert received(imu) == b""


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_faults(start: Start, kind: Kind) -> None:
    def bytes_of(seed: int) -> bytes:
        imu = start(kind, WireFaults(flip_probability=0.01, cut_probability=0.2, seed=seed))
        emit(imu, 50)
        return received(imu)

    assert bytes_of(1) == bytes_of(1)
    assert bytes_of(1) != bytes_of(2)


@pytest.mark.parametrize("kind", KINDS)
def test_flips_are_single_bits_as_often_as_asked(start: Start, kind: Kind) -> None:
    clean, flipped = start(kind), start(kind, WireFaults(flip_probability=0.05))
    for imu in (clean, flipped):
        emit(imu, 200)
    truth, found = (np.frombuffer(received(imu), np.uint8) for imu in (clean, flipped))
    wrong = np.bitwise_count(truth ^ found)
    assert wrong.max() == 1
    assert wrong.sum() == flipped.statistics.flipped_bytes
    assert wrong.mean() == pytest.approx(0.05, abs=0.01)
    assert clean.statistics.flipped_bytes == 0


@pytest.mark.parametrize("kind", KINDS)
def test_cuts_leave_what_is_counted(start: Start, kind: Kind) -> None:
    imu = start(kind, WireFaults(cut_probability=0.5))
    size = imu.config.device.sample_bytes
    lengths = []
    for seed in range(200):
        emit(imu, seed=seed)
        lengths.append(len(received(imu)))
    assert sum(lengths) + imu.statistics.cut_bytes == 200 * size
    assert lengths.count(size) == pytest.approx(100, abs=25)
    assert min(lengths) == 0 or min(lengths) < size // 4


@pytest.mark.parametrize("probability", [-0.1, 1.1, math.nan])
def test_a_probability_is_one(probability: float) -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        WireFaults(flip_probability=probability)
    with pytest.raises(UsageError, match="0 to 1"):
        WireFaults(cut_probability=probability)


@pytest.mark.parametrize("kind", KINDS)
def test_a_terminal_that_nobody_reads_loses_and_does_not_block(start: Start, kind: Kind) -> None:
    imu = start(kind)
    emit(imu, 3000)
    assert imu.statistics.samples == 3000
    assert imu.statistics.overflowed_bytes > 0
    assert len(received(imu)) + imu.statistics.overflowed_bytes == 3000 * imu.config.device.sample_bytes


def test_what_a_driver_sends_is_taken_and_its_end_kept(start: Start) -> None:
    imu = start()
    for number in range(200):
        os.write(imu._terminal, b"command %03d\n" % number)
        emit(imu)
    assert imu.commands.endswith(b"command 198\ncommand 199\n")
    assert len(imu.commands) <= 256
    # Raw: nothing is echoed, and no newline was changed.
    assert len(received(imu)) + imu.statistics.overflowed_bytes == 200 * imu.config.device.sample_bytes


def test_closing_twice_is_closing_once() -> None:
    with closing(EmulatedImu(ImuConfig())) as imu:
        imu.close()
        with pytest.raises(ClosedError):
            emit(imu)
