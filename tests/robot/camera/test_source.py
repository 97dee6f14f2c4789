"""What a device does not take, and what is no device, is refused in one line with the next step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from pydantic import ValidationError

from robot import RobotError
from robot.camera import CameraConfig, DeviceSource, FrameTimer, MjpegServer, OpenCvCamera, StreamSource, VirtualCamera
from robot.camera.source import _held_by, check_device
from tests.robot.camera.painted import HEIGHT, WIDTH, paint

pytestmark = pytest.mark.realtime


class NoExposure(VirtualCamera):
    """A device without exposure controls."""

    def set(self, key: int, value: float, /) -> bool:
        return key not in (cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_EXPOSURE) and super().set(key, value)

    def get(self, key: int, /) -> float:
        return -1.0 if key in (cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_EXPOSURE) else super().get(key)


class MotionJpegOnly(VirtualCamera):
    """A device of one format."""

    def set(self, key: int, value: float, /) -> bool:
        return key != cv2.CAP_PROP_FOURCC and super().set(key, value)


class Liar(VirtualCamera):
    """A driver that says one size and sends another."""

    def get(self, key: int, /) -> float:
        return super().get(key) * (2.0 if key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT) else 1.0)


def opened(
    kind: Callable[..., VirtualCamera] = VirtualCamera,
    width: int = WIDTH,
    height: int = HEIGHT,
    device_fps: float = 100.0,
    **source: object,
) -> VirtualCamera:
    """Open a camera over a device, close it, and return the device."""
    device = kind(paint, WIDTH, HEIGHT, FrameTimer(device_fps))
    made = CameraConfig.model_validate(
        {
            "source": {"kind": "v4l2", "device": 3, "fps": 100, **source},
            "width_px": width,
            "height_px": height,
            "max_age_s": 5.0,
            "still_max_s": None,
        }
    )
    try:
        OpenCvCamera.open(made, lambda _: device).close()
    finally:
        assert not device.isOpened()
    return device


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"width": 640, "height": 480},
            "/dev/video3: asked for 640 x 480 px, it took 320 x 240: v4l2-ctl -d /dev/video3 --list-formats-ext",
        ),
        ({"fps": 60}, "asked for 60 fps at 320 x 240 px, it took 100"),
        ({"kind": MotionJpegOnly, "fourcc": "YUYV"}, "asked for YUYV, it took 'MJPG'"),
        ({"exposure_100us": 1}, "asked for an exposure of 1 x 100 us, it took 3"),
        ({"kind": NoExposure, "exposure_100us": 50}, "asked for manual exposure, its mode reads -1"),
        ({"kind": Liar, "width": 640, "height": 480}, "sends images of 320 x 240 px in 3 colours: 640 x 480 in 3 was configured"),
    ],
)
def test_a_setting_that_was_not_taken_is_an_error_that_names_both(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RobotError) as caught:
        opened(**arguments)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_settings_reach_the_device() -> None:
    device = opened(fourcc="YUYV", exposure_100us=50)
    assert device.get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*"YUYV")
    assert device.get(cv2.CAP_PROP_BUFFERSIZE) == 1.0
    assert device.get(cv2.CAP_PROP_AUTO_EXPOSURE) == 1.0
    assert device.get(cv2.CAP_PROP_EXPOSURE) == 50.0


def test_automatic_exposure_is_restored_and_a_device_may_lack_it() -> None:
    assert opened().get(cv2.CAP_PROP_AUTO_EXPOSURE) == 3.0
    opened(NoExposure)


def test_a_rate_may_be_a_fraction() -> None:
    opened(device_fps=30000 / 1001, fps=30)


def test_a_device_that_sends_nothing_is_refused_and_released() -> None:
    device = VirtualCamera(paint, WIDTH, HEIGHT, FrameTimer(30.0))
    device.unplug()
    with pytest.raises(RobotError, match="opened but sent no image: try another USB port"):
        OpenCvCamera.open(CameraConfig(width_px=WIDTH, height_px=HEIGHT), lambda _: device)
    assert not device.isOpened()


def test_a_stream_of_another_size_is_refused() -> None:
    server = MjpegServer.start(paint, 100.0)
    with pytest.raises(RobotError, match="sends images of 320 x 240 px in 3 colours: 640 x 480 in 3 was configured"):
        OpenCvCamera.open(CameraConfig(source=StreamSource(url=server.url), width_px=640, height_px=480))
    server.close()


def test_what_is_no_device_is_refused_in_one_line() -> None:
    for device, message in (("/dev/no-camera", "is not there"), ("/dev/null", "is no video device")):
        with pytest.raises(RobotError, match=rf"camera {device} {message}.*choose another: ") as caught:
            OpenCvCamera.open(CameraConfig(source=DeviceSource(device=device)))
        assert "\n" not in str(caught.value)


def test_an_address_without_a_server_is_refused_and_its_password_kept() -> None:
    with pytest.raises(RobotError, match=r"camera http://127.0.0.1:9/video sends no video") as caught:
        OpenCvCamera.open(CameraConfig(source=StreamSource(url="http://user:secret@127.0.0.1:9/video")))
    assert "secret" not in str(caught.value)


def test_a_node_that_is_not_permitted_names_the_group(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.touch(mode=0)
    user = os.geteuid()
    if user == 0:  # root may open everything
        tmp_path.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(RobotError, match=r"group video \(sudo usermod -aG video"):
            check_device(node)
    finally:
        os.seteuid(user)


def test_who_holds_a_node_is_named(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    with node.open("w"):
        assert f"process {os.getpid()} (" in _held_by(node)
    assert _held_by(node) == ""


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"source": {"kind": "v4l2", "device": "camera.mp4"}}, "String should match pattern"),
        ({"source": {"kind": "http", "url": "ftp://host/x"}}, "String should match pattern"),
        ({"source": {"kind": "v4l2", "fps": 100, "exposure_100us": 101}}, "longer than a frame at 100 fps: at most 100"),
        ({"source": {"kind": "v4l2", "fps": 5}}, "less than two frames at 5 fps: at least 0.4 s"),
        ({"crop": {"x_px": 1000, "y_px": 0, "width_px": 300, "height_px": 100}}, "leaves the image of 1280 x 720 px"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CameraConfig.model_validate(document)
