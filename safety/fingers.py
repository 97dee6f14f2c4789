"""How far the fingers of a claw are from each other: forward kinematics and capsules in closed form, for many poses at once.

The palm's frame has x and y in its plane and z along a finger at 0. A finger at azimuth p has the axes o = (cos p, sin p, 0), outwards, and
t = (sin p, -cos p, 0). Its side joint turns by a about o, middle and tip joint by b and c about t, so that a link's direction is
sin a cos w t - sin w o + cos a cos w z, with w = 0 of the side link, b of the middle one, b + c of the tip. Positive b and c bend inwards.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot.types import FloatArray

# Links of a finger, and its joints: side, middle, tip.
LINKS = 3
# One minus the square of the cosine between two directions; below it they count as parallel, and any place on the first is as good.
_PARALLEL = 1e-12


@dataclass(frozen=True, slots=True)
class Capsule:
    """All points nearer than a radius to a piece of a link's axis.

    Attributes:
        link: 0 side, 1 middle, 2 tip.
        from_m: Beginning of the piece, from the link's joint on, m.
        to_m: Its end, m.
        radius_m: m.
    """

    link: int
    from_m: float
    to_m: float
    radius_m: float


class Fingers:
    """Equal fingers in a circle.

    Args:
        base_radius_m: From the middle of the palm to the side joints, m.
        azimuth_rad: Direction of each of f fingers, rad, in the order of their joints.
        side_m: From the side joint to the middle one, m.
        middle_m: From the middle joint to the tip's, m.
        capsules: Of each finger.
    """

    def __init__(
        self, base_radius_m: float, azimuth_rad: Sequence[float], side_m: float, middle_m: float, capsules: Sequence[Capsule]
    ) -> None:
        self.joints = LINKS * len(azimuth_rad)
        angle = np.array(azimuth_rad)[:, None]
        self._cos, self._sin = np.cos(angle), np.sin(angle)
        self._base = base_radius_m * np.concatenate([self._cos, self._sin, np.zeros_like(angle)], axis=1)
        self._side_m, self._middle_m = side_m, middle_m
        # Every capsule of one finger with every one of the other, pair of fingers by pair.
        pairs = list(itertools.combinations(range(len(azimuth_rad)), 2))
        both = [(LINKS * one, LINKS * two, p, q) for one, two in pairs for p in capsules for q in capsules]
        self._shape = len(pairs), len(capsules) ** 2
        self._low = np.array([[p.from_m for *_, p, _ in both], [q.from_m for *_, q in both]])
        self._high = np.array([[p.to_m for *_, p, _ in both], [q.to_m for *_, q in both]])
        self._radii = np.array([p.radius_m + q.radius_m for *_, p, q in both])
        # Places in the Gram matrix, row by row: directions of all links, then their joints.
        way0, way1 = np.array([[one + p.link, two + q.link] for one, two, p, q in both]).T
        joint0, joint1 = way0 + self.joints, way1 + self.joints
        products = ((way0, way1), (way0, joint0), (way0, joint1), (way1, joint0), (way1, joint1))
        squares = ((joint0, joint0), (joint1, joint1), (joint0, joint1))
        self._vectors = 2 * self.joints
        self._products = np.array([row * self._vectors + column for row, column in products + squares])

    def links(self, pose_rad: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return directions (unit vectors) and joints, m, of all links in the palm's frame, each of shape (k, 3 f, 3).

        Args:
            pose_rad: Shape (k, 3 f), rad.
        """
        frames = self._frames(pose_rad)
        return frames[:, : self.joints], frames[:, self.joints :]

    def distances(self, pose_rad: FloatArray) -> FloatArray:
        """Return the smallest distance between each of m pairs of fingers, shape (k, m), m; negative where capsules overlap.

        Pairs are in the order (0, 1), (0, 2), ..., (1, 2), ...

        The nearest points of two segments are those of Ericson, Real-Time Collision Detection (2005), 5.1.9; s and t count along the axes.

        Args:
            pose_rad: Shape (k, 3 f), rad.
        """
        frames = self._frames(pose_rad)
        gram = (frames @ frames.transpose(0, 2, 1)).reshape(len(frames), self._vectors**2)
        cosine, c0, c1, f0, f1, square0, square1, both = gram[:, self._products].transpose(1, 0, 2)
        # Of the vector from the second joint to the first, along both directions.
        c, f = c0 - c1, f0 - f1
        (low_s, low_t), (high_s, high_t) = self._low, self._high
        s = (cosine * f - c) / np.maximum(1.0 - cosine * cosine, _PARALLEL)
        t = np.minimum(np.maximum(cosine * np.minimum(np.maximum(s, low_s), high_s) + f, low_t), high_t)
        s = np.minimum(np.maximum(cosine * t - c, low_s), high_s)
        square = square0 + square1 - 2.0 * both + s * (s + 2.0 * (c - cosine * t)) + t * (t - 2.0 * f)
        # Rounding takes what is 0 below it.
        gaps = np.sqrt(np.maximum(square, 0.0)) - self._radii
        smallest: FloatArray = gaps.reshape(len(frames), *self._shape).min(axis=2)
        return smallest

    def _frames(self, pose_rad: FloatArray) -> FloatArray:
        """Return directions, then joints, of all links; shape (k, 6 f, 3)."""
        count = len(pose_rad)
        angles = pose_rad.reshape(count, self.joints // LINKS, LINKS)
        bend = np.zeros_like(angles)
        bend[..., 1] = angles[..., 1]
        bend[..., 2] = angles[..., 1] + angles[..., 2]
        side, cosine, sine = angles[..., :1], np.cos(bend), np.sin(bend)
        frames = np.empty((count, 2, *angles.shape[1:], 3))
        way, place = frames[:, 0], frames[:, 1]
        across = np.sin(side) * cosine
        way[..., 0] = self._sin * across - self._cos * sine
        way[..., 1] = -self._cos * across - self._sin * sine
        way[..., 2] = np.cos(side) * cosine
        place[..., 0, :] = self._base
        place[..., 1, :] = self._base + self._side_m * way[..., 0, :]
        place[..., 2, :] = place[..., 1, :] + self._middle_m * way[..., 1, :]
        return frames.reshape(count, self._vectors, 3)
