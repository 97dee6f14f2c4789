"""The virtual camera paces itself as a device does, and the server gives every client the newest frame."""

from __future__ import annotations

import math
import urllib.error
import urllib.request
from contextlib import closing

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import RobotError, UsageError
from robot.camera import FrameTimer, MjpegServer, VirtualCamera
from tests.robot.camera.painted import HEIGHT, WIDTH, number, paint

pytestmark = pytest.mark.realtime


class Time:
    """A clock that moves when someone sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def sleep(self, duration_s: float) -> None:
        self.now_s += duration_s


@given(st.floats(1.0, 240.0), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_a_late_reader_loses_frames_and_the_schedule_keeps_its_phase(fps: float, pauses_s: list[float]) -> None:
    time = Time()
    timer = FrameTimer(fps, lambda: time.now_s, time.sleep)
    frames = []
    for pause_s in pauses_s:
        time.sleep(pause_s)
        called_s = time.now_s
        frames.append(timer.wait())
        assert called_s < timer.frame_s(frames[-1]) + 1e-9
        assert timer.frame_s(frames[-1]) <= time.now_s <= called_s + 1.0 / fps + 1e-9
    assert (np.diff(frames) > 0).all()


@pytest.mark.parametrize("fps", [0.0, -1.0, math.inf, math.nan])
def test_an_impossible_rate_is_refused(fps: float) -> None:
    with pytest.raises(UsageError, match="positive and finite"):
        FrameTimer(fps)


def test_it_has_the_shape_of_a_video_capture_and_its_manners() -> None:
    time = Time()
    camera = VirtualCamera(paint, WIDTH, HEIGHT, FrameTimer(30.0, lambda: time.now_s, time.sleep))
    assert [name for name in ("isOpened", "read", "grab", "retrieve", "set", "get", "release") if not hasattr(cv2.VideoCapture, name)] == []
    assert camera.retrieve()[0] is False
    time.sleep(1.0)
    good, image = camera.read()
    assert good
    assert number(image) == 31
    # What was grabbed stays, however late it is retrieved.
    time.sleep(1.0)
    assert number(camera.retrieve()[1]) == 31
    assert camera.get(cv2.CAP_PROP_GAIN) == -1.0
    assert not camera.set(cv2.CAP_PROP_GAIN, 1.0)
    assert not camera.set(cv2.CAP_PROP_EXPOSURE, 50.0)  # automatic: the control is inactive
    camera.release()
    assert not camera.isOpened()
    assert not camera.grab()
    assert camera.read()[0] is False


def test_two_clients_of_one_server_see_the_same_stream() -> None:
    drawn: list[int] = []

    def render(frame: int) -> np.ndarray:
        drawn.append(frame)
        return paint(frame)

    with closing(MjpegServer.start(render, 100.0)) as server:
        clients = [cv2.VideoCapture(server.url, cv2.CAP_FFMPEG) for _ in range(2)]
        for _ in range(20):
            for client in clients:
                good, image = client.read()
                assert good
                assert number(image) in drawn
        for client in clients:
            client.release()
    assert drawn == sorted(set(drawn))


def test_a_server_stays_on_this_machine_and_has_one_page() -> None:
    with closing(MjpegServer.start(paint, 100.0)) as server:
        assert server.url.startswith("http://127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.url.replace("stream.mjpg", "secret"))
        port = int(server.url.split(":")[2].split("/")[0])
        with pytest.raises(RobotError, match=f"port {port} of 127.0.0.1 is not free"):
            MjpegServer.start(paint, 100.0, port)
    server.close()
    with pytest.raises(UsageError, match="0 to 65535"):
        MjpegServer.start(paint, 100.0, 70000)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.url)
