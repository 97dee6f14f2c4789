"""Cameras with a place in the world, and tags in a plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from robot.camera.config import Pinhole
from robot.errors import UsageError
from robot.types import FloatArray, frozen_array

# Corners of a tag of side 1 in its own frame, in ArUco's order: from the upper left one clockwise, as printed. x points right, y up.
UNIT_CORNERS = frozen_array([[-0.5, 0.5], [0.5, 0.5], [0.5, -0.5], [-0.5, -0.5]])


@dataclass(frozen=True, slots=True)
class PosedCamera:
    """A pinhole camera in the world.

    Attributes:
        pinhole: Of the images.
        width_px: Of the images.
        height_px: Of the images.
        rotation_world_to_camera: Shape (3, 3); the camera's x points right in the image, y down and z into the scene.
        position_world_m: Shape (3,), m.
    """

    pinhole: Pinhole
    width_px: int
    height_px: int
    rotation_world_to_camera: FloatArray
    position_world_m: FloatArray

    def projection(self) -> FloatArray:
        """Return the matrix that takes homogeneous world points to homogeneous pixels. Shape (3, 4)."""
        rotation = self.rotation_world_to_camera
        return frozen_array(self.pinhole.matrix() @ np.column_stack([rotation, -rotation @ self.position_world_m]))

    def project(self, points_world_m: ArrayLike) -> FloatArray:
        """Return the pixels of world points. Shape (n, 3), m, to shape (n, 2), px."""
        points = np.asarray(points_world_m, np.float64)
        pixels = np.column_stack([points, np.ones(len(points))]) @ self.projection().T
        return frozen_array(pixels[:, :2] / pixels[:, 2:])


def looking_at(pinhole: Pinhole, size_px: tuple[int, int], position_world_m: ArrayLike, target_world_m: ArrayLike) -> PosedCamera:
    """Place a camera that sees a point in its optical centre, and world +y upwards in the image where it looks straight down.

    Raises:
        UsageError: If the two points coincide or the camera looks along world y.
    """
    position, target = np.asarray(position_world_m, np.float64), np.asarray(target_world_m, np.float64)
    forward = target - position
    right = np.cross(forward, (0.0, 1.0, 0.0))
    if np.linalg.norm(right) < 1e-9:
        raise UsageError(
            f"a camera at {position.tolist()} m cannot look at {target.tolist()} m: choose a line of sight that is not along y"
        )
    right /= np.linalg.norm(right)
    forward /= np.linalg.norm(forward)
    rotation = frozen_array([right, np.cross(forward, right), forward])
    return PosedCamera(pinhole, size_px[0], size_px[1], rotation, frozen_array(position))


@dataclass(frozen=True, slots=True)
class PlanarTag:
    """A tag as seen in a plane.

    Attributes:
        centre: Shape (2,), in the plane's unit.
        yaw_rad: From the plane's x axis to the tag's, counter-clockwise, within (-pi, pi].
        side: In the plane's unit.
    """

    centre: FloatArray
    yaw_rad: float
    side: float


def planar_tag(corners: FloatArray) -> PlanarTag:
    """Fit a square to four corners by least squares: all four edges count for the angle.

    It is the similarity transform that maps the unit tag onto the corners: Umeyama, PAMI 13(4), 1991, in two dimensions.

    Args:
        corners: Shape (4, 2), in ArUco's order, in a plane whose y axis is a quarter turn counter-clockwise from its x axis.
    """
    centre = corners.mean(axis=0)
    offset = corners - centre
    cosine = float((UNIT_CORNERS * offset).sum())
    sine = float((UNIT_CORNERS[:, 0] * offset[:, 1] - UNIT_CORNERS[:, 1] * offset[:, 0]).sum())
    return PlanarTag(frozen_array(centre), math.atan2(sine, cosine), math.hypot(sine, cosine) / float((UNIT_CORNERS**2).sum()))


def transform(homography: ArrayLike, points: ArrayLike) -> FloatArray:
    """Apply a homography to points. Shape (3, 3) and (n, 2) to (n, 2)."""
    source = np.asarray(points, np.float64).reshape(-1, 1, 2)
    return frozen_array(cv2.perspectiveTransform(source, np.asarray(homography, np.float64)).reshape(-1, 2))
