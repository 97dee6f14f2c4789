"""Opens the cameras of a robot: the one whose frames are recorded, and the one above it that tracks its base."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fetlock import document
from fetlock.complaint import validated
from fetlock.config import RunConfig
from fetlock.machines import EmulatedConfig, HardwareConfig
from robot.clock import monotonic_s, sleep_s
from robot.errors import RobotError, StaleError, UsageError
from robot.protocols import Camera

if TYPE_CHECKING:
    from robot.tracking import OverheadTracker

# Two pictures in a policy tick, that the newest is young, and no more a second than a common USB camera sends at its smallest size: at
# 84 x 84 px, 4 to 10 ms each, an emulated machine draws for a quarter to a half of its time.
_PICTURES_MAX_HZ = 60.0
# As `robot.camera.CameraConfig`: 0.2 s, and at least two pictures, so that one lost picture is no fault.
_AGE_MAX_S, _AGE_PICTURES = 0.2, 2
# A robot that was put into a start pose is seen there within a picture and its drawing; a busy machine may need longer.
_VIEW_S, _LOOK_S = 5.0, 0.002


def open_eye(config: RunConfig, drawn: Callable[[int, int], Camera] | None = None) -> Camera | None:
    """Open the camera whose frames a run records; None where it records none.

    Args:
        config: Of the run.
        drawn: Makes a camera of so many pixels, width and height, that draws a simulated robot.

    Raises:
        UsageError: If the file of a camera of metal says something else, or there is no camera.
        RobotError: If the camera does not open.
    """
    frames, robot = config.camera, config.robot
    if frames is None:
        return None
    if isinstance(robot, HardwareConfig) and robot.camera is not None:
        # OpenCV takes a tenth of a second to import: only who has a camera of metal waits for it.
        from robot.camera import CameraConfig, NewestCamera, OpenCvCamera

        return NewestCamera.start(
            OpenCvCamera.open(validated(document.read(Path(robot.camera)), robot.camera, CameraConfig)), frames.width_px, frames.height_px
        )
    if drawn is None:
        raise _out_of_sight(robot.kind)
    return drawn(frames.width_px, frames.height_px)


def require_in_sight(config: RunConfig) -> None:
    """Raise UsageError if a run records frames of a robot that only the loop of the motion process could draw."""
    if config.camera is not None and not isinstance(config.robot, EmulatedConfig | HardwareConfig):
        raise _out_of_sight(config.robot.kind)


def _out_of_sight(kind: str) -> UsageError:
    return UsageError(
        f"camera asks for frames of robot.kind {kind}, which in real time only the bus loop of its motion process could draw, late for its "
        "ticks: let it run in simulated time, put it behind an emulated bus (robot.kind emulated), or lay a file with `camera: null` over "
        "its configuration (--overlay)"
    )


def open_pictures(control: Path, width_px: int, height_px: int, control_hz: float) -> Camera:
    """Open the camera of an emulated machine that runs in real time: the newest of its pictures, which a thread fetches.

    Args:
        control: Path of the machine's control socket.
        width_px: Of the images.
        height_px: Of the same.
        control_hz: Policy ticks per second.

    Raises:
        RobotError: If nobody answers there, or the machine draws nothing.
    """
    from robot.camera import NewestCamera
    from robot.emulator import EmulatorClient, PictureStream

    fps = min(2.0 * control_hz, _PICTURES_MAX_HZ)
    stream = PictureStream(EmulatorClient(control), width_px, height_px, fps, max(_AGE_MAX_S, _AGE_PICTURES / fps))
    return NewestCamera.start(stream, width_px, height_px)


@contextmanager
def eye_beside(config: RunConfig) -> Iterator[tuple[list[str], Callable[[], Camera | None]]]:
    """Get the camera ready whose frames a run records while the motion process has the robot; close it at the end.

    Yields:
        Options for `python -m fetlock.motion`, and what opens the camera once that process is ready. A camera of metal is open before: one
        that does not open is heard of before the robot is reached.

    Raises:
        UsageError: As `open_eye`.
        RobotError: As `open_eye`.
    """
    frames = config.camera
    with ExitStack() as stack:
        if frames is None or not isinstance(config.robot, EmulatedConfig):
            eye = open_eye(config)
            if eye is not None:
                stack.enter_context(closing(eye))
            yield [], lambda: eye
            return
        # Not in the run's folder: the path of a socket has at most 107 bytes.
        control = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fetlock-eye-"))) / "control"
        size = frames.width_px, frames.height_px
        yield (
            ["--emulator-control", str(control)],
            lambda: stack.enter_context(closing(open_pictures(control, *size, config.control_hz))),
        )


def await_view(eye: Camera, since_s: float) -> None:
    """Wait until a camera has seen the robot at a time (monotonic, s) or later, such as when it was put into a start pose.

    Raises:
        RobotError: If it has not after 5 s: as the camera does.
    """
    end_s = monotonic_s() + _VIEW_S
    while True:
        try:
            if eye.capture().stamp_s >= since_s:
                return
            failure: RobotError = StaleError(f"the camera has not seen the robot since it was put into a start pose, {_VIEW_S:g} s ago")
        except StaleError as error:
            failure = error
        if monotonic_s() >= end_s:
            raise failure
        sleep_s(_LOOK_S)


def open_overhead(path: Path) -> OverheadTracker:
    """Open the overhead camera of a file; raises UsageError if the file says something else, RobotError if the camera does not open."""
    from robot.camera import OpenCvCamera
    from robot.tracking import OverheadConfig, OverheadTracker

    config = validated(document.read(path), str(path), OverheadConfig)
    return OverheadTracker.start(OpenCvCamera.open(config.camera), config.base)
