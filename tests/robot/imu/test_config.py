"""A configuration names a device that exists."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from robot.imu import DEVICES, ImuConfig, Kind, MountConfig


@pytest.mark.parametrize("kind", DEVICES)
def test_the_defaults_suit_every_device(kind: Kind) -> None:
    config = ImuConfig(kind=kind)
    assert config.device is DEVICES[kind]
    assert np.array_equal(config.mount.rotation_sensor_to_base, np.eye(3))


@pytest.mark.parametrize("kind", DEVICES)
def test_every_rate_has_a_baud_that_carries_it(kind: Kind) -> None:
    device = DEVICES[kind]
    for rate in device.rates_hz:
        assert ImuConfig(kind=kind, rate_hz=rate, baud=max(device.bauds), max_age_s=1.0).device.configuration(rate)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"baud": 460800}, "4800, 9600"),
        ({"kind": "vectornav", "baud": 4800}, "a VN-100 knows"),
        ({"rate_hz": 125}, "10, 20, 50, 100, 200"),
        ({"rate_hz": 200, "baud": 57600}, "at least 73333"),
        ({"kind": "vectornav", "rate_hz": 400, "max_age_s": 0.004}, "186667"),
        ({"max_age_s": 0.01}, "at least 0.02"),
        ({"kind": "mpu6050"}, "'witmotion' or 'vectornav'"),
        ({"port": "COM3"}, "/dev/"),
        ({"mount": {"roll_deg": 181.0}}, "180"),
        ({"baudrate": 9600}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ImuConfig.model_validate(values)


def test_the_mount_turns_the_sensor_into_the_base() -> None:
    mount = MountConfig(roll_deg=180.0, yaw_deg=90.0).rotation_sensor_to_base
    np.testing.assert_allclose(mount, [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]], atol=1e-15)
    assert not mount.flags.writeable
