"""URDF made in memory: links with their inertia and shapes, joints between them. What our own robots are written with."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pybullet

from sim.engine import Vector
from sim.quiet import silent

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True)
class Shape:
    """A piece of a link.

    Attributes:
        kind: box, cylinder, sphere or capsule, as URDF has them; the axis of round ones is z.
        size: Their attributes.
        centre_m: In the link's frame.
        turned_rad: Roll, pitch and yaw of it there.
    """

    kind: str
    size: Attributes
    centre_m: Vector = (0.0, 0.0, 0.0)
    turned_rad: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Mass:
    """What a link weighs, kg, where, m, and its principal moments there, kg m^2, about axes of this roll, pitch and yaw, rad."""

    mass_kg: float
    centre_m: Vector
    inertia_kg_m2: Vector
    turned_rad: Vector = (0.0, 0.0, 0.0)


def box(size_m: Vector, centre_m: Vector = (0.0, 0.0, 0.0), turned_rad: Vector = (0.0, 0.0, 0.0)) -> Shape:
    """Return a box with these sides, m."""
    return Shape("box", {"size": words(size_m)}, centre_m, turned_rad)


def box_mass(mass_kg: float, size_m: Vector, centre_m: Vector = (0.0, 0.0, 0.0), turned_rad: Vector = (0.0, 0.0, 0.0)) -> Mass:
    """Return the mass of a solid box."""
    x, y, z = (side * side * mass_kg / 12.0 for side in size_m)
    return Mass(mass_kg, centre_m, (y + z, x + z, x + y), turned_rad)


class Urdf:
    """A robot that is being written.

    Args:
        name: Of the robot.
        colours: Materials by name, red, green, blue and alpha as URDF writes them.
    """

    def __init__(self, name: str, colours: dict[str, str]) -> None:
        self._robot = ElementTree.Element("robot", name=name)
        for part, colour in colours.items():
            ElementTree.SubElement(ElementTree.SubElement(self._robot, "material", name=part), "color", rgba=colour)

    def link(self, name: str, material: str, mass: Mass, solid: list[Shape], seen: list[Shape] | None = None) -> None:
        """Add a link; `seen` are shapes for the eye alone, beside the solid ones."""
        link = ElementTree.SubElement(self._robot, "link", name=name)
        inertial = ElementTree.SubElement(link, "inertial")
        ElementTree.SubElement(inertial, "origin", xyz=words(mass.centre_m), rpy=words(mass.turned_rad))
        ElementTree.SubElement(inertial, "mass", value=str(mass.mass_kg))
        ixx, iyy, izz = map(str, mass.inertia_kg_m2)
        ElementTree.SubElement(inertial, "inertia", ixx=ixx, iyy=iyy, izz=izz, ixy="0", ixz="0", iyz="0")
        for role, shapes in (("collision", solid), ("visual", solid + (seen or []))):
            for shape in shapes:
                element = ElementTree.SubElement(link, role)
                ElementTree.SubElement(element, "origin", xyz=words(shape.centre_m), rpy=words(shape.turned_rad))
                ElementTree.SubElement(ElementTree.SubElement(element, "geometry"), shape.kind, shape.size)
                if role == "visual":
                    ElementTree.SubElement(element, "material", name=material)

    def revolute(
        self,
        name: str,
        parent: str,
        axis: Vector,
        origin_m: Vector,
        limits_rad: tuple[float, float] | None,
        turned_rad: Vector = (0.0, 0.0, 0.0),
    ) -> None:
        """Add a joint that turns, to the link of its name; without limits it turns without end."""
        kind = "continuous" if limits_rad is None else "revolute"
        joint = self._joint(name, parent, kind, origin_m, turned_rad)
        ElementTree.SubElement(joint, "axis", xyz=words(axis))
        if limits_rad is not None:
            # The servo bounds torque and speed.
            ElementTree.SubElement(joint, "limit", lower=str(limits_rad[0]), upper=str(limits_rad[1]), effort="1000", velocity="1000")

    def fixed(self, name: str, parent: str, origin_m: Vector, turned_rad: Vector = (0.0, 0.0, 0.0)) -> None:
        """Bolt the link of this name to another."""
        self._joint(name, parent, "fixed", origin_m, turned_rad)

    def _joint(self, name: str, parent: str, kind: str, origin_m: Vector, turned_rad: Vector) -> ElementTree.Element:
        joint = ElementTree.SubElement(self._robot, "joint", name=name, type=kind)
        ElementTree.SubElement(joint, "parent", link=parent)
        ElementTree.SubElement(joint, "child", link=name)
        ElementTree.SubElement(joint, "origin", xyz=words(origin_m), rpy=words(turned_rad))
        return joint

    def text(self) -> str:
        """Return the file; PyBullet cuts lines at some length."""
        ElementTree.indent(self._robot)
        return ElementTree.tostring(self._robot, encoding="unicode")


def load_urdf(client: int, text: str, position_m: Vector, *, fixed: bool, flags: int = 0) -> int:
    """Load a robot and return its body number. Inertias are the file's: those of the shapes would leave out what is only seen."""
    flags |= pybullet.URDF_USE_INERTIA_FROM_FILE
    # PyBullet moves the base of a robot that is bolted down all the same, where it is told to.
    with tempfile.TemporaryDirectory() as folder, silent(1):
        path = Path(folder) / "robot.urdf"
        path.write_text(text, encoding="utf-8")
        return int(pybullet.loadURDF(str(path), position_m, useFixedBase=fixed, flags=flags, physicsClientId=client))


def joint_numbers(client: int, body: int) -> dict[str, int]:
    """Return the number of each joint, and of the link behind it, by its name."""
    infos = (pybullet.getJointInfo(body, joint, client) for joint in range(pybullet.getNumJoints(body, client)))
    return {info[1].decode(): info[0] for info in infos}


def words(vector: Vector) -> str:
    """Return a vector as URDF writes it."""
    return " ".join(map(str, vector))
