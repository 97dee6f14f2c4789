"""Cameras on an emulated machine: pictures are drawn where its physics are, and come over the control socket without loss."""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from robot.clock import RealTimeClock, monotonic_s
from robot.errors import ClosedError, StaleError
from robot.types import ByteImage, CameraFrame

if TYPE_CHECKING:
    from robot.emulator.client import EmulatorClient

# Draws a machine as it is now, this many pixels wide and high.
Picture = Callable[[int, int], CameraFrame]

# How long a machine may take to the first picture: it may be letting its robot come to rest, s.
_FIRST_S = 5.0
# A socket on one machine is faster than a compressor that tries hard.
_COMPRESSION = 1


def encode(image: ByteImage) -> str:
    """Return an image as text."""
    return base64.b64encode(zlib.compress(image.tobytes(), _COMPRESSION)).decode()


def _decoded(answer: dict[str, Any]) -> ByteImage:
    # An array over immutable bytes is read-only.
    return np.frombuffer(zlib.decompress(base64.b64decode(answer["rgb"])), np.uint8).reshape(answer["shape"])


class EmulatorCamera:
    """Implements Camera with the picture of an emulated machine; physics and bus wait while it is drawn.

    Args:
        client: Of the machine.
        now_s: Stamps frames with the robot's clock.
        width_px: Of the image, 16 to 2048.
        height_px: Of the image, 16 to 2048.
    """

    def __init__(self, client: EmulatorClient, now_s: Callable[[], float], width_px: int = 480, height_px: int = 320) -> None:
        self._client = client
        self._now_s = now_s
        self._size = width_px, height_px
        self._closed = False

    def capture(self) -> CameraFrame:
        """Return a picture of now.

        Raises:
            ClosedError: After `close`.
            RobotError: If the machine is gone, has no camera, or does not draw pictures of this size.
        """
        if self._closed:
            raise ClosedError("this camera is closed: make a new one")
        width_px, height_px = self._size
        stamp_s = self._now_s()
        answer = self._client.ask("picture", width_px=width_px, height_px=height_px)
        return CameraFrame(stamp_s, _decoded(answer))

    def close(self) -> None:
        self._closed = True


class PictureStream:
    """Implements Camera with pictures of an emulated machine in real time, so many a second: `capture` waits for the next.

    Each is drawn in a gap of the bus, right after it was written to. Its stamp is the monotonic time at which the machine stood so: one
    whose physics stand still shows old pictures, however often it is asked.

    Args:
        client: Of the machine, for nothing else; closed with this camera.
        width_px: Of the image, 16 to 2048.
        height_px: Of the image, 16 to 2048.
        fps: Pictures a second.
        max_age_s: Older than this is no view of the present.
    """

    def __init__(self, client: EmulatorClient, width_px: int, height_px: int, fps: float, max_age_s: float) -> None:
        self._client = client
        self._size = width_px, height_px
        self._clock = RealTimeClock(1.0 / fps)
        self._max_age_s = max_age_s
        self._newest_s = math.inf
        self._asked = False

    def capture(self) -> CameraFrame:
        """Return the picture that comes next.

        Raises:
            StaleError: If none comes before the one before it is too old, or the machine has not moved on since.
            RobotError: If the machine is gone, has no camera, or does not draw pictures of this size.
        """
        if not self._asked:
            self._clock.wait()
            width_px, height_px = self._size
            self._client.send("glance", width_px=width_px, height_px=height_px)
            self._asked = True
        left_s = self._newest_s + self._max_age_s - monotonic_s()
        # Where it has been said that the newest is too old, nobody asks in a hurry.
        answer = self._client.receive(min(left_s, _FIRST_S) if left_s > 0.0 else self._max_age_s)
        self._asked = False
        stamp_s = float(answer["shown_s"])
        if (age_s := monotonic_s() - stamp_s) > self._max_age_s:
            raise StaleError(f"the emulated machine shows how it stood {age_s:.3f} s ago, and {self._max_age_s} s is allowed: is it busy?")
        self._newest_s = stamp_s
        return CameraFrame(stamp_s, _decoded(answer))

    def close(self) -> None:
        self._client.close()
