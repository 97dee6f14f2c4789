"""An off-screen camera that follows the base, drawn by PyBullet's software renderer: it needs neither display nor GPU."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pybullet

from robot.errors import ClosedError, UsageError
from robot.types import CameraFrame

# A three-quarter view from the front right that shows the gait; distance in m, angles in degrees (PyBullet's), chosen by eye.
_DISTANCE_M, _YAW_DEG, _PITCH_DEG = 0.95, 35.0, -18.0
# Looks at this height, so that the robot's bouncing is seen against the picture, m.
_TARGET_HEIGHT_M = 0.12
_FIELD_OF_VIEW_DEG, _NEAR_M, _FAR_M = 45.0, 0.05, 20.0
# From above the camera's side, so that shadows fall where they are seen.
_LIGHT_DIRECTION = (1.0, -1.5, 3.0)


class Scene(Protocol):
    """Handles of a world with a robot in it."""

    @property
    def client(self) -> int:
        """Number of the physics client."""

    @property
    def body(self) -> int:
        """The robot."""


class Filmed(Protocol):
    """A simulated robot that a camera can follow."""

    @property
    def now_s(self) -> float:
        """Simulated time, s."""

    @property
    def world(self) -> Scene:
        """Handles of its world; raises ClosedError after `close`."""


class FollowCamera:
    """Implements Camera: a picture of the robot at the present time; the ground's squares are 1 m wide.

    Args:
        robot: The robot to follow.
        width_px: Of the image.
        height_px: Of the image.

    Raises:
        UsageError: If a side is not within 16 to 2048 px.
    """

    def __init__(self, robot: Filmed, width_px: int = 480, height_px: int = 320) -> None:
        if not (16 <= width_px <= 2048 and 16 <= height_px <= 2048):
            raise UsageError(f"a camera of {width_px} x {height_px} px: both sides must be within 16 to 2048")
        self._robot = robot
        self._width, self._height = width_px, height_px
        self._projection = pybullet.computeProjectionMatrixFOV(
            _FIELD_OF_VIEW_DEG, width_px / height_px, _NEAR_M, _FAR_M, physicsClientId=robot.world.client
        )
        self._closed = False

    def capture(self) -> CameraFrame:
        if self._closed:
            raise ClosedError("this camera is closed: make a new one")
        world = self._robot.world
        base, _ = pybullet.getBasePositionAndOrientation(world.body, physicsClientId=world.client)
        target = (base[0], base[1], max(_TARGET_HEIGHT_M, base[2] - _TARGET_HEIGHT_M))
        view = pybullet.computeViewMatrixFromYawPitchRoll(target, _DISTANCE_M, _YAW_DEG, _PITCH_DEG, 0.0, 2, physicsClientId=world.client)
        _, _, pixels, _, _ = pybullet.getCameraImage(
            self._width,
            self._height,
            view,
            self._projection,
            lightDirection=_LIGHT_DIRECTION,
            shadow=1,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=world.client,
        )
        image = np.array(pixels, dtype=np.uint8).reshape(self._height, self._width, 4)[:, :, :3].copy()
        image.flags.writeable = False
        return CameraFrame(self._robot.now_s, image)

    def close(self) -> None:
        self._closed = True
