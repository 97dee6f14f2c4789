"""An overhead camera, what it sees, and tags seen without an image."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from robot import CameraFrame
from robot.camera import Pinhole
from robot.tracking import DrawnTag, PosedCamera, Sighting, looking_at
from robot.tracking.geometry import UNIT_CORNERS
from robot.types import FloatArray, frozen_array

SIZE_PX = (1280, 720)
# About 71 deg across, as common USB cameras have.
PINHOLE = Pinhole(fx_px=900.0, fy_px=900.0, cx_px=639.5, cy_px=359.5)


def overhead(height_m: float = 1.5, x_m: float = 0.0, y_m: float = 0.0) -> PosedCamera:
    return looking_at(PINHOLE, SIZE_PX, (x_m, y_m, height_m), (0.0, 0.0, 0.0))


def frame_of(image_bgr: np.ndarray, stamp_s: float = 0.0) -> CameraFrame:
    return CameraFrame(stamp_s, np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), np.uint8))


def corners_of(camera: PosedCamera, tag: DrawnTag) -> FloatArray:
    flat = np.column_stack([UNIT_CORNERS * tag.size_m, np.zeros(4)])
    return camera.project(tag.centre_world_m + flat @ tag.rotation_tag_to_world.T)


def sight(stamp_s: float, corners_px: Mapping[int, FloatArray]) -> Sighting:
    return Sighting(stamp_s, corners_px)


def seen(camera: PosedCamera, stamp_s: float, *tags: DrawnTag) -> Sighting:
    return sight(stamp_s, {tag.tag_id: corners_of(camera, tag) for tag in tags})


def turn(axis: tuple[float, float, float], angle_rad: float) -> FloatArray:
    return frozen_array(cv2.Rodrigues(np.array(axis) / np.linalg.norm(axis) * angle_rad)[0])
