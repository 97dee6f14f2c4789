"""The kitty as a URDF made of boxes, cylinders and spheres; names and joint limits are those of its description.

Dimensions and masses: ROBEL's D'Kitty (https://github.com/google-research/robel), turned into our frame: x forward, y left, z up. Where
the mass of a link sits is not told there: boxes of the size of a servo stand where the servos are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree import ElementTree

from robot.description import RobotDescription

Vector = tuple[float, float, float]

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


@dataclass(frozen=True, slots=True)
class _Box:
    """A box with the mass of a whole link."""

    size_m: Vector
    centre_m: Vector
    mass_kg: float

    @property
    def inertia_kg_m2(self) -> Vector:
        x, y, z = (side * side * self.mass_kg / 12.0 for side in self.size_m)
        return y + z, x + z, x + y


_TORSO = _Box(TORSO_SIZE_M, (0.0, 0.0, 0.0), TORSO_MASS_KG)
# The hip carries the hip's servo, the thigh the knee's; a bracket reaches up from each to the joint before.
_HIP = _Box(_SERVO_M, (0.0, 0.0, -HIP_M + 0.02), 0.118)
_THIGH = _Box(_SERVO_M, (0.0, 0.0, -THIGH_M + 0.02), 0.118)
_SHANK = _Box((2 * _BONE_RADIUS_M, 2 * _BONE_RADIUS_M, SHANK_M), (0.0, 0.0, -SHANK_M / 2.0), 0.040)


def kitty_urdf(description: RobotDescription) -> str:
    """Return the URDF of the kitty.

    Args:
        description: Twelve joints, abduction, hip and knee of each leg, called `<leg>_<joint>`.
    """
    robot = ElementTree.Element("robot", name=description.name)
    for part, colour in _COLOURS.items():
        ElementTree.SubElement(ElementTree.SubElement(robot, "material", name=part), "color", rgba=colour)
    _link(robot, "torso", "torso", _TORSO, [_box(_TORSO)], [])
    limits = {joint.name: (joint.lower_rad, joint.upper_rad) for joint in description.joints}
    for leg, shoulder in SHOULDERS_M.items():
        parent = "torso"
        for joint, axis, origin, part, box in (
            ("abduction", "1 0 0", shoulder, "hip", _HIP),
            ("hip", "0 1 0", (0.0, 0.0, -HIP_M), "thigh", _THIGH),
            ("knee", "0 1 0", (0.0, 0.0, -THIGH_M), "shank", _SHANK),
        ):
            name = f"{leg}_{joint}"
            shapes = _shank_shapes() if part == "shank" else [_box(box)]
            _link(robot, name, part, box, shapes, [] if part == "shank" else [_bracket(box)])
            _joint(robot, name, parent, axis, origin, limits[name])
            parent = name
    # PyBullet cuts lines at some length.
    ElementTree.indent(robot)
    return ElementTree.tostring(robot, encoding="unicode")


def foot_depth_m(abduction_rad: float, hip_rad: float, knee_rad: float) -> float:
    """Return how far a foot is below its shoulder, m."""
    return math.cos(abduction_rad) * (HIP_M + THIGH_M * math.cos(hip_rad) + SHANK_M * math.cos(hip_rad + knee_rad))


Shape = tuple[str, dict[str, str], Vector]


def _box(box: _Box) -> Shape:
    return "box", {"size": _words(box.size_m)}, box.centre_m


def _bracket(box: _Box) -> Shape:
    """Return what holds a servo: a plate from the joint above to it, for the eye alone."""
    length = -box.centre_m[2]
    return "box", {"size": _words((_PLATE_M, box.size_m[1] + 2 * _PLATE_M, length))}, (0.0, 0.0, -length / 2.0)


def _shank_shapes() -> list[Shape]:
    length = SHANK_M - 2 * _FOOT_RADIUS_M
    bone: Shape = ("cylinder", {"radius": str(_BONE_RADIUS_M), "length": str(length)}, (0.0, 0.0, -length / 2.0))
    return [bone, ("sphere", {"radius": str(_FOOT_RADIUS_M)}, (0.0, 0.0, -SHANK_M + _FOOT_RADIUS_M))]


def _link(robot: ElementTree.Element, name: str, part: str, box: _Box, solid: list[Shape], seen: list[Shape]) -> None:
    link = ElementTree.SubElement(robot, "link", name=name)
    inertial = ElementTree.SubElement(link, "inertial")
    ElementTree.SubElement(inertial, "origin", xyz=_words(box.centre_m))
    ElementTree.SubElement(inertial, "mass", value=str(box.mass_kg))
    ixx, iyy, izz = map(str, box.inertia_kg_m2)
    ElementTree.SubElement(inertial, "inertia", ixx=ixx, iyy=iyy, izz=izz, ixy="0", ixz="0", iyz="0")
    for role, shapes in (("collision", solid), ("visual", solid + seen)):
        for kind, size, centre in shapes:
            element = ElementTree.SubElement(link, role)
            ElementTree.SubElement(element, "origin", xyz=_words(centre))
            ElementTree.SubElement(ElementTree.SubElement(element, "geometry"), kind, size)
            if role == "visual":
                ElementTree.SubElement(element, "material", name=part)


def _joint(robot: ElementTree.Element, name: str, parent: str, axis: str, origin: Vector, limits: tuple[float, float]) -> None:
    joint = ElementTree.SubElement(robot, "joint", name=name, type="revolute")
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=name)
    ElementTree.SubElement(joint, "origin", xyz=_words(origin))
    ElementTree.SubElement(joint, "axis", xyz=axis)
    # The servo bounds torque and speed.
    ElementTree.SubElement(joint, "limit", lower=str(limits[0]), upper=str(limits[1]), effort="1000", velocity="1000")


def _words(vector: Vector) -> str:
    return " ".join(map(str, vector))
