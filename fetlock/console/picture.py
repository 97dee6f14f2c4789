"""The picture of a camera that the console opens itself: a video device of this machine, or a stream. The robot's own is left alone."""

from __future__ import annotations

import threading

import cv2
from cv2.typing import MatLike
from pydantic import ValidationError

from robot.camera import DeviceSource, Source, StreamSource, open_source
from robot.clock import monotonic_s
from robot.errors import RobotError, StaleError, UsageError

# Between two tries to open a camera that is gone, s.
_AGAIN_S = 2.0
# Older than this is no view of the present: OpenCV waits for a frame for up to 2 s (robot.camera.source).
_OLD_S = 3.0
# What a person looks at needs no more: half of the bytes of the 90 that trackers get.
_QUALITY = 75


def source_of(words: str) -> Source:
    """Return what `--camera` names: /dev/videoN or a path below /dev/v4l, or an http:// address.

    Raises:
        UsageError: If it is neither.
    """
    try:
        return StreamSource(url=words) if "://" in words else DeviceSource(device=words)
    except ValidationError as error:
        raise UsageError(
            f"--camera {words}: give a device such as /dev/video0, or a stream such as http://127.0.0.1:8081/stream"
        ) from error


class Picture:
    """Takes frames in a thread from construction until `close`; a camera that is gone is opened again.

    Args:
        source: Device or stream.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._over = threading.Event()
        self._newest: tuple[float, MatLike] | None = None
        self._why = f"camera {source.name} is being opened"
        self._thread = threading.Thread(target=self._run, daemon=True, name="fetlock-console-camera")
        self._thread.start()

    def jpeg(self) -> bytes:
        """Return the newest frame.

        Raises:
            StaleError: If there is none, or it is old; with the reason.
        """
        newest = self._newest
        if newest is None or monotonic_s() - newest[0] > _OLD_S:
            raise StaleError(self._why)
        _, data = cv2.imencode(".jpg", newest[1], (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
        return data.tobytes()

    def close(self) -> None:
        """Take no more frames; a thread that waits for one ends behind it."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._take()
            except RobotError as error:
                self._why = str(error)
            self._over.wait(_AGAIN_S)

    def _take(self) -> None:
        video = open_source(self._source)
        try:
            while not self._over.is_set() and video.grab():
                there, image = video.retrieve()
                if there:
                    self._newest = monotonic_s(), image
            self._why = f"camera {self._source.name} sends no more pictures: it is opened again"
        finally:
            video.release()
