"""How actions in [-1, 1] become joint angles of a robot on legs, and back: exact inverse pairs, one for each kind of leg."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from robot.types import FloatArray, frozen_array

# Leg order and the side's sign s in m[2i] = extension - s swing, m[2i+1] = extension + s swing: bullet3's Minitaur (docs/robots.md).
_FIVE_BAR_LEGS = ("front_left", "back_left", "front_right", "back_right")
_FIVE_BAR_SIDE = np.array([1.0, 1.0, -1.0, -1.0])
# Order of the kitty's description; an abduction is positive to the left, so that outwards is this sign.
_KITTY_LEGS = ("front_right", "front_left", "back_left", "back_right")
_KITTY_OUTWARDS = np.array([-1.0, 1.0, 1.0, -1.0])


class LegMap(Protocol):
    """The legs of a robot; an action's element is an element of their shape."""

    @property
    def action_names(self) -> tuple[str, ...]:
        """One name for each element of the action, shape (a,)."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """One name for each joint in the observation, shape (n,)."""

    @property
    def centre_rad(self) -> FloatArray:
        """Angles at an action of 0. Shape (n,), rad."""

    def joints_rad(self, legs: FloatArray) -> FloatArray:
        """Return joint angles, shape (n,), rad, from the legs' shape, shape (a,)."""

    def legs(self, joints_rad: FloatArray) -> FloatArray:
        """The exact inverse of `joints_rad`."""


class SwingExtension:
    """Implements LegMap for four five-bars of two motors each: swing and extension of each leg.

    Args:
        swing_scale_rad: Swing at an action of 1.
        extension_center_rad: Extension at an action of 0.
        extension_scale_rad: Further extension at an action of 1.
    """

    action_names = tuple(f"{part} {leg}" for part in ("swing", "extension") for leg in _FIVE_BAR_LEGS)
    joint_names = tuple(f"motor {leg} {side}" for leg in _FIVE_BAR_LEGS for side in ("a", "b"))

    def __init__(self, swing_scale_rad: float, extension_center_rad: float, extension_scale_rad: float) -> None:
        self._swing = swing_scale_rad
        self._centre = extension_center_rad
        self._extension = extension_scale_rad
        self.centre_rad = frozen_array(np.full(len(self.joint_names), extension_center_rad))

    def joints_rad(self, legs: FloatArray) -> FloatArray:
        swing = self._swing * legs[:4] * _FIVE_BAR_SIDE
        extension = self._centre + self._extension * legs[4:]
        motors = np.empty(8)
        motors[0::2] = extension - swing
        motors[1::2] = extension + swing
        return frozen_array(motors)

    def legs(self, joints_rad: FloatArray) -> FloatArray:
        swing = (joints_rad[1::2] - joints_rad[0::2]) * 0.5 * _FIVE_BAR_SIDE / self._swing
        extension = ((joints_rad[1::2] + joints_rad[0::2]) * 0.5 - self._centre) / self._extension
        return frozen_array(np.concatenate([swing, extension]))


class JointOffsets:
    """Implements LegMap for the kitty's legs of abduction, hip and knee: an offset of each joint from a pose.

    Args:
        centre_rad: Abduction outwards, hip and knee of every leg at an action of 0.
        scale_rad: Offsets at an action of 1, same order.
    """

    joint_names = tuple(f"{joint} {leg}" for leg in _KITTY_LEGS for joint in ("abduction", "hip", "knee"))
    action_names = joint_names

    def __init__(self, centre_rad: tuple[float, float, float], scale_rad: tuple[float, float, float]) -> None:
        signs = np.ones((len(_KITTY_LEGS), 3))
        signs[:, 0] = _KITTY_OUTWARDS
        self.centre_rad = frozen_array((signs * centre_rad).ravel())
        self._scale = frozen_array((signs * scale_rad).ravel())

    def joints_rad(self, legs: FloatArray) -> FloatArray:
        return frozen_array(self.centre_rad + self._scale * legs)

    def legs(self, joints_rad: FloatArray) -> FloatArray:
        return frozen_array((joints_rad - self.centre_rad) / self._scale)
