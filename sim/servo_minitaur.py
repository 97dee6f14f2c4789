"""The Minitaur's frame on Dynamixel servos: its world with the motors of `configs/robots/minitaur.yaml` in place of the stock ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pybullet

from robot.description import RobotDescription
from robot.types import BodyMotion, MotorConditions
from sim.bullet_physics import BulletJoints
from sim.camera import Look, follow
from sim.dynamics import put_base, scale_masses, set_foot_friction, set_joint_friction
from sim.engine import Vector, upright
from sim.fall import draw_linkages, draw_orientation, intact, let_fall
from sim.ground import slope_quaternion
from sim.linkage import put_legs
from sim.model import DIRECTIONS, feet_of, to_joints
from sim.servo_config import ServoRobotConfig
from sim.servo_episode import ServoEpisode, draw_episode
from sim.world import build_world

# Height of the base above the ground at the pose in which the linkages close, m: it stands 0.157 m high there (measured).
_START_HEIGHT_M = 0.165


class DynamixelMinitaurConfig(ServoRobotConfig):
    """The simulated Minitaur on the servos of `configs/robots/minitaur.yaml`."""

    kind: Literal["minitaur_dynamixel"] = "minitaur_dynamixel"


class DynamixelMinitaurPhysics:
    """Implements MotorPhysics over the Minitaur's world; angles are the motors', as `SimulatedMinitaur` has them.

    Masses are the stock robot's: its motors weigh 0.25 kg, a Dynamixel 0.08 to 0.17 kg.

    Args:
        config: Of the robot.
        description: Of the robot: limits and home pose.

    Raises:
        UsageError: If a window is asked for and there is no display.
    """

    def __init__(self, config: DynamixelMinitaurConfig, description: RobotDescription) -> None:
        self._config = config
        self._description = description
        self._ground = slope_quaternion(config.ground)
        world = build_world(config)
        self._motors, self._knees, self._links = world.motors, world.knees, world.inertias
        self.world = BulletJoints(world.client, world.body, world.motors, config.physics_hz)
        above = pybullet.rotateVector(self._ground, (0.0, 0.0, _START_HEIGHT_M), physicsClientId=world.client)
        pybullet.resetBasePositionAndOrientation(world.body, above, self._ground, physicsClientId=world.client)
        self._snapshot: int = pybullet.saveState(physicsClientId=world.client)
        self.reset(np.random.default_rng(0))

    @property
    def step_s(self) -> float:
        return self.world.step_s

    @property
    def episode(self) -> ServoEpisode:
        """What the newest reset drew."""
        return self._episode

    @property
    def feet(self) -> dict[str, tuple[int, ...]]:
        """Links of each foot, by the name of its leg."""
        return feet_of(self._knees)

    def look(self) -> Look:
        """Return the view of a camera that goes along."""
        return follow(self.world)

    def joints(self) -> Sequence[Sequence[float]]:
        states = self.world.states()
        return [(direction * state[0], direction * state[1]) for direction, state in zip(DIRECTIONS, states, strict=True)]

    def step(self, torques_nm: Sequence[float]) -> None:
        self.world.step([direction * torque for direction, torque in zip(DIRECTIONS, torques_nm, strict=True)])

    def body(self) -> BodyMotion:
        return self.world.motion()

    def upright(self) -> float:
        """Return the cosine between the vertical axes of base and ground."""
        return upright(self.body().quaternion, self._ground)

    def intact(self) -> bool:
        """Tell whether each leg is within its range and has not turned inside out."""
        return intact(self.world.client, self.world.body, self._motors, self._knees)

    def jam(self, joint: int, *, on: bool) -> None:
        """Block a joint where it is, or free it."""
        self.world.jam(joint, on=on)

    def push(self, force_world_n: Vector, steps: int) -> None:
        """Pull at the base's centre for a number of physics steps from now. Shape (3,), N, world frame."""
        self.world.push(force_world_n, steps)

    def reset(self, rng: np.random.Generator) -> MotorConditions:
        """Draw a machine and a pose; the robot hangs just above the ground with its linkages closed, and its servos drive to the pose."""
        return self._draw(rng)

    def drop(self, rng: np.random.Generator) -> MotorConditions:
        """Draw a machine, any pose and any orientation; the robot falls from just above the ground."""
        client, body = self.world.client, self.world.body
        motors = self._draw(rng)
        joints = self._description.joints
        pose = draw_linkages(rng, [joint.lower_rad for joint in joints], [joint.upper_rad for joint in joints])
        let_fall(client, body, self._motors, to_joints(pose), draw_orientation(rng), self._config.ground)
        set_joint_friction(client, body, self._motors, self._episode.joint_friction_nm)
        return replace(motors, start_rad=pose)

    def _draw(self, rng: np.random.Generator) -> MotorConditions:
        """Go back to the snapshot with a new machine."""
        client, body = self.world.client, self.world.body
        self._episode = episode = draw_episode(self._config, self._description, rng)
        pybullet.restoreState(stateId=self._snapshot, physicsClientId=client)
        self.world.push((0.0, 0.0, 0.0), 0)
        set_joint_friction(client, body, self._motors, episode.joint_friction_nm)
        # Bearings.
        set_joint_friction(client, body, self._knees, 0.0)
        scale_masses(
            client,
            body,
            self._links,
            base_scale=episode.base_mass_scale,
            leg_scale=episode.leg_mass_scale,
            inertia_scale=episode.inertia_scale,
        )
        set_foot_friction(client, body, self._knees, episode.foot_friction)
        return episode.motors

    def put(self, position_rad: Sequence[float], velocity_rad_s: Sequence[float], base: BodyMotion | None) -> None:
        """Put the machine of the newest reset into a state, as if nothing had touched it before.

        Args:
            position_rad: Of the motors, shape (8,), rad; knees are where the linkages close.
            velocity_rad_s: Shape (8,), rad/s.
            base: Where the base is and how it moves; None leaves it in the air, where it is built.
        """
        client, body = self.world.client, self.world.body
        pybullet.restoreState(stateId=self._snapshot, physicsClientId=client)
        put_legs(client, body, self._motors, self._knees, position_rad, velocity_rad_s)
        if base is not None:
            put_base(client, body, base)

    def close(self) -> None:
        """Disconnect from PyBullet; once."""
        self.world.close()
