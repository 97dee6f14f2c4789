"""A camera whose captures are timed."""

from __future__ import annotations

from robot.clock import monotonic_s
from robot.protocols import Camera
from robot.types import CameraFrame


class TimedCamera:
    """Implements Camera on another one, which it closes, and takes its time.

    Attributes:
        taking_s: Of each capture, s.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.taking_s: list[float] = []

    def capture(self) -> CameraFrame:
        start_s = monotonic_s()
        frame = self._camera.capture()
        self.taking_s.append(monotonic_s() - start_s)
        return frame

    def close(self) -> None:
        self._camera.close()
