"""The tracker's thread over the real camera driver: it never makes its reader wait, and says what is wrong."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from robot.camera import CameraConfig, DeviceSource, FrameTimer, OpenCvCamera, Pinhole, VirtualCamera
from robot.clock import monotonic_s, sleep_s
from robot.errors import ClosedError, RobotError, StaleError
from robot.protocols import BaseTracker
from robot.tracking import BaseTrackerConfig, FloorCalibration, OverheadTracker, PosedCamera, TagPlane, flat_tag, looking_at, render_tags

pytestmark = pytest.mark.realtime

WIDTH, HEIGHT, FPS = 640, 360, 50
CAMERA: PosedCamera = looking_at(
    Pinhole(fx_px=450.0, fy_px=450.0, cx_px=319.5, cy_px=179.5), (WIDTH, HEIGHT), (0.0, 0.0, 1.2), (0.0, 0.0, 0.0)
)


class Rig:
    """A tag that stands still until it is moved or taken away, under a virtual camera."""

    def __init__(self) -> None:
        self.x_m: float | None = 0.1
        self.device = VirtualCamera(self.draw, WIDTH, HEIGHT, FrameTimer(FPS))
        config = CameraConfig(source=DeviceSource(fps=FPS), width_px=WIDTH, height_px=HEIGHT, max_age_s=1.0, still_max_s=None)
        self.camera = OpenCvCamera.open(config, lambda _: self.device)
        plane = TagPlane(floor=FloorCalibration.of_camera(CAMERA), height_m=0.2, size_m=0.1)
        tracking = BaseTrackerConfig(tag_id=7, plane=plane, max_age_s=0.5, velocity_window_s=1.0)
        self.tracker = OverheadTracker.start(self.camera, tracking)

    def draw(self, frame: int) -> np.ndarray:
        return render_tags(CAMERA, [] if self.x_m is None else [flat_tag(7, 0.1, (self.x_m, -0.05, 0.2), 0.4)])


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    with closing(made.tracker):
        yield made


def await_pose(tracker: OverheadTracker, x_m: float) -> None:
    """Wait until the tag is seen at a place; the test's own time limit ends it."""
    while True:
        try:
            if abs(tracker.read().position_world_m[0] - x_m) < 0.001:
                return
        except StaleError:
            pass
        sleep_s(0.01)


def until_error(tracker: OverheadTracker) -> None:
    while True:
        tracker.read()
        sleep_s(0.01)


def test_it_reads_the_place_and_yaw_of_the_tag_and_follows_it(rig: Rig) -> None:
    source: BaseTracker = rig.tracker
    await_pose(rig.tracker, 0.1)
    np.testing.assert_allclose(source.read().position_world_m, (0.1, -0.05, 0.2), atol=0.001)
    assert rig.tracker.pose().yaw_rad == pytest.approx(0.4, abs=0.01)
    rig.x_m = -0.2
    await_pose(rig.tracker, -0.2)


def test_every_read_has_its_own_age_and_none_waits_for_a_frame(rig: Rig) -> None:
    await_pose(rig.tracker, 0.1)
    stamps_s = []
    for _ in range(200):
        before_s = monotonic_s()
        age_s = rig.tracker.read().age_s
        after_s = monotonic_s()
        stamps_s.append((before_s - age_s, after_s - age_s))
    # The capture's stamp is the same for many reads: it lies within all their intervals, or the frame has changed.
    frames = 1 + sum(later[0] > earlier[1] for earlier, later in itertools.pairwise(stamps_s))
    assert frames < 100


def test_a_tag_that_is_taken_away_is_stale_and_comes_back(rig: Rig) -> None:
    await_pose(rig.tracker, 0.1)
    rig.x_m = None
    with pytest.raises(StaleError, match="tag 7 was last seen"):
        until_error(rig.tracker)
    rig.x_m = 0.0
    await_pose(rig.tracker, 0.0)


def test_a_camera_that_goes_is_said_at_every_read(rig: Rig) -> None:
    await_pose(rig.tracker, 0.1)
    rig.device.unplug()
    with pytest.raises(RobotError, match="the base is not tracked: camera /dev/video0 is gone"):
        until_error(rig.tracker)
    with pytest.raises(RobotError, match="is gone"):
        rig.tracker.read()


def test_close_ends_the_thread_and_the_camera() -> None:
    threads = threading.active_count()
    for _ in range(5):
        rig = Rig()
        rig.tracker.close()
        rig.tracker.close()
        assert not rig.device.isOpened()
        with pytest.raises(ClosedError, match="this tracker is closed"):
            rig.tracker.read()
    assert threading.active_count() == threads
