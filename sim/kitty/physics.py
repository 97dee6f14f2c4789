"""The kitty's body under its servos, in PyBullet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pybullet

from robot.description import RobotDescription
from robot.errors import UsageError
from robot.types import BodyMotion, MotorConditions
from sim.bullet_physics import BulletJoints
from sim.camera import Look, follow
from sim.dynamics import BASE, LinkInertia, put_base, put_joints, remove_damping, scale_masses, set_foot_friction, set_joint_friction
from sim.engine import Vector, open_world, upright
from sim.fall import draw_orientation, let_fall
from sim.ground import slope_quaternion
from sim.kitty.config import KittyConfig
from sim.kitty.model import foot_depth_m, kitty_urdf
from sim.servo_episode import ServoEpisode, draw_episode
from sim.urdf import joint_numbers, load_urdf

# An episode begins with the lowest foot this far above the ground, m: it lands softly while the servos hold the pose.
_CLEARANCE_M = 0.002
# Of a base on a stand: a leg is 0.292 m long.
_STAND_M = 0.5
# Joints of a leg, in the order of the description.
_PER_LEG = 3


class KittyPhysics:
    """Implements MotorPhysics over a world with a kitty in it, standing above the ground until the first `reset`.

    Args:
        config: Of the robot.
        description: Of the robot: names, limits and home pose.

    Raises:
        UsageError: If a window is asked for and there is no display.
    """

    def __init__(self, config: KittyConfig, description: RobotDescription) -> None:
        self._config = config
        self._description = description
        client = open_world(config)
        body = _load(client, config, description)
        joints = joint_numbers(client, body)
        self._numbers = tuple(joints[name] for name in description.joint_names)
        knees = slice(_PER_LEG - 1, None, _PER_LEG)
        names = [name.removesuffix("_knee") for name in description.joint_names[knees]]
        self._feet = {name: (number,) for name, number in zip(names, self._numbers[knees], strict=True)}
        self._links = _inertias(client, body, self._numbers, config.armature_kg_m2)
        self.world = BulletJoints(client, body, self._numbers, config.physics_hz)
        remove_damping(client, body, self._numbers)
        self._snapshot: int = pybullet.saveState(physicsClientId=client)
        self.reset(np.random.default_rng(0))

    @property
    def step_s(self) -> float:
        return self.world.step_s

    @property
    def episode(self) -> ServoEpisode:
        """What the newest reset drew."""
        return self._episode

    @property
    def links(self) -> tuple[LinkInertia, ...]:
        """Nominal masses and inertias of base and links."""
        return self._links

    @property
    def feet(self) -> dict[str, tuple[int]]:
        """Link of each foot, the shank whose end it is, by the name of its leg."""
        return self._feet

    def look(self) -> Look:
        """Return the view of a camera that goes along."""
        return follow(self.world)

    def joints(self) -> Sequence[Sequence[float]]:
        return self.world.states()

    def step(self, torques_nm: Sequence[float]) -> None:
        self.world.step(torques_nm)

    def body(self) -> BodyMotion:
        return self.world.motion()

    def upright(self) -> float:
        """Return the cosine between the vertical axes of base and ground."""
        return upright(self.body().quaternion, slope_quaternion(self._config.ground))

    def intact(self) -> bool:
        """Return True: there are no linkages."""
        return True

    def jam(self, joint: int, *, on: bool) -> None:
        """Block a joint where it is, or free it."""
        self.world.jam(joint, on=on)

    def push(self, force_world_n: Vector, steps: int) -> None:
        """Pull at the base's centre for a number of physics steps from now. Shape (3,), N, world frame."""
        self.world.push(force_world_n, steps)

    def reset(self, rng: np.random.Generator) -> MotorConditions:
        """Draw a machine and a pose; put it, at rest, just above the ground."""
        motors = self._draw(rng)
        self._place(motors.start_rad)
        return motors

    def drop(self, rng: np.random.Generator) -> MotorConditions:
        """Draw a machine, any pose and any orientation; the robot falls from just above the ground.

        Raises:
            UsageError: If it is bolted to a stand.
        """
        if self._config.stand:
            raise UsageError("a robot on a stand cannot fall: set stand to false")
        client, body = self.world.client, self.world.body
        motors = self._draw(rng)
        joints = self._description.joints
        pose = rng.uniform([joint.lower_rad for joint in joints], [joint.upper_rad for joint in joints]).tolist()
        let_fall(client, body, self._numbers, pose, draw_orientation(rng), self._config.ground)
        set_joint_friction(client, body, self._numbers, self._episode.joint_friction_nm)
        return replace(motors, start_rad=tuple(pose))

    def _draw(self, rng: np.random.Generator) -> MotorConditions:
        """Go back to the snapshot with a new machine."""
        client, body = self.world.client, self.world.body
        self._episode = episode = draw_episode(self._config, self._description, rng)
        pybullet.restoreState(stateId=self._snapshot, physicsClientId=client)
        self.world.push((0.0, 0.0, 0.0), 0)
        set_joint_friction(client, body, self._numbers, episode.joint_friction_nm)
        scale_masses(
            client,
            body,
            self._links,
            base_scale=episode.base_mass_scale,
            leg_scale=episode.leg_mass_scale,
            inertia_scale=episode.inertia_scale,
        )
        set_foot_friction(client, body, [link for (link,) in self._feet.values()], episode.foot_friction)
        return episode.motors

    def put(self, position_rad: Sequence[float], velocity_rad_s: Sequence[float], base: BodyMotion | None) -> None:
        """Put the machine of the newest reset into a state, as if nothing had touched it before.

        Args:
            position_rad: Shape (12,), rad.
            velocity_rad_s: Shape (12,), rad/s.
            base: Where the base is and how it moves; None leaves it on its stand.
        """
        client, body = self.world.client, self.world.body
        pybullet.restoreState(stateId=self._snapshot, physicsClientId=client)
        self._place(position_rad)
        put_joints(client, body, self._numbers, position_rad, velocity_rad_s)
        if base is not None:
            put_base(client, body, base)

    def close(self) -> None:
        """Disconnect from PyBullet; once."""
        self.world.close()

    def _place(self, pose_rad: Sequence[float]) -> None:
        client, body = self.world.client, self.world.body
        for joint, angle in zip(self._numbers, pose_rad, strict=True):
            pybullet.resetJointState(body, joint, angle, physicsClientId=client)
        legs = (pose_rad[first : first + _PER_LEG] for first in range(0, len(pose_rad), _PER_LEG))
        height = _STAND_M if self._config.stand else max(foot_depth_m(*leg) for leg in legs) + _CLEARANCE_M
        orientation = slope_quaternion(self._config.ground)
        above = pybullet.rotateVector(orientation, (0.0, 0.0, height), physicsClientId=client)
        pybullet.resetBasePositionAndOrientation(body, above, orientation, physicsClientId=client)


def _load(client: int, config: KittyConfig, description: RobotDescription) -> int:
    flags = pybullet.URDF_USE_SELF_COLLISION | pybullet.URDF_USE_SELF_COLLISION_EXCLUDE_PARENT if config.self_collision else 0
    # High enough that nothing touches: contacts of a snapshot would be those of another pose.
    return load_urdf(client, kitty_urdf(description), (0.0, 0.0, 1.0), fixed=config.stand, flags=flags)


def _inertias(client: int, body: int, joints: Sequence[int], armature_kg_m2: float) -> tuple[LinkInertia, ...]:
    """Return the nominal inertias; PyBullet has no armature, so the moving link of each joint carries it."""
    nominal = []
    for link in (BASE, *joints):
        mass, _, inertia, *_ = pybullet.getDynamicsInfo(body, link, physicsClientId=client)
        axis = (0.0, 0.0, 0.0) if link == BASE else pybullet.getJointInfo(body, link, physicsClientId=client)[13]
        nominal.append(LinkInertia(link, mass, inertia, tuple(abs(part) * armature_kg_m2 for part in axis)))
    return tuple(nominal)
