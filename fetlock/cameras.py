"""Opens the cameras of a robot: the one whose frames are recorded, and the one above it that tracks its base."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fetlock import document
from fetlock.complaint import validated
from fetlock.config import RunConfig
from fetlock.machines import HardwareConfig
from robot.errors import UsageError
from robot.protocols import Camera

if TYPE_CHECKING:
    from robot.tracking import OverheadTracker


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
        raise _out_of_sight()
    return drawn(frames.width_px, frames.height_px)


def require_in_sight(config: RunConfig) -> None:
    """Raise UsageError if a run records frames of a robot that is drawn, and only the motion process could draw it."""
    if config.camera is not None and not isinstance(config.robot, HardwareConfig):
        raise _out_of_sight()


def _out_of_sight() -> UsageError:
    return UsageError(
        "camera asks for frames of a simulated robot, which in real time lives in a process of its own that nobody looks into: "
        "let it run in simulated time, or lay a file with `camera: null` over its configuration (--overlay)"
    )


def open_overhead(path: Path) -> OverheadTracker:
    """Open the overhead camera of a file; raises UsageError if the file says something else, RobotError if the camera does not open."""
    from robot.camera import OpenCvCamera
    from robot.tracking import OverheadConfig, OverheadTracker

    config = validated(document.read(path), str(path), OverheadConfig)
    return OverheadTracker.start(OpenCvCamera.open(config.camera), config.base)
