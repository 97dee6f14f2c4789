"""Writes pictures to an mp4 that browsers play: H.264, 4:2:0, index in front."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from robot.errors import FetlockError, UsageError

# x264's constant rate factor: 18 is taken for visually lossless, 23 is its default; 20 keeps thin legs sharp.
_QUALITY = "20"
# Frames a second of a film: enough for a trot of 2 Hz, at half the rendering time of 50 (80 ms a picture, measured on one core).
_FILM_HZ = 25.0


class VideoWriter:
    """Writes one video; use as a context manager.

    The frames go to `.NAME.part` beside `path` and take their name when the context ends well; without frames, or after an error, nothing
    is left behind and an older video stays.

    Args:
        path: The file to make, ending in .mp4.
        fps: Frames a second.

    Raises:
        UsageError: If the name does not end in .mp4 or the rate is no positive whole number.
        FetlockError: If the file cannot be written.
    """

    def __init__(self, path: Path, fps: int) -> None:
        if path.suffix.lower() != ".mp4":
            raise UsageError(f"{path}: videos are written as .mp4: give a name that ends so")
        if fps < 1:
            raise UsageError(f"{path}: a video of {fps} frames a second: give at least 1")
        self._path = path
        self._part = path.with_name(f".{path.name}.part")
        self._fps = fps
        self._stream: av.VideoStream | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._part.touch()
            self._container = av.open(str(self._part), "w", format="mp4", options={"movflags": "faststart"})
        except OSError as error:
            raise self._error(error) from error

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append a frame, shape (height, width, 3), uint8, RGB; all frames have the shape of the first. An odd last row or column is cut.

        Raises:
            UsageError: If the shape differs from the first frame's.
            FetlockError: If the disk does not take it.
        """
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        stream = self._stream or self._begin(width, height)
        if (stream.width, stream.height) != (width, height):
            raise UsageError(f"{self._path}: a frame of {width} x {height} px in a video of {stream.width} x {stream.height}")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format="rgb24")
        try:
            self._container.mux(stream.encode(frame))
        except OSError as error:
            raise self._error(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._stream is not None:
                self._container.mux(self._stream.encode(None))
                self._container.close()
                self._part.replace(self._path)
            else:
                self._container.close()
        except OSError as failure:
            if kind is None:
                raise self._error(failure) from failure
        finally:
            self._part.unlink(missing_ok=True)

    def _begin(self, width: int, height: int) -> av.VideoStream:
        stream = self._container.add_stream("libx264", rate=self._fps, options={"crf": _QUALITY, "preset": "veryfast"})
        stream.width, stream.height = width, height
        # What browsers decode.
        stream.pix_fmt = "yuv420p"
        # An encoder with a thread per core would delay every other process of a run.
        stream.codec_context.thread_count = 1
        self._stream = stream
        return stream

    def _error(self, error: OSError) -> FetlockError:
        return FetlockError(
            f"{self._path}: the video cannot be written ({error.strerror}): make the folder writable or choose another place"
        )


class Film:
    """Films a loop of policy ticks at about 25 frames a second, played at true speed; use as a context manager.

    Args:
        picture: Takes a picture, shape (height, width, 3), uint8, RGB.
        path: The file to make, ending in .mp4.
        control_hz: Calls of `step` per second of the robot's time.

    Raises:
        UsageError: As `VideoWriter`.
        FetlockError: As `VideoWriter`.
    """

    def __init__(self, picture: Callable[[], NDArray[np.uint8]], path: Path, control_hz: float) -> None:
        self._picture = picture
        self._every = max(1, round(control_hz / _FILM_HZ))
        self._writer = VideoWriter(path, max(1, round(control_hz / self._every)))
        self._steps = 0

    def step(self) -> None:
        """Count a policy tick, and take its picture if it is a frame of the film."""
        if self._steps % self._every == 0:
            self._writer.write(self._picture())
        self._steps += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.__exit__(kind, error, trace)
