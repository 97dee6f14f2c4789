"""Laws of the newest frame at once: it is never waited for, never another size, and a camera that fails is heard."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from robot import Camera, CameraFrame, ClosedError, RobotError, StaleError
from robot.camera import NewestCamera
from robot.clock import monotonic_s, sleep_s


class Told:
    """Implements Camera: each capture waits for the next frame, or the next failure, that a test gives it."""

    def __init__(self) -> None:
        self._given: list[CameraFrame | RobotError] = []
        self._changed = threading.Condition()
        self.captures = 0
        self.closed = False

    def give(self, *outcomes: CameraFrame | RobotError) -> None:
        with self._changed:
            self._given += outcomes
            self._changed.notify_all()

    def capture(self) -> CameraFrame:
        with self._changed:
            self.captures += 1
            self._changed.wait_for(lambda: self._given or self.closed)
            if self.closed:
                raise ClosedError("closed")
            outcome = self._given.pop(0)
        if isinstance(outcome, RobotError):
            raise outcome
        return outcome

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()


def frame(number: int) -> CameraFrame:
    return CameraFrame(float(number), np.full((30, 40, 3), number, np.uint8))


def taken(camera: Told, captures: int) -> None:
    """Wait until the thread has come back for more."""
    deadline_s = monotonic_s() + 10.0
    while camera.captures < captures:
        assert monotonic_s() < deadline_s
        sleep_s(0.001)


@pytest.fixture
def told() -> Iterator[tuple[Told, NewestCamera]]:
    camera = Told()
    camera.give(frame(1))
    with closing(NewestCamera.start(camera, 8, 6)) as newest:
        yield camera, newest


def test_it_returns_the_newest_frame_again_and_again_in_its_size(told: tuple[Told, NewestCamera]) -> None:
    camera, newest = told
    assert isinstance(newest, Camera)
    for _ in range(3):
        seen = newest.capture()
        assert (seen.stamp_s, seen.image.shape, seen.image.dtype) == (1.0, (6, 8, 3), np.uint8)
        assert (seen.image == 1).all()
        assert not seen.image.flags.writeable
    camera.give(frame(2), frame(3))
    taken(camera, 4)
    assert newest.capture().stamp_s == 3.0


def test_shrinking_takes_the_mean_of_what_a_pixel_covers() -> None:
    camera = Told()
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2, :2] = [[[10, 20, 30], [30, 40, 50]], [[50, 60, 70], [70, 80, 90]]]
    camera.give(CameraFrame(0.0, image))
    with closing(NewestCamera.start(camera, 2, 2)) as newest:
        assert newest.capture().image.tolist() == [[[40, 50, 60], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]


def test_a_pause_is_an_error_until_it_is_over_and_a_camera_that_is_gone_stays_gone(told: tuple[Told, NewestCamera]) -> None:
    camera, newest = told
    camera.give(StaleError("no whole image for 0.2 s"))
    taken(camera, 3)
    with pytest.raises(StaleError, match=r"0\.2 s"):
        newest.capture()
    camera.give(frame(4))
    taken(camera, 4)
    assert newest.capture().stamp_s == 4.0
    camera.give(RobotError("the camera is gone after 4 frames"))
    deadline_s = monotonic_s() + 10.0
    while newest._thread.is_alive():
        assert monotonic_s() < deadline_s
        sleep_s(0.001)
    for _ in range(2):
        with pytest.raises(RobotError, match="gone after 4 frames"):
            newest.capture()


def test_closing_it_closes_the_camera(told: tuple[Told, NewestCamera]) -> None:
    camera, newest = told
    newest.close()
    assert camera.closed
    with pytest.raises(ClosedError):
        newest.capture()


def test_a_camera_that_sends_nothing_at_first_is_let_go() -> None:
    camera = Told()
    camera.give(StaleError("nothing came"))
    with pytest.raises(StaleError, match="nothing came"):
        NewestCamera.start(camera, 8, 6)
    assert camera.closed
