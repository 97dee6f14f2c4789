"""A robot's base followed by a camera: a thread looks at every frame, so that reading never waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

from robot.clock import monotonic_s, sleep_s
from robot.errors import ClosedError, RobotError, StaleError
from robot.protocols import Camera
from robot.tracking.config import BaseTrackerConfig
from robot.tracking.detect import TagDetector
from robot.tracking.trackers import BasePose, BaseTagTracker
from robot.types import TrackedPose

# Before a camera is asked again that had no young frame, s.
_RETRY_S = 0.02


class OverheadTracker:
    """Implements BaseTracker; made by `start`.

    Detection takes 3 to 14 ms of a core for each frame of 1280x720, the longer the more clutter there is (measured).

    Args:
        camera: Its `capture` waits for the next frame. Closed with the tracker.
        config: Of tag, plane and base.
        now_s: The clock of the frames' stamps, s.
    """

    def __init__(self, camera: Camera, config: BaseTrackerConfig, now_s: Callable[[], float]) -> None:
        self._camera = camera
        self._now_s = now_s
        self._detector = TagDetector(config.dictionary)
        self._tracker = BaseTagTracker(config)
        self._lock = threading.Lock()
        self._closed = False
        self._fault: RobotError | None = None
        self._thread = threading.Thread(target=self._run, name="overhead tracker", daemon=True)

    @classmethod
    def start(cls, camera: Camera, config: BaseTrackerConfig, now_s: Callable[[], float] = monotonic_s) -> Self:
        """Look at the camera's frames in a thread until `close`."""
        tracker = cls(camera, config, now_s)
        tracker._thread.start()
        return tracker

    def read(self) -> TrackedPose:
        return self.pose().pose

    def pose(self) -> BasePose:
        """Return the newest pose with its yaw.

        Raises:
            StaleError: If the tag was not seen for `max_age_s`, or too seldom for a velocity.
            RobotError: If the camera is gone.
            ClosedError: After `close`.
        """
        with self._lock:
            if self._closed:
                raise ClosedError("this tracker is closed: start a new one")
            if self._fault is not None:
                raise RobotError(f"the base is not tracked: {self._fault}") from self._fault
            return self._tracker.pose(self._now_s())

    def _run(self) -> None:
        fault = RobotError("the tracker's thread ended with an error of its own: see its traceback, then start a new one")
        try:
            while not self._closed:
                self._look()
        except RobotError as error:
            fault = error
        finally:
            with self._lock:
                self._fault = fault

    def _look(self) -> None:
        try:
            frame = self._camera.capture()
        except StaleError:
            sleep_s(_RETRY_S)  # the pose grows old by itself meanwhile
            return
        sighting = self._detector.detect(frame)
        with self._lock:
            self._tracker.observe(sighting)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        # A waiting `capture` ends with ClosedError.
        self._camera.close()
        self._thread.join()
