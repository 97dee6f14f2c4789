"""The newest frame of a camera, at once: for loops that are faster than it."""

from __future__ import annotations

import threading
from typing import Self

import cv2
import numpy as np

from robot.errors import ClosedError, RobotError, StaleError
from robot.protocols import Camera
from robot.types import CameraFrame


class NewestCamera:
    """Implements Camera over another one; made by `start`.

    A thread takes every frame and resizes it once, by the mean of the area that a pixel covers. `capture` waits for nothing: asked twice
    within a frame period, it returns the same frame, whose stamp says so.

    Args:
        camera: Taken over, and closed with this one.
        first: A frame of it.
        width_px: Of the images.
        height_px: Of the same.
    """

    def __init__(self, camera: Camera, first: CameraFrame, width_px: int, height_px: int) -> None:
        self._camera = camera
        self._size = width_px, height_px
        self._newest: CameraFrame | RobotError = self._resized(first)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="newest frame", daemon=True)

    @classmethod
    def start(cls, camera: Camera, width_px: int, height_px: int) -> Self:
        """Wait for a first frame and start the thread.

        Raises:
            RobotError: If none comes; the camera is closed then.
        """
        try:
            newest = cls(camera, camera.capture(), width_px, height_px)
        except BaseException:
            camera.close()
            raise
        newest._thread.start()
        return newest

    def capture(self) -> CameraFrame:
        """Return the newest frame, resized, with the stamp of its capture.

        Raises:
            RobotError: As the camera does, as long as it does: StaleError if its newest frame is too old.
            ClosedError: After `close`.
        """
        if self._closed:
            raise ClosedError("this camera is closed: open a new one")
        newest = self._newest
        if isinstance(newest, RobotError):
            raise type(newest)(*newest.args) from newest
        return newest

    def _run(self) -> None:
        lost = False
        while not (self._closed or lost):
            try:
                self._newest = self._resized(self._camera.capture())
            except RobotError as error:
                self._newest = error
                # A camera that only pauses may come back.
                lost = not isinstance(error, StaleError)

    def _resized(self, frame: CameraFrame) -> CameraFrame:
        image = np.asarray(cv2.resize(frame.image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        image.flags.writeable = False
        return CameraFrame(frame.stamp_s, image)

    def close(self) -> None:
        self._closed = True
        self._camera.close()
        self._thread.join()
