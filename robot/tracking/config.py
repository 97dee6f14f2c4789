"""What the trackers are told. Their images are undistorted: give the camera its intrinsics."""

from __future__ import annotations

import math
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from robot.camera.config import CameraConfig
from robot.tracking.detect import TAG_COUNTS, Dictionary
from robot.tracking.floor import FloorCalibration


class TagPlane(BaseModel):
    """The horizontal plane in which a tag moves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    floor: FloorCalibration
    # Of the tag above the floor.
    height_m: float = Field(ge=0.0, le=5.0)
    # Side of the tag's black square.
    size_m: float = Field(gt=0.0, le=2.0)

    @model_validator(mode="after")
    def _below_the_camera(self) -> Self:
        camera_m = self.floor.camera_position_world_m[2]
        if not self.height_m < camera_m:
            raise ValueError(f"height_m {self.height_m} of the tag must be below the camera's, {camera_m:.3f} m")
        return self


class TrackerConfig(BaseModel):
    """One tag to follow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dictionary: Dictionary = "4x4_50"
    tag_id: int = Field(default=0, ge=0)
    # Time from the capture of the newest image with the tag.
    max_age_s: float = Field(default=0.2, gt=0.0, le=10.0)
    # The velocity is a mean over this time and lags by half of it. At 30 fps 0.15 s holds 5 images: 1 mm of noise becomes 10 mm/s.
    velocity_window_s: float = Field(default=0.15, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _tag_exists(self) -> Self:
        count = TAG_COUNTS[self.dictionary]
        if self.tag_id >= count:
            raise ValueError(f"tag_id {self.tag_id} is not in dictionary {self.dictionary}: choose 0 to {count - 1}")
        return self


class BaseTrackerConfig(TrackerConfig):
    """A tag that lies flat on a robot's back, under an overhead camera."""

    plane: TagPlane
    # The base's origin and x axis in the tag's frame: x right and y up on the print, z out of it.
    base_in_tag_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    base_yaw_in_tag_rad: float = Field(default=0.0, ge=-math.pi, le=math.pi)


class OverheadConfig(BaseModel):
    """An overhead camera and the tag on the robot's back that it follows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera: CameraConfig
    base: BaseTrackerConfig

    @model_validator(mode="after")
    def _undistorted(self) -> Self:
        if self.camera.intrinsics is None:
            raise ValueError("camera.intrinsics are missing: a tag's place is wrong where the lens bends the image; calibrate the camera")
        return self


class ValveTrackerConfig(TrackerConfig):
    """A tag in the middle of a valve's face."""

    # The tag's angle in the image at which the valve's angle is 0: of its upper edge, counter-clockwise from the image's rows.
    zero_yaw_rad: float = Field(default=0.0, ge=-math.pi, le=math.pi)
    # A valve that was out of sight may have turned this fast. Twice the no-load speed of an XM430-W210 (77 rpm at 12 V, ROBOTIS e-manual).
    max_speed_rad_s: float = Field(default=16.0, gt=0.0, le=100.0)
