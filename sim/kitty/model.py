"""The kitty as a URDF made of boxes, cylinders and spheres; names and joint limits are those of its description.

Dimensions and masses: ROBEL's D'Kitty (https://github.com/google-research/robel), turned into our frame: x forward, y left, z up. Where
the mass of a link sits is not told there: boxes of the size of a servo stand where the servos are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from robot.description import RobotDescription
from sim.engine import Vector
from sim.urdf import Mass, Shape, Urdf, box, box_mass

TORSO_SIZE_M = (0.30, 0.18, 0.014)
TORSO_MASS_KG = 0.73
# Abduction joint of each leg in the torso's frame, m.
SHOULDERS_M: dict[str, Vector] = {
    "front_right": (0.122, -0.09, 0.0),
    "front_left": (0.122, 0.09, 0.0),
    "back_left": (-0.122, 0.09, 0.0),
    "back_right": (-0.122, -0.09, 0.0),
}
# Down from abduction to hip, from hip to knee, and from knee to the lowest point of the foot, m.
HIP_M, THIGH_M, SHANK_M = 0.0965, 0.0945, 0.101
# About each joint's axis, kg m^2: what the rotor adds through its gear, as ROBEL models it.
ARMATURE_KG_M2 = 0.001

# XM430: 28.5 x 46.5 x 34 mm (ROBOTIS drawing), its horn's axis across the leg.
_SERVO_M = (0.034, 0.0285, 0.0465)
_FOOT_RADIUS_M = 0.012
_BONE_RADIUS_M = 0.008
_PLATE_M = 0.003
_COLOURS = {"torso": "0.20 0.22 0.26 1", "hip": "0.85 0.55 0.20 1", "thigh": "0.75 0.77 0.80 1", "shank": "0.15 0.15 0.15 1"}


class _Part(NamedTuple):
    """A box with the mass of a whole link."""

    size_m: Vector
    centre_m: Vector
    mass_kg: float

    @property
    def box(self) -> Shape:
        """As a shape."""
        return box(self.size_m, self.centre_m)

    @property
    def mass(self) -> Mass:
        """Of the link."""
        return box_mass(self.mass_kg, self.size_m, self.centre_m)


_TORSO = _Part(TORSO_SIZE_M, (0.0, 0.0, 0.0), TORSO_MASS_KG)
# The hip carries the hip's servo, the thigh the knee's; a bracket reaches up from each to the joint before.
_HIP = _Part(_SERVO_M, (0.0, 0.0, -HIP_M + 0.02), 0.118)
_THIGH = _Part(_SERVO_M, (0.0, 0.0, -THIGH_M + 0.02), 0.118)
_SHANK = _Part((2 * _BONE_RADIUS_M, 2 * _BONE_RADIUS_M, SHANK_M), (0.0, 0.0, -SHANK_M / 2.0), 0.040)


def kitty_urdf(description: RobotDescription) -> str:
    """Return the URDF of the kitty.

    Args:
        description: Twelve joints, abduction, hip and knee of each leg, called `<leg>_<joint>`.
    """
    robot = Urdf(description.name, _COLOURS)
    robot.link("torso", "torso", _TORSO.mass, [_TORSO.box])
    limits = {joint.name: (joint.lower_rad, joint.upper_rad) for joint in description.joints}
    for leg, shoulder in SHOULDERS_M.items():
        parent = "torso"
        for joint, axis, origin, kind, part in (
            ("abduction", (1.0, 0.0, 0.0), shoulder, "hip", _HIP),
            ("hip", (0.0, 1.0, 0.0), (0.0, 0.0, -HIP_M), "thigh", _THIGH),
            ("knee", (0.0, 1.0, 0.0), (0.0, 0.0, -THIGH_M), "shank", _SHANK),
        ):
            name = f"{leg}_{joint}"
            if kind == "shank":
                robot.link(name, kind, part.mass, _shank_shapes())
            else:
                robot.link(name, kind, part.mass, [part.box], [_bracket(part)])
            robot.revolute(name, parent, axis, origin, limits[name])
            parent = name
    return robot.text()


def foot_depth_m(abduction_rad: float, hip_rad: float, knee_rad: float) -> float:
    """Return how far a foot is below its shoulder, m."""
    return math.cos(abduction_rad) * (HIP_M + THIGH_M * math.cos(hip_rad) + SHANK_M * math.cos(hip_rad + knee_rad))


def _bracket(part: _Part) -> Shape:
    """Return what holds a servo: a plate from the joint above to it, for the eye alone."""
    length = -part.centre_m[2]
    return box((_PLATE_M, part.size_m[1] + 2 * _PLATE_M, length), (0.0, 0.0, -length / 2.0))


def _shank_shapes() -> list[Shape]:
    length = SHANK_M - 2 * _FOOT_RADIUS_M
    bone = Shape("cylinder", {"radius": str(_BONE_RADIUS_M), "length": str(length)}, (0.0, 0.0, -length / 2.0))
    return [bone, Shape("sphere", {"radius": str(_FOOT_RADIUS_M)}, (0.0, 0.0, -SHANK_M + _FOOT_RADIUS_M))]
