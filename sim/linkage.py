"""The Minitaur's five-bars: where the knees are when the motors are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sim.dynamics import put_joints
from sim.model import DIRECTIONS

# Effective links of a leg, from motor to knee and from knee to foot, m (docs/robots.md).
THIGH_M, SHANK_M = 0.115, 0.200
# Of the difference quotient of a knee's angle, rad.
_STEP_RAD = 1e-4


def knee_rad(extension_rad: float) -> float:
    """Return the angle of both knees of a leg in the motors' convention, rad; -2.1834 at an extension of pi/2.

    The law of cosines in the triangle of motor, knee and foot; both motors turn about one axis.

    Args:
        extension_rad: Half of the sum of both motors' angles, 0 to pi.
    """
    length_m = -THIGH_M * math.cos(extension_rad) + math.sqrt(SHANK_M**2 - (THIGH_M * math.sin(extension_rad)) ** 2)
    cosine = (THIGH_M**2 + SHANK_M**2 - length_m**2) / (2.0 * THIGH_M * SHANK_M)
    return math.acos(min(1.0, max(-1.0, cosine))) - math.pi


def put_legs(
    client: int, body: int, motors: Sequence[int], knees: Sequence[int], position_rad: Sequence[float], velocity_rad_s: Sequence[float]
) -> None:
    """Put motors to angles and velocities, and knees to those at which the linkages close.

    Args:
        client: Number of the physics client.
        body: The robot.
        motors: Joint numbers, left and right of each leg.
        knees: Same.
        position_rad: Of the motors, shape (8,), rad.
        velocity_rad_s: Shape (8,), rad/s.
    """
    angles, rates = [], []
    for left in range(0, len(position_rad), 2):
        extension = (position_rad[left] + position_rad[left + 1]) / 2.0
        growth = (velocity_rad_s[left] + velocity_rad_s[left + 1]) / 2.0
        slope = (knee_rad(extension + _STEP_RAD) - knee_rad(extension - _STEP_RAD)) / (2.0 * _STEP_RAD)
        angles += [knee_rad(extension)] * 2
        rates += [slope * growth] * 2
    for joints, positions, velocities in ((motors, position_rad, velocity_rad_s), (knees, angles, rates)):
        put_joints(
            client,
            body,
            joints,
            [direction * angle for direction, angle in zip(DIRECTIONS, positions, strict=True)],
            [direction * rate for direction, rate in zip(DIRECTIONS, velocities, strict=True)],
        )
