"""Quaternions and matrices are two names of one thing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.imu.rotations import Quaternion, matrix_quaternion, roll_pitch_yaw_matrix, rotation_matrix
from tests.robot.imu.motions import QUATERNIONS

DEGREES = st.floats(-180.0, 180.0)


@given(QUATERNIONS)
def test_a_matrix_is_a_rotation(quaternion: Quaternion) -> None:
    matrix = rotation_matrix(quaternion)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert not matrix.flags.writeable


@given(QUATERNIONS)
def test_the_way_there_and_back_changes_the_sign_at_most(quaternion: Quaternion) -> None:
    back = np.array(matrix_quaternion(rotation_matrix(quaternion)))
    assert min(np.abs(back - quaternion).max(), np.abs(back + quaternion).max()) < 1e-14


@given(QUATERNIONS, st.floats(0.5, 2.0))
def test_length_does_not_matter(quaternion: Quaternion, length: float) -> None:
    w, x, y, z = (length * value for value in quaternion)
    np.testing.assert_allclose(rotation_matrix((w, x, y, z)), rotation_matrix(quaternion), atol=1e-14)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("degrees", [90.0, 180.0, -90.0])
def test_turns_about_the_axes_have_every_component_largest_once(axis: int, degrees: float) -> None:
    half = np.radians(degrees) / 2.0
    parts = [float(np.cos(half)), 0.0, 0.0, 0.0]
    parts[axis + 1] = float(np.sin(half))
    angles = [0.0, 0.0, 0.0]
    angles[axis] = degrees
    np.testing.assert_allclose(rotation_matrix((parts[0], parts[1], parts[2], parts[3])), roll_pitch_yaw_matrix(*angles), atol=1e-15)
    np.testing.assert_allclose(np.abs(matrix_quaternion(roll_pitch_yaw_matrix(*angles))), np.abs(parts), atol=1e-15)


@given(DEGREES, st.floats(-89.0, 89.0), DEGREES)
def test_roll_pitch_and_yaw_can_be_read_back(roll: float, pitch: float, yaw: float) -> None:
    matrix = roll_pitch_yaw_matrix(roll, pitch, yaw)
    found = np.degrees([np.arctan2(matrix[2, 1], matrix[2, 2]), -np.arcsin(matrix[2, 0]), np.arctan2(matrix[1, 0], matrix[0, 0])])
    difference = (found - (roll, pitch, yaw) + 180.0) % 360.0 - 180.0
    np.testing.assert_allclose(difference, 0.0, atol=1e-9)
