"""Faults of what is around the bus: a camera that freezes or stops, and a wall clock that is set."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

import robot.clock
from benchmarks.fault_matrix import checks
from benchmarks.fault_matrix.checks import require
from benchmarks.fault_matrix.outcome import Outcome
from benchmarks.fault_matrix.rig import Rig
from robot.camera.virtual import FrameTimer, VirtualCamera
from robot.clock import monotonic_s
from robot.protocols import Robot
from robot.types import ByteImage, CameraFrame, Command, RobotState
from safety import Cause

# A common camera's rate, and a picture that costs nothing to compare.
_FPS, _WIDTH_PX, _HEIGHT_PX = 30.0, 32, 24
# Age and time without a change that stop the robot, s; as long as another sensor's (`GuardConfig.sensor_age_max_s`).
CAMERA_S = 0.2
# By how much the wall clock is set, s.
_SHIFT_S = 3600.0


class Camera:
    """A virtual camera whose frames a thread takes off as they come; noise makes no two alike."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._begin()

    def _begin(self) -> None:
        self.frozen = False
        self._source = VirtualCamera(self._draw, _WIDTH_PX, _HEIGHT_PX, FrameTimer(_FPS))
        self.newest = self._take()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _draw(self, frame: int) -> ByteImage:
        return np.random.default_rng([self._seed, 0 if self.frozen else frame]).integers(0, 256, (_HEIGHT_PX, _WIDTH_PX, 3), np.uint8)

    def _take(self) -> CameraFrame | None:
        good, image = self._source.read()
        return CameraFrame(monotonic_s(), np.asarray(image, np.uint8)) if good else None

    def _run(self) -> None:
        while (frame := self._take()) is not None:
            self.newest = frame

    def unplug(self) -> None:
        """Send no frame any more."""
        self._source.unplug()

    def plug(self) -> None:
        """Begin again, with a picture that lives."""
        self.unplug()
        self._thread.join()
        self._begin()


class SeeingRobot:
    """Implements Robot: another one, whose states hold the camera's newest frame."""

    def __init__(self, robot: Robot, camera: Camera) -> None:
        self._robot = robot
        self.camera = camera
        self.joint_names = robot.joint_names

    def read(self) -> RobotState:
        return replace(self._robot.read(), frame=self.camera.newest)

    def write(self, command: Command) -> Command:
        return self._robot.write(command)

    def stop(self) -> None:
        self._robot.stop()

    def close(self) -> None:
        self.camera.unplug()
        self._robot.close()


def camera_frozen(rig: Rig, camera: Camera) -> Outcome:
    """The picture stays, with new stamps or with its old one."""

    def freeze() -> None:
        camera.frozen = True

    stands = rig.rng.random() < 0.5
    at_s = rig.tick(fault=freeze if stands else camera.unplug)
    rig.until(checks.stopped, 3.0, "stop")
    rig.run(10)
    safe_s = checks.safe_after(rig, at_s, Cause.CAMERA)
    checks.require_still(rig)
    camera.plug()
    rig.run(5)
    checks.require_still(rig)
    checks.require_drives(rig)
    return Outcome(safe_s, "identical frames: CAMERA" if stands else "old frames: CAMERA")


def wall_clock(rig: Rig) -> Outcome:
    """The wall clock of this process is set by an hour, forth or back, while the robot swings."""
    module = vars(robot.clock)["time"]
    real = module.time
    shift_s = float(rig.rng.choice((-_SHIFT_S, _SHIFT_S)))

    def set_clock() -> None:
        module.time = lambda: real() + shift_s

    try:
        rig.tick(fault=set_clock)
        require(abs(module.time() - real() - shift_s) < 1.0, "the clock was not set")
        checks.require_goes_on(rig, 40)
    finally:
        module.time = real
    checks.require_goes_on(rig, 20)
    return Outcome(saw="no change")
