"""Open a video source and set it up, or say in one line why it does not work."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Protocol

import cv2
from cv2.typing import MatLike

from robot.camera.config import DeviceSource, Source, StreamSource
from robot.errors import RobotError

# OpenCV waits this long for a frame before a grab fails: 10 s (V4L2) and 30 s (FFmpeg) by default. `close` waits as long at worst.
_GRAB_TIMEOUT_S = 2
_OPEN_TIMEOUT_S = 5
# Frames that the driver may hold: an old one can only be as old as the thread is late. With a single buffer a driver has none to fill while
# an image is decoded, so a camera may drop every other frame when all are asked for (UNTESTED on a device): two would keep the rate.
_BUFFERS = 1
# V4L2_CID_EXPOSURE_AUTO, which OpenCV passes through unchanged: V4L2_EXPOSURE_MANUAL and V4L2_EXPOSURE_APERTURE_PRIORITY.
MANUAL_EXPOSURE, AUTOMATIC_EXPOSURE = 1, 3
# Major number of video4linux nodes: Documentation/admin-guide/devices.txt of the kernel.
_VIDEO_MAJOR = 81
# Rounding of a rate that a device keeps as a fraction: 30000/1001 is 29.97.
_FPS_TOLERANCE = 0.05


class VideoSource(Protocol):
    """The part of cv2.VideoCapture that a camera needs, once it is open."""

    def grab(self) -> bool:
        """Wait for the next frame and hold it; false when none comes any more."""

    def retrieve(self) -> tuple[bool, MatLike]:
        """Decode the held frame. Shape (height, width, 3), uint8, BGR."""

    def set(self, key: int, value: float, /) -> bool:
        """Ask for a value of a cv2.CAP_PROP."""

    def get(self, key: int, /) -> float:
        """Return the value of a cv2.CAP_PROP; what it has none of is -1 or 0."""

    def release(self) -> None:
        """Let the device go. Idempotent."""


def open_source(source: Source) -> VideoSource:
    """Open a device or a stream with OpenCV.

    Raises:
        RobotError: If it is missing, not permitted, busy, no camera or not reachable: with the next step.
    """
    return _open_stream(source) if isinstance(source, StreamSource) else _open_device(source)


def _open_device(source: DeviceSource) -> VideoSource:
    check_device(Path(source.path))
    # OpenCV reads it when it first waits for a device; what the user set stays.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(_GRAB_TIMEOUT_S))
    capture = cv2.VideoCapture(source.path, cv2.CAP_V4L2)
    if not capture.isOpened():
        held = _held_by(Path(source.path)) or ", and no process seen here has it: the second node of a USB camera carries no images"
        raise RobotError(f"camera {source.name} does not open for images{held}: end what uses it, or choose another: {_choices()}")
    return capture


def _open_stream(source: StreamSource) -> VideoSource:
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_TIMEOUT_S * 1000, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _GRAB_TIMEOUT_S * 1000]
    capture = cv2.VideoCapture(source.url, cv2.CAP_FFMPEG, timeouts)
    if not capture.isOpened():
        raise RobotError(f"camera {source.name} sends no video (waited up to {_OPEN_TIMEOUT_S} s): start its server, try it in a browser")
    return capture


def check_device(path: Path) -> None:
    """Open a device node and let it go.

    Raises:
        RobotError: If there is none, it is not permitted, busy or no video device.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        status = os.fstat(handle)
        os.close(handle)
    except PermissionError as error:
        step = "sudo usermod -aG video $USER, then log in again"
        raise RobotError(f"camera {path} is not permitted: its users are the group video ({step})") from error
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise RobotError(f"camera {path} is busy{_held_by(path)}: end what uses it") from error
        raise RobotError(f"camera {path} is not there ({error.strerror}): plug it in, or choose another: {_choices()}") from error
    if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) != _VIDEO_MAJOR:
        raise RobotError(f"camera {path} is no video device: choose another: {_choices()}")


def _choices() -> str:
    found = sorted(str(path) for folder, glob in (("/dev/v4l/by-id", "*"), ("/dev", "video*")) for path in Path(folder).glob(glob))
    return ", ".join(found) if found else "this machine has no video device"


def _held_by(path: Path) -> str:
    """Name the processes that hold a device open, as far as /proc shows them to this user."""
    node = path.resolve()
    holders: dict[str, str] = {}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.readlink() == node:
                holders[link.parts[2]] = (link.parent.parent / "comm").read_text().strip()
        except OSError:  # not ours to read, or gone meanwhile
            continue
    return "".join(f", process {pid} ({name}) has it" for pid, name in holders.items())


def set_up_device(video: VideoSource, source: DeviceSource, width_px: int, height_px: int) -> None:
    """Set format, rate and exposure, in this order: a change of format resets the others. Then read all of them back.

    Raises:
        RobotError: If the device took something else: both values and where to look for those that it takes.
    """
    wanted_code = cv2.VideoWriter.fourcc(*source.fourcc)
    video.set(cv2.CAP_PROP_FOURCC, wanted_code)
    video.set(cv2.CAP_PROP_FRAME_WIDTH, width_px)
    video.set(cv2.CAP_PROP_FRAME_HEIGHT, height_px)
    video.set(cv2.CAP_PROP_FPS, source.fps)
    video.set(cv2.CAP_PROP_BUFFERSIZE, _BUFFERS)
    advice = f"v4l2-ctl -d {source.path} --list-formats-ext lists what it takes"
    code = int(video.get(cv2.CAP_PROP_FOURCC))
    if code != wanted_code:
        taken = code.to_bytes(4, "little", signed=True).decode("ascii", "replace")
        raise RobotError(f"camera {source.name}: asked for {source.fourcc}, it took {taken!r}: {advice}")
    size = (round(video.get(cv2.CAP_PROP_FRAME_WIDTH)), round(video.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    if size != (width_px, height_px):
        raise RobotError(f"camera {source.name}: asked for {width_px} x {height_px} px, it took {size[0]} x {size[1]}: {advice}")
    fps = video.get(cv2.CAP_PROP_FPS)
    if abs(fps - source.fps) > _FPS_TOLERANCE * source.fps:
        raise RobotError(f"camera {source.name}: asked for {source.fps} fps at {width_px} x {height_px} px, it took {fps:.4g}: {advice}")
    _set_exposure(video, source)


def _set_exposure(video: VideoSource, source: DeviceSource) -> None:
    advice = f"v4l2-ctl -d {source.path} --list-ctrls lists its range"
    manual = source.exposure_100us is not None
    video.set(cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL_EXPOSURE if manual else AUTOMATIC_EXPOSURE)
    mode = video.get(cv2.CAP_PROP_AUTO_EXPOSURE)
    if manual != (mode == MANUAL_EXPOSURE):
        # A camera without the control has no manual mode to be left in.
        asked = "manual" if manual else "automatic"
        raise RobotError(f"camera {source.name}: asked for {asked} exposure, its mode reads {mode:g} (1 is manual): {advice}")
    if source.exposure_100us is None:
        return
    video.set(cv2.CAP_PROP_EXPOSURE, source.exposure_100us)
    exposure = video.get(cv2.CAP_PROP_EXPOSURE)
    if round(exposure) != source.exposure_100us:
        raise RobotError(f"camera {source.name}: asked for an exposure of {source.exposure_100us} x 100 us, it took {exposure:g}: {advice}")
