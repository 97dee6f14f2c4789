"""What a camera is told: source, size, exposure, lens and crop."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from robot.types import FloatArray, frozen_array

# Linux numbers its video nodes from 0 to 255 (VIDEO_NUM_DEVICES of drivers/media/v4l2-core).
_DeviceIndex = Annotated[int, Field(ge=0, le=255)]
_DevicePath = Annotated[str, Field(pattern=r"^/dev/")]


class DeviceSource(BaseModel):
    """A camera of this machine, by Video4Linux."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["v4l2"] = "v4l2"
    # N stands for /dev/videoN. A path below /dev/v4l/by-id names the same camera whatever was plugged in before it.
    device: _DeviceIndex | _DevicePath = 0
    fps: int = Field(default=30, ge=1, le=240)
    # Uncompressed (YUYV), 1280x720 at 30 Hz is 55 MB/s: an isochronous endpoint of USB 2.0 carries 3 x 1024 bytes each 125 us, 24.6 MB/s.
    fourcc: Literal["MJPG", "YUYV"] = "MJPG"
    # Unit of V4L2_CID_EXPOSURE_ABSOLUTE, 100 us; null: automatic. At 50 (5 ms) a tag at 1 m/s smears over 5 mm.
    exposure_100us: int | None = Field(default=None, ge=1, le=10_000)

    @property
    def path(self) -> str:
        """The device node."""
        return f"/dev/video{self.device}" if isinstance(self.device, int) else self.device

    @property
    def name(self) -> str:
        """As error messages call it."""
        return self.path

    @model_validator(mode="after")
    def _exposure_fits_a_frame(self) -> Self:
        if self.exposure_100us is not None and self.exposure_100us * 1e-4 * self.fps > 1.0:
            bound = int(1e4 / self.fps)
            raise ValueError(f"exposure_100us {self.exposure_100us} is longer than a frame at {self.fps} fps: at most {bound}")
        return self


class StreamSource(BaseModel):
    """A camera that another program or machine serves over HTTP, usually as MJPEG: what it sends is set there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["http"] = "http"
    url: str = Field(pattern=r"^https?://[^/\s]+")

    @property
    def name(self) -> str:
        """As error messages call it: without user name and password."""
        return re.sub(r"//[^/@]*@", "//", self.url)


Source = DeviceSource | StreamSource


class Pinhole(BaseModel):
    """A camera without distortion; pixel (0, 0) has its centre at (0, 0), as in OpenCV."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fx_px: float = Field(gt=0.0)
    fy_px: float = Field(gt=0.0)
    cx_px: float
    cy_px: float

    def matrix(self) -> FloatArray:
        """Return the camera matrix K. Shape (3, 3), px."""
        return frozen_array([[self.fx_px, 0.0, self.cx_px], [0.0, self.fy_px, self.cy_px], [0.0, 0.0, 1.0]])


class Intrinsics(BaseModel):
    """A lens as OpenCV's calibration describes it: a pinhole and five coefficients of the Brown-Conrady model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pinhole: Pinhole
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0

    def distortion(self) -> FloatArray:
        """Return the coefficients in OpenCV's order. Shape (5,)."""
        return frozen_array([self.k1, self.k2, self.p1, self.p2, self.k3])


class Crop(BaseModel):
    """A rectangle of the undistorted image, from its upper left pixel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    x_px: int = Field(ge=0)
    y_px: int = Field(ge=0)
    width_px: int = Field(ge=1)
    height_px: int = Field(ge=1)


class CameraConfig(BaseModel):
    """A camera and the images that it delivers: RGB, undistorted where `intrinsics` is given, then cropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[Source, Field(discriminator="kind")] = DeviceSource()
    width_px: int = Field(default=1280, ge=16, le=8192)
    height_px: int = Field(default=720, ge=16, le=8192)
    # Older than this is no view of the present. At least two frames, so that one lost frame is no fault.
    max_age_s: float = Field(default=0.2, gt=0.0, le=10.0)
    # The same image, byte for byte, for so long is a camera that hangs: every sensor has noise. Null: of a source that has none.
    still_max_s: float | None = Field(default=1.0, gt=0.0, le=60.0)
    # An image in which no colour of any pixel is brighter than this, of 255, shows nothing; 0: all may be black.
    dark_level: int = Field(default=8, ge=0, le=254)
    intrinsics: Intrinsics | None = None
    crop: Crop | None = None

    @property
    def pinhole(self) -> Pinhole | None:
        """The pinhole of the delivered images, for trackers; None without intrinsics."""
        if self.intrinsics is None or self.crop is None:
            return None if self.intrinsics is None else self.intrinsics.pinhole
        whole = self.intrinsics.pinhole
        return whole.model_copy(update={"cx_px": whole.cx_px - self.crop.x_px, "cy_px": whole.cy_px - self.crop.y_px})

    @model_validator(mode="after")
    def _crop_lies_inside(self) -> Self:
        crop = self.crop
        if crop and (crop.x_px + crop.width_px > self.width_px or crop.y_px + crop.height_px > self.height_px):
            raise ValueError(f"the crop {crop} leaves the image of {self.width_px} x {self.height_px} px: choose one inside")
        return self

    @model_validator(mode="after")
    def _age_holds_two_frames(self) -> Self:
        if isinstance(self.source, DeviceSource) and self.max_age_s * self.source.fps < 2.0:
            raise ValueError(
                f"max_age_s {self.max_age_s} is less than two frames at {self.source.fps} fps: at least {2 / self.source.fps:.3g} s"
            )
        return self
