"""An off-screen camera on a simulated robot: it needs no display, and unless the robot's configuration asks for OpenGL no GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pybullet

from robot.errors import ClosedError, UsageError
from robot.types import CameraFrame
from sim.engine import Vector
from sim.renderer import drawing

# A three-quarter view from the front right that shows the gait; distance in m, angles in degrees (PyBullet's), chosen by eye.
_DISTANCE_M, _YAW_DEG, _PITCH_DEG = 0.95, 35.0, -18.0
# Looks at this height, so that the robot's bouncing is seen against the picture, m.
_TARGET_HEIGHT_M = 0.12
_FIELD_OF_VIEW_DEG, _NEAR_M, _FAR_M = 45.0, 0.05, 20.0
# From above the camera's side, so that shadows fall where they are seen.
_LIGHT_DIRECTION = (1.0, -1.5, 3.0)
# The renderer's own shares of light from everywhere and from the lamp (PyBullet Quickstart Guide).
_AMBIENT, _DIFFUSE = 0.6, 0.35


@dataclass(frozen=True, slots=True)
class Look:
    """Where a camera stands, and the light.

    Attributes:
        view: PyBullet's view matrix, 16 numbers.
        field_of_view_deg: From the upper to the lower edge.
        light_direction: Towards the lamp, of any length.
        ambient: Share of light that comes from everywhere.
        diffuse: Share that comes from the lamp.
    """

    view: tuple[float, ...]
    field_of_view_deg: float = _FIELD_OF_VIEW_DEG
    light_direction: Vector = _LIGHT_DIRECTION
    ambient: float = _AMBIENT
    diffuse: float = _DIFFUSE


class Scene(Protocol):
    """Handles of a world with a robot in it."""

    @property
    def client(self) -> int:
        """Number of the physics client."""

    @property
    def body(self) -> int:
        """The robot."""


class Filmed(Protocol):
    """A simulated robot that a camera looks at."""

    @property
    def now_s(self) -> float:
        """Simulated time, s."""

    @property
    def world(self) -> Scene:
        """Handles of its world; raises ClosedError after `close`."""

    def look(self) -> Look:
        """Where its camera stands now."""


def follow(scene: Scene) -> Look:
    """Return the view of a camera that goes along with a robot's base; the ground's squares are 1 m wide."""
    base, _ = pybullet.getBasePositionAndOrientation(scene.body, physicsClientId=scene.client)
    target = (base[0], base[1], max(_TARGET_HEIGHT_M, base[2] - _TARGET_HEIGHT_M))
    return Look(pybullet.computeViewMatrixFromYawPitchRoll(target, _DISTANCE_M, _YAW_DEG, _PITCH_DEG, 0.0, 2, physicsClientId=scene.client))


class SimulatedCamera:
    """Implements Camera: a picture of the robot at the present time.

    Args:
        robot: Whose camera it is.
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
        # That of a robot that is closed cannot be made.
        self._client = robot.world.client
        self._closed = False

    def capture(self) -> CameraFrame:
        if self._closed:
            raise ClosedError("this camera is closed: make a new one")
        client, look = self._client, self._robot.look()
        projection = pybullet.computeProjectionMatrixFOV(
            look.field_of_view_deg, self._width / self._height, _NEAR_M, _FAR_M, physicsClientId=client
        )
        with drawing(client) as renderer:
            _, _, pixels, _, _ = pybullet.getCameraImage(
                self._width,
                self._height,
                look.view,
                projection,
                lightDirection=look.light_direction,
                lightAmbientCoeff=look.ambient,
                lightDiffuseCoeff=look.diffuse,
                shadow=1,
                renderer=renderer,
                flags=pybullet.ER_NO_SEGMENTATION_MASK,
                physicsClientId=client,
            )
        image = np.array(pixels, dtype=np.uint8).reshape(self._height, self._width, 4)[:, :, :3].copy()
        image.flags.writeable = False
        return CameraFrame(self._robot.now_s, image)

    def close(self) -> None:
        self._closed = True
