"""Rotations as unit quaternions (w, x, y, z) and as matrices, both from the turned frame to the fixed one (Hamilton's convention)."""

from __future__ import annotations

import math

import numpy as np

from robot.errors import UsageError
from robot.types import FloatArray, frozen_array

# Physics engines hand out rotations made of float32 quaternions at times.
_ORTHONORMAL = 1e-5

Quaternion = tuple[float, float, float, float]
Vector = tuple[float, float, float]


def require_rotation(rotation: FloatArray) -> None:
    """Check that a matrix turns and does nothing else.

    Raises:
        UsageError: If the shape is not (3, 3), the columns are not orthonormal to 1e-5, or it mirrors.
    """
    # A NaN makes the comparison false.
    if rotation.shape == (3, 3) and np.abs(rotation.T @ rotation - np.eye(3)).max() <= _ORTHONORMAL and np.linalg.det(rotation) > 0.0:
        return
    raise UsageError(f"a rotation is a matrix of shape (3, 3) with orthonormal, right-handed columns: got {rotation.tolist()}")


def rotation_matrix(quaternion_wxyz: Quaternion) -> FloatArray:
    """Return the matrix of a quaternion, which is normalised first. Shape (3, 3)."""
    norm = math.hypot(*quaternion_wxyz)
    w, x, y, z = (value / norm for value in quaternion_wxyz)
    return frozen_array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
            [2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)],
            [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )


def matrix_quaternion(rotation: FloatArray) -> Quaternion:
    """Return the unit quaternion of a rotation matrix, shape (3, 3).

    The largest component is computed first and is positive, so that no difference of near numbers is divided (Shepperd, "Quaternion from
    Rotation Matrix", 1978).
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation.tolist()
    squares = (1.0 + xx + yy + zz, 1.0 + xx - yy - zz, 1.0 - xx + yy - zz, 1.0 - xx - yy + zz)
    largest = squares.index(max(squares))
    # Each row is 4 * (the largest component) * (w, x, y, z).
    rows = (
        (squares[0], zy - yz, xz - zx, yx - xy),
        (zy - yz, squares[1], yx + xy, xz + zx),
        (xz - zx, yx + xy, squares[2], zy + yz),
        (yx - xy, xz + zx, zy + yz, squares[3]),
    )
    norm = math.hypot(*rows[largest])
    w, x, y, z = rows[largest]
    return w / norm, x / norm, y / norm, z / norm


def roll_pitch_yaw_matrix(roll_deg: float, pitch_deg: float, yaw_deg: float) -> FloatArray:
    """Return the matrix that turns about x by the roll, then about the fixed y by the pitch, then about the fixed z by the yaw; (3, 3)."""
    (cr, sr), (cp, sp), (cy, sy) = ((math.cos(angle), math.sin(angle)) for angle in map(math.radians, (roll_deg, pitch_deg, yaw_deg)))
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cr, -sr], [0.0, sr, cr]])
    about_y = np.array([[cp, 0.0, sp], [0.0, 1.0, 0.0], [-sp, 0.0, cp]])
    about_z = np.array([[cy, -sy, 0.0], [sy, cy, 0.0], [0.0, 0.0, 1.0]])
    return frozen_array(about_z @ about_y @ about_x)
