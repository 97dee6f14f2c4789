"""A camera made of a function that draws: shaped like cv2.VideoCapture, so that the real driver runs over it."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from cv2.typing import MatLike

from robot.camera.source import AUTOMATIC_EXPOSURE, MANUAL_EXPOSURE
from robot.clock import monotonic_s, sleep_s
from robot.errors import UsageError
from robot.types import ByteImage

# Draws frame number n. Shape (height, width, 3), uint8, BGR. Called from the threads of those who look.
Render = Callable[[int], ByteImage]

# Range of a common USB camera's exposure, in 100 us: Logitech C920, v4l2-ctl --list-ctrls.
_EXPOSURE_MIN, _EXPOSURE_MAX, _EXPOSURE_DEFAULT = 3, 2047, 250


class FrameTimer:
    """Frame n is exposed at `start_s + n / fps`, whether anyone looks or not.

    Args:
        fps: Frames per second.
        now_s: Monotonic time, s.
        sleep: Waits for as many s.

    Raises:
        UsageError: If the rate is not positive and finite.
    """

    def __init__(self, fps: float, now_s: Callable[[], float] = monotonic_s, sleep: Callable[[float], None] = sleep_s) -> None:
        if not 0.0 < fps < math.inf:
            raise UsageError(f"a camera's rate must be positive and finite: got {fps} fps")
        self.fps = fps
        self.start_s = now_s()
        self._now_s = now_s
        self._sleep = sleep

    def frame_s(self, frame: int) -> float:
        """Return the time of a frame, s."""
        return self.start_s + frame / self.fps

    def wait(self) -> int:
        """Wait for the frame after the present one and return its number: frames that nobody waited for are lost."""
        now_s = self._now_s()
        frame = math.floor((now_s - self.start_s) * self.fps) + 1
        # The product rounds: a caller that just waited for this frame gets the next.
        if self.frame_s(frame) <= now_s:
            frame += 1
        while (left_s := self.frame_s(frame) - self._now_s()) > 0.0:
            self._sleep(left_s)
        return frame


class VirtualCamera:
    """A camera of one size and rate, with a controllable exposure that is remembered and has no effect on the picture.

    It has cv2.VideoCapture's methods and a device's manners: what it cannot do it ignores, and `get` tells what holds.

    Args:
        render: Draws a frame, when it is retrieved.
        width_px: Of the images that `render` draws.
        height_px: Of the same.
        timer: Paces the frames.
    """

    def __init__(self, render: Render, width_px: int, height_px: int, timer: FrameTimer) -> None:
        self._render = render
        self._timer = timer
        self._frame: int | None = None
        self._plugged = True
        self._open = True
        self._fixed = {
            cv2.CAP_PROP_FRAME_WIDTH: float(width_px),
            cv2.CAP_PROP_FRAME_HEIGHT: float(height_px),
            cv2.CAP_PROP_FPS: timer.fps,
        }
        self._controls = {
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"MJPG")),
            cv2.CAP_PROP_BUFFERSIZE: 4.0,
            cv2.CAP_PROP_AUTO_EXPOSURE: float(AUTOMATIC_EXPOSURE),
            cv2.CAP_PROP_EXPOSURE: float(_EXPOSURE_DEFAULT),
        }

    def isOpened(self) -> bool:
        """Return whether it was not released yet."""
        return self._open

    def unplug(self) -> None:
        """Fail every grab from now on, as a device does whose cable was pulled."""
        self._plugged = False

    def grab(self) -> bool:
        """Wait for the next frame; false once released or unplugged."""
        if self._open and self._plugged:
            self._frame = self._timer.wait()
        if not (self._open and self._plugged):
            self._frame = None
        return self._frame is not None

    def retrieve(self) -> tuple[bool, MatLike]:
        """Draw the frame that was grabbed last. Shape (height, width, 3), uint8, BGR; an empty array if there is none."""
        if self._frame is None:
            return False, np.empty((0, 0, 3), np.uint8)
        return True, self._render(self._frame).copy()

    def read(self) -> tuple[bool, MatLike]:
        """Grab, then retrieve."""
        self.grab()
        return self.retrieve()

    def set(self, key: int, value: float, /) -> bool:
        """Ask for a value; true if it can be asked for, whatever comes of it: `get` tells."""
        if key in self._fixed:
            return True
        if key == cv2.CAP_PROP_EXPOSURE:
            if self._controls[cv2.CAP_PROP_AUTO_EXPOSURE] != MANUAL_EXPOSURE:
                return False
            value = min(max(value, _EXPOSURE_MIN), _EXPOSURE_MAX)
        if key not in self._controls:
            return False
        self._controls[key] = float(value)
        return True

    def get(self, key: int, /) -> float:
        """Return the value in force; -1 for a property that it does not have."""
        return {**self._controls, **self._fixed}.get(key, -1.0)

    def release(self) -> None:
        """Let it go. Idempotent."""
        self._open = False
