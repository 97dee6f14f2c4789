"""The floor seen by a fixed camera: its calibration from markers of known place, and the way from pixels to metres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from robot.camera.config import Pinhole
from robot.errors import CalibrationError
from robot.tracking.detect import Sighting
from robot.tracking.geometry import UNIT_CORNERS, PosedCamera, transform
from robot.types import FloatArray, frozen_array

Row = tuple[float, float, float]
# A pose has six unknowns, a point gives two equations: three leave no error to judge by, and up to four solutions.
_POINTS_MIN = 4
# Width of the markers' layout across its longest direction, as a ratio of standard deviations, below which the tilt is a guess.
_SPREAD_MIN = 0.1


class FloorCalibration(BaseModel):
    """Where a fixed camera sees the floor, z = 0. For images without distortion.

    Attributes:
        homography_floor_to_image: Rows of the matrix that takes (x, y, 1), m, to homogeneous pixels.
        camera_position_world_m: Optical centre.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    homography_floor_to_image: tuple[Row, Row, Row]
    camera_position_world_m: Row

    @model_validator(mode="after")
    def _invertible_from_above(self) -> Self:
        matrix = np.array(self.homography_floor_to_image)
        if not np.isfinite(matrix).all() or np.linalg.matrix_rank(matrix) < 3:
            raise ValueError("homography_floor_to_image must be finite and invertible: calibrate again")
        if not self.camera_position_world_m[2] > 0.0:
            raise ValueError(f"camera_position_world_m {self.camera_position_world_m}: the camera must be above the floor, z > 0")
        return self

    @classmethod
    def of_camera(cls, camera: PosedCamera) -> Self:
        """Return the calibration of a camera whose place is known."""
        projection = camera.projection()
        rows = projection[:, [0, 1, 3]]
        return cls.model_validate({"homography_floor_to_image": rows.tolist(), "camera_position_world_m": camera.position_world_m.tolist()})

    def to_world(self, points_px: FloatArray, height_m: float) -> FloatArray:
        """Return where the rays of pixels pass a height above the floor. Shape (n, 2), px, to shape (n, 2), m.

        The homography gives the ray's foot on the floor; the point lies on the line from there to the camera's centre. An error of the
        height moves the point by as much times the distance from below the camera over the camera's height.
        """
        foot = transform(np.linalg.inv(np.array(self.homography_floor_to_image)), points_px)
        centre = np.array(self.camera_position_world_m)
        return frozen_array(foot + (centre[:2] - foot) * (height_m / centre[2]))


@dataclass(frozen=True, slots=True)
class FloorFit:
    """A calibration and how well it explains what was seen.

    Attributes:
        calibration: To keep.
        camera: The camera in the world.
        error_px: Root mean square distance between the markers' centres and where the fit sees them.
        ids: The markers used.
    """

    calibration: FloorCalibration
    camera: PosedCamera
    error_px: float
    ids: tuple[int, ...]


def fit_floor(
    sighting: Sighting,
    floor_markers_m: Mapping[int, tuple[float, float]],
    pinhole: Pinhole,
    size_px: tuple[int, int],
    max_error_px: float = 1.0,
) -> FloorFit:
    """Find the camera's place from markers that lie on the floor at known places, turned in any way.

    A pose and not eight free numbers of a homography: four markers then leave two equations more than unknowns, so that a wrong entry of
    the layout shows. Method: cv2.SOLVEPNP_ITERATIVE, for points in a plane Levenberg-Marquardt from the pose in a fitted homography.

    Args:
        sighting: Tags seen; those that are not in `floor_markers_m` are ignored.
        floor_markers_m: World x and y of each marker's centre by id, m.
        pinhole: Of the images, which are undistorted.
        size_px: Width and height of the images.
        max_error_px: Bound on the root mean square error; 1 px is 2 mm of floor under a camera at 2 m whose focal length is 1000 px.

    Raises:
        CalibrationError: If fewer than four markers are seen, they lie almost on a line or the error exceeds the bound.
    """
    ids = tuple(sorted(set(floor_markers_m) & set(sighting.corners_px)))
    if len(ids) < _POINTS_MIN:
        missing = sorted(set(floor_markers_m) - set(ids))
        raise CalibrationError(
            f"{len(ids)} floor markers are seen, at least {_POINTS_MIN} are needed: show or add some (not seen: {missing})"
        )
    places = np.array([floor_markers_m[marker] for marker in ids], np.float64)
    _require_spread(places)
    pixels = np.array([_centre_px(sighting.corners_px[marker]) for marker in ids])
    camera = _pose(places, pixels, pinhole, size_px)
    residual_px = np.linalg.norm(camera.project(np.column_stack([places, np.zeros(len(ids))])) - pixels, axis=1)
    error_px = float(np.sqrt(np.mean(residual_px**2)))
    if not error_px <= max_error_px:
        worst = {marker: round(float(value), 2) for marker, value in zip(ids, residual_px, strict=True)}
        raise CalibrationError(
            f"the floor markers are off by {error_px:.2f} px, at most {max_error_px} px is allowed ({worst} px by id): "
            "measure their places again, check their ids and the intrinsics"
        )
    if not camera.position_world_m[2] > 0.0:
        raise CalibrationError("the floor markers are seen from below: their layout is mirrored; x, y and z upwards must be right-handed")
    return FloorFit(FloorCalibration.of_camera(camera), camera, error_px, ids)


def _require_spread(places_m: FloatArray) -> None:
    spread = np.linalg.svd(places_m - places_m.mean(axis=0), compute_uv=False)
    if not spread[1] >= _SPREAD_MIN * spread[0]:
        raise CalibrationError(
            f"the floor markers lie almost on a line (spread {spread[1]:.3f} m across, {spread[0]:.3f} m along; "
            f"at least a ratio of {_SPREAD_MIN}): move some aside"
        )


def _centre_px(corners_px: FloatArray) -> FloatArray:
    """Return the image of a tag's centre: where the diagonals cross, which perspective keeps and the mean of the corners is not."""
    to_image = cv2.getPerspectiveTransform(UNIT_CORNERS.astype(np.float32), corners_px.astype(np.float32))
    return frozen_array(transform(to_image, np.zeros((1, 2)))[0])


def _pose(places_m: FloatArray, pixels: FloatArray, pinhole: Pinhole, size_px: tuple[int, int]) -> PosedCamera:
    points = np.column_stack([places_m, np.zeros(len(places_m))])
    matrix = pinhole.matrix()
    # SOLVEPNP_IPPE gives NaN in 3% of exact views of a rectangle (measured, OpenCV 5.0).
    found, rotation_vector, translation = cv2.solvePnP(points, pixels, matrix, None, flags=cv2.SOLVEPNP_ITERATIVE)
    if not found:
        raise CalibrationError(f"no camera sees the floor markers as they were seen: check their places {places_m.tolist()} m")
    rotation_vector, translation = cv2.solvePnPRefineLM(points, pixels, matrix, None, rotation_vector, translation)
    rotation = np.asarray(cv2.Rodrigues(rotation_vector)[0], np.float64)
    position = -rotation.T @ np.asarray(translation, np.float64).ravel()
    return PosedCamera(pinhole, size_px[0], size_px[1], frozen_array(rotation), frozen_array(position))
