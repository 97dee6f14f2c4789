"""The camera's laws, over a virtual device and over OpenCV's own client of a loopback stream."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from robot import Camera, ClosedError, RobotError, StaleError
from robot.camera import CameraConfig, DeviceSource, FrameTimer, MjpegServer, OpenCvCamera, StreamSource, VirtualCamera
from robot.clock import monotonic_s, sleep_s
from tests.robot.camera.painted import HEIGHT, WIDTH, number, paint

pytestmark = pytest.mark.realtime

FPS = 100
DEVICE = DeviceSource(fps=FPS)


def config(source: DeviceSource | StreamSource = DEVICE, max_age_s: float = 5.0) -> CameraConfig:
    # The age is far above what a busy machine makes of 10 ms; tests of stale frames lower it.
    return CameraConfig(source=source, width_px=WIDTH, height_px=HEIGHT, max_age_s=max_age_s)


@dataclass
class Rig:
    camera: OpenCvCamera
    timer: FrameTimer


@pytest.fixture(params=["virtual", "http"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    if request.param == "virtual":
        timer = FrameTimer(FPS)
        with closing(OpenCvCamera.open(config(), lambda _: VirtualCamera(paint, WIDTH, HEIGHT, timer))) as camera:
            yield Rig(camera, timer)
    else:
        with closing(MjpegServer.start(paint, FPS)) as server, closing(OpenCvCamera.open(config(StreamSource(url=server.url)))) as camera:
            yield Rig(camera, server.timer)


def test_a_frame_is_rgb_and_read_only(rig: Rig) -> None:
    assert isinstance(rig.camera, Camera)
    image = rig.camera.capture().image
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    red, green, blue = image[HEIGHT // 2 :].reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert max(green, blue) < 15
    with pytest.raises(ValueError, match="read-only"):
        image[0, 0, 0] = 1


def test_a_stamp_lies_between_exposure_and_return_and_grows(rig: Rig) -> None:
    stamps_s, ages_s = [], []
    for _ in range(20):
        frame = rig.camera.capture()
        exposed_s = rig.timer.frame_s(number(frame.image))
        returned_s = monotonic_s()
        assert exposed_s <= frame.stamp_s <= returned_s
        stamps_s.append(frame.stamp_s)
        ages_s.append(returned_s - exposed_s)
    assert (np.diff(stamps_s) > 0.0).all()
    logging.getLogger("measured").info(
        f"age of {type(rig.camera).__name__}'s frames on return: {np.median(ages_s) * 1e3:.1f} ms (worst {max(ages_s) * 1e3:.1f})"
    )


def test_a_slow_reader_gets_the_newest_frame_and_not_the_next_in_a_queue(rig: Rig) -> None:
    followed = []
    for _ in range(3):
        before = number(rig.camera.capture().image)
        start_s = monotonic_s()
        sleep_s(0.3)
        passed = (monotonic_s() - start_s) * FPS
        followed.append((number(rig.camera.capture().image) - before) / passed)
    # A queue would give the next of 30 frames every time; half of them, once, leaves room for a busy machine.
    assert max(followed) > 0.5


def test_frames_are_counted_and_pass_without_a_reader(rig: Rig) -> None:
    first = rig.camera.frames
    sleep_s(0.2)
    assert rig.camera.frames > first + 2


def test_two_readers_both_get_frames(rig: Rig) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(lambda: [rig.camera.capture().stamp_s for _ in range(10)]) for _ in range(2)]
    assert all((np.diff(one.result()) > 0.0).all() for one in both)


def test_after_close_it_says_so(rig: Rig) -> None:
    rig.camera.close()
    rig.camera.close()
    with pytest.raises(ClosedError, match="open a new one"):
        rig.camera.capture()


def test_open_and_close_leave_no_thread_and_no_descriptor() -> None:
    def held() -> tuple[int, int]:
        return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))

    threads_before = threading.active_count()
    with closing(MjpegServer.start(paint, FPS)) as server:
        stream = config(StreamSource(url=server.url))
        OpenCvCamera.open(stream).close()  # what OpenCV keeps for ever after its first use
        before = held()[1]
        for _ in range(50):
            camera = OpenCvCamera.open(stream)
            camera.capture()
            camera.close()
            virtual = OpenCvCamera.open(config(), lambda _: VirtualCamera(paint, WIDTH, HEIGHT, FrameTimer(FPS)))
            virtual.close()
    # The server's own threads and sockets end with it.
    threads, descriptors = held()
    assert threads == threads_before
    assert descriptors <= before


class FaultyCamera(VirtualCamera):
    """Hangs while `going` is clear, as a device that lost its stream; sends broken images while `broken` is set."""

    def __init__(self) -> None:
        super().__init__(paint, WIDTH, HEIGHT, FrameTimer(FPS))
        self.going, self.broken, self.waiting = threading.Event(), threading.Event(), threading.Event()
        self.going.set()

    def grab(self) -> bool:
        if not self.going.is_set():
            self.waiting.set()
            self.going.wait()
        return super().grab()

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return (False, np.empty(0, np.uint8)) if self.broken.is_set() else super().retrieve()


def test_a_hanging_device_is_stale_and_its_return_is_seen() -> None:
    device = FaultyCamera()
    with closing(OpenCvCamera.open(config(max_age_s=0.05), lambda _: device)) as camera:
        device.going.clear()
        device.waiting.wait()
        with pytest.raises(StaleError, match=r"max_age_s 0\.05 s; the newest frame came"):
            camera.capture()
        seen = camera.frames
        device.going.set()
        while camera.frames < seen + 5:
            sleep_s(0.01)
        for attempt in range(10):  # on a busy machine a frame may be stale once more
            try:
                camera.capture()
                break
            except StaleError:
                assert attempt < 9


def test_a_stale_frame_is_refused_at_once_even_if_it_is_the_newest() -> None:
    time_s = [0.0]
    device = FaultyCamera()
    with closing(OpenCvCamera.open(config(max_age_s=1.0), lambda _: device, now_s=lambda: time_s[0])) as camera:
        assert camera.capture().stamp_s == 0.0
        device.going.clear()
        device.waiting.wait()
        time_s[0] = 1.5
        with pytest.raises(StaleError, match=r"came 1\.500 s ago"):
            camera.capture()
        device.going.set()


def test_broken_images_are_skipped_and_too_many_are_stale() -> None:
    device = FaultyCamera()
    with closing(OpenCvCamera.open(config(max_age_s=0.5), lambda _: device)) as camera:
        device.broken.set()
        with pytest.raises(StaleError, match="no whole image"):
            camera.capture()
        device.broken.clear()
        camera.capture()


def test_a_device_that_goes_is_a_robot_error_for_a_waiting_reader_and_ever_after() -> None:
    device = FaultyCamera()
    camera = OpenCvCamera.open(config(), lambda _: device)
    device.going.clear()
    device.waiting.wait()
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(camera.capture)
        device.unplug()
        device.going.set()
        with pytest.raises(RobotError, match=r"camera /dev/video0 is gone after \d+ frames"):
            reader.result()
    for _ in range(3):
        with pytest.raises(RobotError, match="is gone"):
            camera.capture()
    assert not device.isOpened()
    camera.close()


def drain(camera: OpenCvCamera) -> None:
    while True:
        camera.capture()


def test_a_server_that_ends_is_a_robot_error() -> None:
    server = MjpegServer.start(paint, FPS)
    with closing(OpenCvCamera.open(config(StreamSource(url=server.url)))) as camera:
        server.close()
        with pytest.raises(RobotError, match="is gone after"):
            drain(camera)


def test_closing_wakes_a_waiting_reader() -> None:
    device = FaultyCamera()
    camera = OpenCvCamera.open(config(max_age_s=10.0), lambda _: device)
    device.going.clear()
    device.waiting.wait()
    with ThreadPoolExecutor(2) as pool:
        reader = pool.submit(camera.capture)
        closer = pool.submit(camera.close)
        with pytest.raises(ClosedError):
            reader.result(5.0)  # long before the frame it waits for would be stale
        device.going.set()
        closer.result()
    assert not device.isOpened()


def test_a_lens_is_straightened_and_the_crop_moves_its_centre() -> None:
    lens = {"pinhole": {"fx_px": 200.0, "fy_px": 210.0, "cx_px": 158.0, "cy_px": 121.0}, "k1": -0.25, "k2": 0.06, "p1": 0.002, "p2": -0.001}
    made = CameraConfig.model_validate(
        {
            "source": {"kind": "v4l2", "fps": FPS},
            "width_px": WIDTH,
            "height_px": HEIGHT,
            "max_age_s": 5.0,
            "intrinsics": lens,
            "crop": {"x_px": 30, "y_px": 20, "width_px": 250, "height_px": 190},
        }
    )
    assert made.intrinsics is not None
    assert made.pinhole is not None
    rays = np.array([[x, y, 1.0] for x in (-0.5, 0.0, 0.5) for y in (-0.4, 0.0, 0.4)])
    zero = np.zeros(3)
    bent, _ = cv2.projectPoints(rays, zero, zero, made.intrinsics.pinhole.matrix(), made.intrinsics.distortion())
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for point in bent.reshape(-1, 2):
        cv2.circle(picture, tuple(int(v) for v in np.rint(point * 16)), 4 * 16, (0, 0, 255), -1, cv2.LINE_AA, 4)
    with closing(OpenCvCamera.open(made, lambda _: VirtualCamera(lambda _: picture, WIDTH, HEIGHT, FrameTimer(FPS)))) as camera:
        image = camera.capture().image
    assert image.shape == (190, 250, 3)
    assert image[..., 0].max() > 200
    assert image[..., 1:].max() < 5
    straight = rays @ made.pinhole.matrix().T
    for x, y in straight[:, :2]:
        column, row = round(x) - 9, round(y) - 9
        patch = image[row : row + 19, column : column + 19, 0].astype(float)
        rows, columns = np.mgrid[: patch.shape[0], : patch.shape[1]]
        found = np.array([(columns * patch).sum(), (rows * patch).sum()]) / patch.sum() + (column, row)
        assert np.hypot(*(found - (x, y))) < 0.3


def test_a_camera_that_sends_the_same_image_for_long_hangs_and_may_come_back() -> None:
    time_s, shown = [0.0], [np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)]

    def still(limit_s: float | None) -> OpenCvCamera:
        made = config().model_copy(update={"still_max_s": limit_s})
        return OpenCvCamera.open(made, lambda _: VirtualCamera(lambda _: shown[0], WIDTH, HEIGHT, FrameTimer(FPS)), now_s=lambda: time_s[0])

    with closing(still(1.0)) as camera, closing(still(None)) as drawn:
        camera.capture()
        time_s[0] = 0.9
        camera.capture()
        time_s[0] = 1.1
        with pytest.raises(StaleError, match=r"the same image, byte for byte, for 1\.1 s \(still_max_s 1\): it hangs; unplug it"):
            camera.capture()
        drawn.capture()
        # One grey level of one pixel is a picture of its own.
        shown[0] = shown[0].copy()
        shown[0][3, 4, 1] ^= 1
        sleep_s(3.0 / FPS)
        camera.capture()


def test_an_image_that_shows_nothing_is_none() -> None:
    shown = [np.full((HEIGHT, WIDTH, 3), 8, np.uint8)]
    with closing(OpenCvCamera.open(config(), lambda _: VirtualCamera(lambda _: shown[0], WIDTH, HEIGHT, FrameTimer(FPS)))) as camera:
        with pytest.raises(StaleError, match=r"black images, no colour above 8 of 255 \(dark_level\): take its cap off"):
            camera.capture()
        shown[0] = shown[0].copy()
        shown[0][0, 0, 2] = 9
        sleep_s(3.0 / FPS)
        camera.capture()
