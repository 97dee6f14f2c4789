"""The driver's port over a real pseudo-terminal: lost, taken, closed and set up."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from robot import ClosedError, ImuState, PortError, PortLostError, RobotError, StaleError
from robot.clock import monotonic_s
from robot.imu import DEVICES, EmulatedImu, ImuConfig, Kind, SerialImu, state_to_sample
from robot.imu.witmotion import FrameType, encode, encode_frame, to_raw
from tests.robot.imu.rig import SOON_S, Connect

pytestmark = pytest.mark.realtime

KINDS = list(DEVICES)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unplugged_device_is_one_error_for_good(connect: Connect, kind: Kind) -> None:
    rig = connect(kind)
    rig.step()
    rig.device.close()
    for _ in range(3):
        with pytest.raises(PortLostError, match="plug it in again"):
            rig.imu.read()
    # The number of a closed descriptor may belong to somebody else by now.
    with ExitStack() as others:
        for _ in range(10):
            others.enter_context(Path("/dev/zero").open("rb"))
        with pytest.raises(PortLostError):
            rig.imu.wait_newer(0.0, 0.1)
    with pytest.raises(PortLostError):
        rig.imu.configure(lambda _: None)
    rig.imu.close()


def test_unplugging_ends_a_wait() -> None:
    with closing(EmulatedImu(ImuConfig())) as device, closing(SerialImu(device.config)) as imu:
        thief = threading.Timer(0.1, device.close)
        thief.start()
        with pytest.raises(PortLostError):
            imu.wait_newer(monotonic_s(), SOON_S)
        thief.join()


def test_closing_twice_is_closing_once(connect: Connect) -> None:
    rig = connect()
    rig.imu.close()
    rig.imu.close()
    for call in (rig.imu.read, rig.imu.configure, lambda: rig.imu.wait_newer(0.0, 0.1)):
        with pytest.raises(ClosedError):
            call()


def test_a_port_has_one_owner(connect: Connect) -> None:
    rig = connect()
    with pytest.raises(PortError, match="in use"):
        SerialImu(rig.device.config)
    rig.imu.close()
    SerialImu(rig.device.config).close()


def test_a_port_that_is_not_there_is_named() -> None:
    with pytest.raises(PortError, match="/dev/ttyNONE"):
        SerialImu(ImuConfig(port="/dev/ttyNONE"))


def test_nothing_leaks() -> None:
    def open_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def once(kind: Kind, *, unplug: bool) -> None:
        device = EmulatedImu(ImuConfig(kind=kind))
        imu = SerialImu(device.config)
        device.emit(np.eye(3), np.zeros(3), 0.0)
        if unplug:
            device.close()
            with pytest.raises(PortLostError):
                imu.read()
        imu.close()
        device.close()

    once("witmotion", unplug=False)
    before = open_descriptors()
    for number in range(100):
        once(KINDS[number % 2], unplug=number % 4 >= 2)
    assert open_descriptors() == before


@pytest.mark.parametrize("kind", KINDS)
def test_configuring_sends_the_commands_and_waits_for_a_sample(kind: Kind) -> None:
    pauses, samples, ended = [], [], threading.Event()
    with closing(EmulatedImu(ImuConfig(kind=kind))) as device, closing(SerialImu(device.config)) as imu:

        def send() -> None:
            while not ended.wait(0.005):
                samples.append(device.emit(np.eye(3), np.zeros(3), 0.01 * len(samples)))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            imu.configure(pauses.append)
        finally:
            ended.set()
            sender.join()
        assert imu.sample is not None
        # It listens when it sends.
        device.emit(np.eye(3), np.zeros(3), 0.0)
        commands = device.config.device.configuration(device.config.rate_hz)
        assert device.commands == b"".join(commands)
        assert len(pauses) == len(commands)
        assert min(pauses) >= 0.05


def test_a_device_that_stays_silent_is_not_configured(connect: Connect) -> None:
    rig = connect()
    # Sent before the commands were: no proof of anything.
    rig.step()
    rig.emit()
    with pytest.raises(StaleError, match="nothing new"):
        rig.imu.configure(lambda _: None)


def test_a_quaternion_of_another_order_is_found_out(connect: Connect) -> None:
    rig = connect()
    level = encode(state_to_sample(ImuState(np.eye(3), np.zeros(3), 0.0), np.eye(3)))
    rig.step()
    rig.imu.require_upright()
    # The scalar last, as some drivers read it.
    wrong = level[:22] + encode_frame(FrameType.QUATERNION, (0, 0, 0, to_raw(1.0, 1.0)))
    tilted = level[:22] + encode_frame(FrameType.QUATERNION, (0, to_raw(1.0, 1.0), 0, 0))
    for data, agrees in ((level, True), (tilted, False), (wrong, True)):
        rig.clock.now_s += 0.01
        stamp_s = rig.imu.stamp_s
        os.write(rig.device._device, data)
        rig.imu.wait_newer(stamp_s, SOON_S)
        if agrees:
            # About the vertical, gravity says nothing: a level device needs a second position.
            rig.imu.require_upright()
        else:
            with pytest.raises(RobotError, match="180 deg apart"):
                rig.imu.require_upright()
