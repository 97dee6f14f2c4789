"""The whole way: drawn frames over HTTP, OpenCV's client, the camera's thread, detector and tracker."""

from __future__ import annotations

import logging
from contextlib import closing

import numpy as np
import pytest

from robot import StaleError
from robot.camera import CameraConfig, MjpegServer, OpenCvCamera, StreamSource
from robot.clock import monotonic_s
from robot.tracking import BaseTagTracker, BaseTrackerConfig, FloorCalibration, TagDetector, TagPlane, flat_tag, render_tags
from tests.robot.tracking.scene import SIZE_PX, overhead

pytestmark = pytest.mark.realtime

CAMERA = overhead(1.2)
FPS, SPEED_M_S, START_M = 20.0, 0.15, -0.4
PLANE = TagPlane(floor=FloorCalibration.of_camera(CAMERA), height_m=0.2, size_m=0.1)


def test_a_walking_tag_is_followed_over_a_stream_and_lost_when_it_is_covered() -> None:
    covered: list[bool] = []

    def render(frame: int) -> np.ndarray:
        return render_tags(CAMERA, [] if covered else [flat_tag(7, 0.1, (START_M + SPEED_M_S * frame / FPS, 0.0, 0.2))])

    tracker = BaseTagTracker(BaseTrackerConfig(tag_id=7, plane=PLANE, max_age_s=0.5, velocity_window_s=1.0))
    detector = TagDetector()
    with closing(MjpegServer.start(render, FPS)) as server:
        config = CameraConfig(
            source=StreamSource(url=server.url), width_px=SIZE_PX[0], height_px=SIZE_PX[1], max_age_s=5.0, still_max_s=None
        )
        with closing(OpenCvCamera.open(config)) as camera:
            stamps_s, places_m = [], []
            for k in range(12):
                frame = camera.capture()
                assert tracker.observe(detector.detect(frame))
                if k >= 2:  # a pose takes three images
                    stamps_s.append(frame.stamp_s)
                    places_m.append(tracker.pose(frame.stamp_s).pose.position_world_m[0])
            # The tag moves by 7.5 mm a frame, so its place tells which frame was drawn.
            numbers = (np.array(places_m) - START_M) / SPEED_M_S * FPS
            off_m = np.abs(numbers - np.rint(numbers)) / FPS * SPEED_M_S
            late_s = np.array(stamps_s) - [server.timer.frame_s(round(number)) for number in numbers]
            logging.getLogger("measured").info(
                f"stream: off by {off_m.max() * 1e3:.2f} mm; drawing, JPEG, HTTP and decoding {np.median(late_s) * 1e3:.1f} ms"
            )
            assert off_m.max() < 0.001
            assert (np.diff(numbers) > 0.5).all()
            assert (late_s > 0.0).all()
            covered.append(True)
            with pytest.raises(StaleError, match="tag 7 was last seen"):
                lose(tracker, detector, camera)


def lose(tracker: BaseTagTracker, detector: TagDetector, camera: OpenCvCamera) -> None:
    while True:
        tracker.observe(detector.detect(camera.capture()))
        tracker.pose(monotonic_s())
