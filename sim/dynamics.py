"""What may be set of a loaded body: where it is, and what `restoreState` leaves alone: masses, inertias, friction in joints and of feet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pybullet

from robot.types import BodyMotion

BASE = -1

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class LinkInertia:
    """Nominal mass and inertia of a link.

    Attributes:
        link: Its number; -1 is the base.
        mass_kg: kg.
        inertia_kg_m2: Principal inertias, kg m^2.
        armature_kg_m2: What the turning parts of its motor add, which no randomisation scales, kg m^2.
    """

    link: int
    mass_kg: float
    inertia_kg_m2: Vector
    armature_kg_m2: Vector = (0.0, 0.0, 0.0)


def scale_masses(
    client: int, body: int, links: Sequence[LinkInertia], *, base_scale: float, leg_scale: float, inertia_scale: float
) -> None:
    """Set the masses and inertias of all links anew from the nominal ones; an inertia follows its mass, with its own scale on top."""
    for nominal in links:
        scale = base_scale if nominal.link == BASE else leg_scale
        pairs = zip(nominal.inertia_kg_m2, nominal.armature_kg_m2, strict=True)
        inertia = [value * scale * inertia_scale + armature for value, armature in pairs]
        pybullet.changeDynamics(body, nominal.link, mass=nominal.mass_kg * scale, physicsClientId=client)
        # A call of its own: setting a mass computes the inertia anew from the shape.
        pybullet.changeDynamics(body, nominal.link, localInertiaDiagonal=inertia, physicsClientId=client)


def set_joint_friction(client: int, body: int, joints: Sequence[int], friction_nm: float) -> None:
    """Give joints Coulomb friction: a velocity motor to 0 of bounded force. It also releases them from PyBullet's default motor."""
    for joint in joints:
        pybullet.setJointMotorControl2(
            body, joint, pybullet.VELOCITY_CONTROL, targetVelocity=0.0, force=friction_nm, physicsClientId=client
        )


def set_foot_friction(client: int, body: int, feet: Sequence[int], friction: float) -> None:
    """Set the lateral friction of links; the ground's is 1 and the two multiply."""
    for foot in feet:
        pybullet.changeDynamics(body, foot, lateralFriction=friction, physicsClientId=client)


def remove_damping(client: int, body: int, links: Sequence[int]) -> None:
    """Take away the drag of air that PyBullet gives to everything that moves."""
    for link in (BASE, *links):
        pybullet.changeDynamics(body, link, linearDamping=0.0, angularDamping=0.0, physicsClientId=client)


def put_joints(client: int, body: int, joints: Sequence[int], position_rad: Sequence[float], velocity_rad_s: Sequence[float]) -> None:
    """Put joints to angles and velocities as PyBullet counts them. Shapes (n,), rad and rad/s."""
    for joint, angle, rate in zip(joints, position_rad, velocity_rad_s, strict=True):
        pybullet.resetJointState(body, joint, angle, rate, physicsClientId=client)


def put_base(client: int, body: int, base: BodyMotion) -> None:
    """Put the base of a body to where it is to be, moving as it is to move."""
    pybullet.resetBasePositionAndOrientation(body, base.position_world_m, base.quaternion, physicsClientId=client)
    pybullet.resetBaseVelocity(body, base.velocity_world_m_s, base.angular_velocity_world_rad_s, physicsClientId=client)
