"""A camera over OpenCV: a thread grabs every frame and stamps it, and decodes only those that are asked for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Self

import cv2
import numpy as np
from cv2.typing import MatLike

from robot.camera.config import CameraConfig, DeviceSource, Source
from robot.camera.source import VideoSource, open_source, set_up_device
from robot.clock import monotonic_s
from robot.errors import ClosedError, RobotError, StaleError
from robot.types import ByteImage, CameraFrame

# Above the longest wait of a grab (`robot.camera.source`): a thread that is not back by then hangs in the driver.
_JOIN_S = 15.0
# USB cameras often begin with a frame or two that are cut short.
_FIRST_TRIES = 5

_log = logging.getLogger(__name__)


class OpenCvCamera:
    """Implements Camera; made by `open`.

    No queue grows between camera and caller: every frame is taken off the driver at once, and `capture` waits for the frame that comes
    next, at most one frame period, so that what it returns is as young as it can be. The stamp is the time at which the frame arrived:
    later than the middle of its exposure by half the exposure, the sensor's read-out and the transport (one frame period and more on USB).

    Args:
        config: Of the camera.
        video: An open source that is set up; the camera releases it.
        now_s: Monotonic time, s.
    """

    def __init__(self, config: CameraConfig, video: VideoSource, now_s: Callable[[], float]) -> None:
        self._config = config
        self._video = video
        self._now_s = now_s
        self._develop = _developer(config)
        self._view = _View(config)
        self._name = config.source.name
        self._changed = threading.Condition()
        self._stopping = False
        self._ended = False
        self._wanted = False
        self._frames = 0
        self._newest_s = now_s()
        self._raw: tuple[float, MatLike] | None = None
        self._thread = threading.Thread(target=self._run, name=f"camera {self._name}", daemon=True)

    @classmethod
    def open(
        cls, config: CameraConfig, open_capture: Callable[[Source], VideoSource] = open_source, now_s: Callable[[], float] = monotonic_s
    ) -> Self:
        """Open the source, set it up, see a first frame and start the thread.

        Args:
            config: Of the camera.
            open_capture: Opens a source of cv2.VideoCapture's shape, or raises RobotError.
            now_s: Monotonic time, s.

        Raises:
            RobotError: If the source does not open, does not take a setting or sends no image of the configured size.
        """
        video = open_capture(config.source)
        try:
            if isinstance(config.source, DeviceSource):
                set_up_device(video, config.source, config.width_px, config.height_px)
            _require_size(video, config)
        except BaseException:
            video.release()
            raise
        camera = cls(config, video, now_s)
        camera._thread.start()
        return camera

    @property
    def frames(self) -> int:
        """Number of frames that came since `open`, decoded or not."""
        return self._frames

    def capture(self) -> CameraFrame:
        """Return the frame that comes next, with the stamp of its arrival.

        Raises:
            StaleError: If the newest frame is older than `max_age_s`, or nothing that can be decoded comes for as long; if the image is
                black, or the same for longer than `still_max_s`.
            RobotError: If the device is gone.
            ClosedError: After `close`.
        """
        stamp_s, raw = self._next_frame()
        self._view.require(stamp_s, raw)
        image = self._develop(raw)
        image.flags.writeable = False
        return CameraFrame(stamp_s, image)

    def _next_frame(self) -> tuple[float, MatLike]:
        called_s = self._now_s()
        with self._changed:
            self._wanted = True
            while self._wanted:
                self._require_running()
                left_s = min(self._newest_s, called_s) + self._config.max_age_s - self._now_s()
                if left_s <= 0.0:
                    raise self._stale()
                self._changed.wait(left_s)
            if self._raw is None or self._now_s() - self._raw[0] > self._config.max_age_s:
                raise self._stale()
            return self._raw

    def _require_running(self) -> None:
        if self._stopping:
            raise ClosedError(f"camera {self._name} is closed: open a new one")
        if self._ended:
            raise RobotError(f"camera {self._name} is gone after {self._frames} frames: check its cable or its server, then open it again")

    def _stale(self) -> StaleError:
        age_s = self._now_s() - self._newest_s
        return StaleError(
            f"camera {self._name}: no whole image within max_age_s {self._config.max_age_s} s; the newest frame came {age_s:.3f} s ago:"
            " check its cable and the machine's load"
        )

    def _run(self) -> None:
        try:
            while not self._stopping and self._video.grab():
                self._take(self._now_s())
        finally:
            # Here and nowhere else: a release while a grab waits frees the memory under it.
            self._video.release()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _take(self, stamp_s: float) -> None:
        with self._changed:
            self._frames += 1
            self._newest_s = stamp_s
            wanted = self._wanted
        if not wanted:
            return
        whole, raw = self._video.retrieve()
        # A broken image is dropped; the caller waits for the next one.
        if whole:
            with self._changed:
                self._raw, self._wanted = (stamp_s, raw), False
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            _log.warning("camera %s hangs in its driver: its thread is left behind", self._name)


class _View:
    """Tells whether a camera shows anything; its images are of one size."""

    def __init__(self, config: CameraConfig) -> None:
        self._config = config
        self._last: MatLike | None = None
        self._since_s = 0.0

    def require(self, stamp_s: float, raw: MatLike) -> None:
        """Raise StaleError if an image, that of the next call, is black, or the one of long ago."""
        config = self._config
        # Row by row: the first one of nearly every image tells, in microseconds.
        if config.dark_level and all(int(row.max()) <= config.dark_level for row in raw):
            raise StaleError(
                f"camera {config.source.name} sends black images, no colour above {config.dark_level} of 255 (dark_level): take its cap "
                "off, switch a light on, or look at its exposure"
            )
        if self._last is None or not all(np.array_equal(before, row) for before, row in zip(self._last, raw, strict=True)):
            self._last, self._since_s = raw, stamp_s
        elif config.still_max_s is not None and stamp_s - self._since_s > config.still_max_s:
            raise StaleError(
                f"camera {config.source.name} has sent the same image, byte for byte, for {stamp_s - self._since_s:.1f} s (still_max_s "
                f"{config.still_max_s:g}): it hangs; unplug it and plug it in again, or set still_max_s to null for a source without noise"
            )


def _require_size(video: VideoSource, config: CameraConfig) -> None:
    """Look at a first image: a stream is not asked for a size, and a driver may send another one than it says."""
    for _ in range(_FIRST_TRIES):
        if not video.grab():
            break
        whole, raw = video.retrieve()
        if whole:
            height, width = raw.shape[:2]
            if raw.shape != (config.height_px, config.width_px, 3):
                raise RobotError(
                    f"camera {config.source.name} sends images of {width} x {height} px in {raw.size // (width * height)} colours: "
                    f"{config.width_px} x {config.height_px} in 3 was configured (width_px, height_px)"
                )
            return
    raise RobotError(
        f"camera {config.source.name} opened but sent no image: try another USB port or fewer cameras on it, a smaller size or a lower rate"
    )


def _developer(config: CameraConfig) -> Callable[[MatLike], ByteImage]:
    """Return the way from a decoded image to a delivered one: undistorted, cropped, RGB, in memory of its own."""
    crop, lens = config.crop, config.intrinsics
    rows = slice(crop.y_px, crop.y_px + crop.height_px) if crop else slice(None)
    columns = slice(crop.x_px, crop.x_px + crop.width_px) if crop else slice(None)
    if lens is None or not lens.distortion().any():
        return lambda raw: np.asarray(cv2.cvtColor(raw[rows, columns], cv2.COLOR_BGR2RGB), np.uint8)
    matrix = lens.pinhole.matrix()
    size = (config.width_px, config.height_px)
    maps = cv2.initUndistortRectifyMap(matrix, lens.distortion(), None, matrix, size, cv2.CV_16SC2)
    # Only the pixels inside the crop are looked up.
    first, second = (np.ascontiguousarray(each[rows, columns]) for each in maps)

    def develop(raw: MatLike) -> ByteImage:
        return np.asarray(cv2.cvtColor(cv2.remap(raw, first, second, cv2.INTER_LINEAR), cv2.COLOR_BGR2RGB), np.uint8)

    return develop
