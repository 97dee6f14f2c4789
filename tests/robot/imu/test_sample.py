"""From the sensor's frame to the base's, and what makes a sample credible."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given

from robot import FloatArray, ImuState, UsageError
from robot.imu import DEVICES, ImuSample, Kind, MountConfig, sample_to_state, state_to_sample, tilt_error_rad
from robot.imu.rotations import Quaternion, roll_pitch_yaw_matrix, rotation_matrix
from robot.imu.sample import plausible, up_in_sensor
from tests.robot.imu.motions import QUATERNIONS, RATES, ROTATIONS, angle_between, random_sample

LEVEL: Quaternion = (1.0, 0.0, 0.0, 0.0)


@given(ROTATIONS, RATES, ROTATIONS)
def test_a_state_survives_the_way_into_the_sensor_and_back(rotation: FloatArray, rate: FloatArray, mount: FloatArray) -> None:
    back = sample_to_state(state_to_sample(ImuState(rotation, rate, 0.25), mount), mount, 0.25)
    np.testing.assert_allclose(back.rotation_base_to_world, rotation, atol=1e-14)
    np.testing.assert_allclose(back.angular_velocity_base_rad_s, rate, atol=1e-12)
    assert back.age_s == 0.25
    assert not back.rotation_base_to_world.flags.writeable
    assert not back.angular_velocity_base_rad_s.flags.writeable


@given(ROTATIONS, RATES, ROTATIONS)
def test_a_vector_of_the_world_is_the_same_by_sensor_and_by_base(rotation: FloatArray, rate: FloatArray, mount: FloatArray) -> None:
    sample = state_to_sample(ImuState(rotation, rate, 0.0), mount)
    sensor_to_world = rotation_matrix(sample.quaternion_wxyz)
    in_world = sensor_to_world @ np.array(sample.angular_velocity_sensor_rad_s)
    np.testing.assert_allclose(in_world, rotation @ rate, atol=1e-12)
    np.testing.assert_allclose(sensor_to_world.T @ (0.0, 0.0, 1.0), up_in_sensor(sample.quaternion_wxyz), atol=1e-14)


def test_a_sensor_that_is_turned_on_its_robot() -> None:
    # Its x axis points to the base's left: while the base rolls, the sensor pitches the other way.
    mount = MountConfig(yaw_deg=90.0).rotation_sensor_to_base
    np.testing.assert_allclose(mount @ (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), atol=1e-15)
    state = ImuState(roll_pitch_yaw_matrix(20.0, 0.0, 0.0), np.array((3.0, 0.0, 0.0)), 0.0)
    sample = state_to_sample(state, mount)
    np.testing.assert_allclose(sample.angular_velocity_sensor_rad_s, (0.0, -3.0, 0.0), atol=1e-15)
    np.testing.assert_allclose(up_in_sensor(sample.quaternion_wxyz), (math.sin(math.radians(20.0)), 0.0, math.cos(math.radians(20.0))))


def test_a_sensor_upside_down() -> None:
    mount = MountConfig(roll_deg=180.0).rotation_sensor_to_base
    level = sample_to_state(ImuSample((0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), mount, 0.0)
    assert angle_between(level.rotation_base_to_world, np.eye(3)) < 1e-15
    np.testing.assert_allclose(level.angular_velocity_base_rad_s, (0.0, 0.0, -1.0), atol=1e-15)


@given(QUATERNIONS)
def test_orientation_and_gravity_agree_at_rest(quaternion: Quaternion) -> None:
    x, y, z = up_in_sensor(quaternion)
    error = tilt_error_rad(ImuSample(quaternion, (0.0, 0.0, 0.0), (1.02 * x, 1.02 * y, 1.02 * z)))
    assert error is not None
    assert error < 1e-7
    assert tilt_error_rad(ImuSample(quaternion, (0.0, 0.0, 0.0))) is None


def test_most_positions_betray_a_quaternion_of_another_order() -> None:
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(1000):
        sample = random_sample(rng)
        w, x, y, z = sample.quaternion_wxyz
        errors.append(tilt_error_rad(dataclasses.replace(sample, quaternion_wxyz=(x, y, z, w))))
    assert np.mean(np.degrees(np.array(errors, float)) > 20.0) > 0.9
    # Lying flat is one of them: with the scalar taken for z, the sensor would stand on its head.
    flat = ImuSample((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0), up_in_sensor((0.0, 0.0, 0.0, 1.0)))
    assert tilt_error_rad(dataclasses.replace(flat, quaternion_wxyz=(0.0, 1.0, 0.0, 0.0))) == pytest.approx(math.pi)


BAD = [
    *(ImuSample((length, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0)) for length in (0.0, 0.98, 1.02, math.nan, math.inf)),
    *(ImuSample(LEVEL, (0.0, value, 0.0), None, 0) for value in (math.nan, -math.inf)),
    ImuSample(LEVEL, (0.0, 0.0, 0.0), (0.0, math.nan, 1.0), 0),
]


@pytest.mark.parametrize(("sample", "kind"), list(itertools.product(BAD, DEVICES)))
def test_no_device_reports_what_cannot_be(sample: ImuSample, kind: Kind) -> None:
    assert not plausible(sample)
    with pytest.raises(UsageError, match="finite numbers"):
        DEVICES[kind].encode(sample)
