"""The driver over a real pseudo-terminal: what it reads, and how old it is."""

from __future__ import annotations

import math
import os
import threading
from contextlib import closing

import numpy as np
import pytest

from robot import StaleError
from robot.clock import monotonic_s, process_cpu_s, sleep_s
from robot.imu import DEVICES, EmulatedImu, ImuConfig, Kind, SerialImu, WireFaults, quantised
from robot.protocols import ImuSource
from tests.robot.imu.motions import random_motion
from tests.robot.imu.rig import SOON_S, Connect, HandClock, same

pytestmark = pytest.mark.realtime

KINDS = list(DEVICES)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_read_is_what_was_quantised_bit_for_bit(connect: Connect, kind: Kind) -> None:
    rig = connect(kind)
    source: ImuSource = rig.imu
    for _ in range(200):
        motion = rig.step()
        assert same(source.read(), motion, rig.device.config)
    assert rig.imu.statistics.samples == 200
    assert rig.imu.statistics.skipped_bytes == 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_device_time_comes_along_where_there_is_one(connect: Connect, kind: Kind) -> None:
    rig = connect(kind)
    assert rig.imu.sample is None
    rig.step()
    assert rig.imu.sample is not None
    assert rig.imu.sample.device_time_ns == (round(rig.clock.now_s * 1e9) if kind == "vectornav" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_of_many_is_read(connect: Connect, kind: Kind) -> None:
    rig = connect(kind)
    rig.step()
    for _ in range(20):
        motion = rig.emit()
    rig.clock.now_s += 0.01
    # The terminal may hand over in its own time.
    deadline_s = monotonic_s() + SOON_S
    while rig.imu.statistics.samples < 21 and monotonic_s() < deadline_s:
        state = rig.imu.read()
    assert same(state, motion, rig.device.config)


def test_age_counts_from_the_stamp_and_ends_in_an_error(connect: Connect) -> None:
    rig = connect()
    motion = rig.step()
    stamp_s = rig.imu.stamp_s
    for later_s in (0.0, 0.03, 0.06, 0.089):
        rig.clock.now_s = stamp_s + later_s
        state = rig.imu.read()
        assert state.age_s == pytest.approx(later_s)
        assert same(state, motion, rig.device.config)
    rig.clock.now_s = stamp_s + 0.101
    with pytest.raises(StaleError, match=r"bound 0\.1"):
        rig.imu.read()
    rig.step()
    assert rig.imu.read().age_s == 0.0


def test_nothing_is_ever_made_up(connect: Connect) -> None:
    rig = connect()
    with pytest.raises(StaleError, match="no sample yet"):
        rig.imu.read()
    assert rig.imu.stamp_s == -math.inf


def test_what_piled_up_in_a_pause_is_not_taken_for_new(connect: Connect) -> None:
    rig = connect()
    rig.step()
    rig.emit()
    # It came some time in this second: when, nobody knows.
    rig.clock.now_s += 1.0
    sleep_s(0.05)
    with pytest.raises(StaleError, match=r"nothing new for 0\.1 s"):
        rig.imu.read()
    assert rig.imu.statistics.samples == 2
    rig.step()
    assert rig.imu.read().age_s == 0.0


def test_the_first_read_after_a_pause_waits_for_the_next_sample() -> None:
    motions = [random_motion(np.random.default_rng(seed)) for seed in range(2)]
    with closing(EmulatedImu(ImuConfig(max_age_s=SOON_S))) as device, closing(SerialImu(device.config, clock := HandClock())) as imu:
        device.emit(*motions[0], 0.0)
        clock.now_s += 2.0 * SOON_S
        sender = threading.Timer(0.3, device.emit, (*motions[1], 0.0))
        sender.start()
        assert same(imu.read(), motions[1], device.config)
        sender.join()
        # It looks again at once: there is no pause to wait after.
        clock.now_s += SOON_S
        start_s = monotonic_s()
        assert same(imu.read(), motions[1], device.config)
        assert monotonic_s() - start_s < SOON_S


def test_what_came_before_opening_is_not_read() -> None:
    with closing(EmulatedImu(ImuConfig())) as device:
        for _ in range(50):
            device.emit(np.eye(3), np.zeros(3), 0.0)
        with closing(SerialImu(device.config)) as imu, pytest.raises(StaleError):
            imu.wait_newer(monotonic_s(), 0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_terminal_is_read_to_its_end(connect: Connect, kind: Kind) -> None:
    rig = connect(kind)
    for _ in range(3000):
        rig.emit()
    assert rig.device.statistics.overflowed_bytes > 0
    sleep_s(0.05)
    rig.clock.now_s += 1.0
    with pytest.raises(StaleError):
        rig.imu.read()
    motion = rig.step()
    assert same(rig.imu.read(), motion, rig.device.config)


def test_waiting_takes_what_comes_later_and_no_processor() -> None:
    with closing(EmulatedImu(ImuConfig())) as device, closing(SerialImu(device.config)) as imu:
        motion = random_motion(np.random.default_rng(2))
        sender = threading.Timer(0.5, device.emit, (*motion, 0.0))
        sender.start()
        start_s, used_s = monotonic_s(), process_cpu_s()
        state = imu.wait_newer(start_s, SOON_S)
        assert monotonic_s() - start_s > 0.45
        assert process_cpu_s() - used_s < 0.1
        assert same(state, motion, device.config)
        assert 0.0 <= state.age_s < 0.1
        sender.join()


def test_waiting_ends(connect: Connect) -> None:
    rig = connect()
    rig.step()
    start_s = monotonic_s()
    with pytest.raises(StaleError, match=r"nothing new for 0\.1 s"):
        rig.imu.wait_newer(rig.imu.stamp_s, 0.1)
    assert 0.1 <= monotonic_s() - start_s < 1.0
    # Nor is what lay in the port for who knows how long.
    rig.emit()
    sleep_s(0.05)
    rig.clock.now_s += 1.0
    with pytest.raises(StaleError):
        rig.imu.wait_newer(rig.clock.now_s - 0.5, 0.05)
    assert rig.imu.statistics.samples == 2
    # The bytes of half a sample are none.
    os.write(rig.device._device, b"\x55\x52\x00")
    with pytest.raises(StaleError):
        rig.imu.wait_newer(rig.imu.stamp_s, 0.05)


def test_one_sample_ends_one_wait_also_where_time_stands_still(connect: Connect) -> None:
    rig = connect()
    sender = threading.Timer(0.1, rig.emit)
    sender.start()
    rig.imu.wait_newer(rig.imu.stamp_s, SOON_S)
    sender.join()
    with pytest.raises(StaleError):
        rig.imu.wait_newer(rig.imu.stamp_s, 0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_two_ends_in_lockstep_pair_every_sample_with_its_tick(kind: Kind) -> None:
    """The device is told once a tick; its answer may be there before the driver waits, or after."""
    clock = HandClock()
    go, told, ended = threading.Event(), [], threading.Event()
    with closing(EmulatedImu(ImuConfig(kind=kind))) as device, closing(SerialImu(device.config, clock)) as imu:
        motions = [random_motion(np.random.default_rng(seed)) for seed in range(100)]

        def serve() -> None:
            while go.wait() and not ended.is_set():
                go.clear()
                device.emit(*motions[len(told)], clock.now_s)
                told.append(clock.now_s)

        server = threading.Thread(target=serve)
        server.start()
        try:
            for number, motion in enumerate(motions):
                clock.now_s += 0.02
                stamp_s = imu.stamp_s
                go.set()
                sleep_s(0.0005 * (number % 3))
                state = imu.wait_newer(stamp_s, SOON_S)
                assert same(state, motion, device.config)
                assert state.age_s == 0.0
                assert same(imu.read(), motion, device.config)
        finally:
            ended.set()
            go.set()
            server.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_wire_loses_samples_and_invents_none(connect: Connect, kind: Kind) -> None:
    rig = connect(kind, WireFaults(flip_probability=0.002, cut_probability=0.1, seed=3))
    truth = set()
    found = set()
    for _ in range(1000):
        rig.clock.now_s += 0.01
        motion = rig.emit()
        rotation, rate = quantised(rig.device.config, *motion)
        truth.add((rotation.tobytes(), rate.tobytes()))
        try:
            state = rig.imu.read()
        except StaleError:
            continue
        found.add((state.rotation_base_to_world.tobytes(), state.angular_velocity_base_rad_s.tobytes()))
    assert found <= truth
    # A sample survives with 0.998 ** 33 (42) * 0.9; a piece that is cut takes the next sample with it at times.
    assert 700 < rig.imu.statistics.samples < 950
    assert rig.device.statistics.flipped_bytes > 20
    assert rig.imu.statistics.bad_checksums > 20
    assert rig.imu.statistics.resyncs > 50
