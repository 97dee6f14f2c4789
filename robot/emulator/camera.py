"""A camera on an emulated machine: pictures are drawn where its physics are, and come over the control socket without loss."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from robot.errors import ClosedError
from robot.types import ByteImage, CameraFrame

if TYPE_CHECKING:
    from robot.emulator.control import EmulatorClient

# Draws a machine as it is now, this many pixels wide and high.
Picture = Callable[[int, int], CameraFrame]

# A socket on one machine is faster than a compressor that tries hard.
_COMPRESSION = 1


def encode(image: ByteImage) -> str:
    """Return an image as text."""
    return base64.b64encode(zlib.compress(image.tobytes(), _COMPRESSION)).decode()


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
        # An array over immutable bytes is read-only.
        image = np.frombuffer(zlib.decompress(base64.b64decode(answer["rgb"])), np.uint8).reshape(answer["shape"])
        return CameraFrame(stamp_s, image)

    def close(self) -> None:
        self._closed = True
