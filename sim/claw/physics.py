"""The claw and its valve under their servos, in PyBullet: nine joints of the fingers, then the valve's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pybullet

from robot.description import RobotDescription
from robot.errors import UsageError
from robot.fingers import PER_FINGER
from robot.types import BodyMotion, MotorConditions
from sim.bullet_physics import BulletJoints
from sim.camera import Look
from sim.claw.config import ClawConfig
from sim.claw.model import PALM_HEIGHT_M, claw_urdf, turning_links, valve_urdf
from sim.claw.view import ClawView
from sim.dynamics import BASE, remove_damping, set_joint_friction
from sim.engine import Vector, open_world
from sim.ground import PLANE
from sim.servo_episode import draw_pose, nominal_motors
from sim.urdf import joint_numbers, load_urdf

# The palm hangs: its frame is turned by half a turn about x.
_UPSIDE_DOWN = (1.0, 0.0, 0.0, 0.0)
# Place of the valve's joint behind those of the fingers, from the end.
_VALVE = -1


@dataclass(frozen=True, slots=True)
class ClawEpisode:
    """The machine of one episode.

    Attributes:
        joint_friction_nm: N m.
        tip_friction: Of the fingertips.
        valve_density_scale: Factor on the valve's masses.
        valve_damping_nm_s: Of its hinge, N m per rad/s.
        valve_friction_nm: Of its hinge, N m.
        motors: What the servos meet, that of the valve last.
    """

    joint_friction_nm: float
    tip_friction: float
    valve_density_scale: float
    valve_damping_nm_s: float
    valve_friction_nm: float
    motors: MotorConditions


class ClawPhysics:
    """Implements MotorPhysics over a world with a claw above a valve, its palm bolted down.

    Args:
        config: Of the robot.
        description: Of the robot: fingers, names, limits and home pose, and one auxiliary motor, the valve's.

    Raises:
        UsageError: If the description is not that of a claw over one valve, or a window is asked for and there is no display.
    """

    def __init__(self, config: ClawConfig, description: RobotDescription) -> None:
        if len(description.auxiliary) != 1:
            raise UsageError(f"the claw turns one valve, and {description.name} has {len(description.auxiliary)} auxiliary motors")
        self._config = config
        self._description = description
        client = open_world(config)
        flags = pybullet.URDF_USE_SELF_COLLISION | pybullet.URDF_USE_SELF_COLLISION_EXCLUDE_PARENT if config.self_collision else 0
        claw = load_urdf(client, claw_urdf(description), (0.0, 0.0, PALM_HEIGHT_M), fixed=True, flags=flags)
        pybullet.resetBasePositionAndOrientation(claw, (0.0, 0.0, PALM_HEIGHT_M), _UPSIDE_DOWN, physicsClientId=client)
        numbers = joint_numbers(client, claw)
        self._numbers = tuple(numbers[name] for name in description.joint_names)
        self._tips = self._numbers[PER_FINGER - 1 :: PER_FINGER]
        self.world = BulletJoints(client, claw, self._numbers, config.physics_hz)
        self._valve = load_urdf(client, valve_urdf(config.valve.lobes, config.valve.density_kg_m3), (0.0, 0.0, 0.0), fixed=True)
        links = joint_numbers(client, self._valve)
        self._hinge = links["valve"]
        self._lobes = tuple(links[name] for name in turning_links(config.valve.lobes))
        for body, joints in ((claw, self._numbers), (self._valve, self._lobes)):
            remove_damping(client, body, joints)
        self._add_armature()
        self._view = self._first_view()
        self._masses = [pybullet.getDynamicsInfo(self._valve, link, physicsClientId=client)[:3:2] for link in self._lobes]
        self._turning_nm, self._turning_steps = 0.0, 0
        self._valve_rate = 0.0
        # At home, so that nothing touches in the snapshot: contacts there would be those of another pose.
        for joint, described in zip(self._numbers, description.joints, strict=True):
            pybullet.resetJointState(claw, joint, described.home_rad, physicsClientId=client)
        self._snapshot: int = pybullet.saveState(physicsClientId=client)
        self.reset(np.random.default_rng(0))

    @property
    def step_s(self) -> float:
        return self.world.step_s

    @property
    def episode(self) -> ClawEpisode:
        """What the newest reset drew."""
        return self._episode

    @property
    def feet(self) -> Mapping[str, Sequence[int]]:
        """A claw has none."""
        return {}

    def look(self) -> Look:
        """Return where the camera of this episode stands."""
        return self._view.look

    def joints(self) -> Sequence[Sequence[float]]:
        valve = pybullet.getJointState(self._valve, self._hinge, self.world.client)
        self._valve_rate = valve[1]
        return (*self.world.states(), valve)

    def step(self, torques_nm: Sequence[float]) -> None:
        turning_nm = torques_nm[_VALVE] - self._episode.valve_damping_nm_s * self._valve_rate
        if self._turning_steps:
            self._turning_steps -= 1
            turning_nm += self._turning_nm
        pybullet.setJointMotorControl2(
            self._valve, self._hinge, pybullet.TORQUE_CONTROL, force=turning_nm, physicsClientId=self.world.client
        )
        self.world.step(torques_nm[:_VALVE])

    def body(self) -> BodyMotion | None:
        """Return None: the palm is bolted down."""
        return None

    def upright(self) -> float:
        """Return 1: it cannot tilt."""
        return 1.0

    def intact(self) -> bool:
        """Return True: there are no linkages."""
        return True

    def jam(self, joint: int, *, on: bool) -> None:
        """Block a joint of the fingers where it is, or free it."""
        self.world.jam(joint, on=on)

    def push(self, force_world_n: Vector, steps: int) -> None:
        """Raise UsageError: the palm is bolted down."""
        raise UsageError("a claw is bolted down, and a push moves nothing: turn its valve, or push a robot on legs")

    def turn_valve(self, torque_nm: float, steps: int) -> None:
        """Let a hand turn at the valve for a number of physics steps from now, N m; a later call replaces this one."""
        self._turning_nm, self._turning_steps = torque_nm, steps

    def reset(self, rng: np.random.Generator) -> MotorConditions:
        """Draw a machine, a pose of the fingers about home and an angle of the valve; put both there, at rest."""
        client, claw = self.world.client, self.world.body
        self._episode = episode = draw_episode(self._config, self._description, rng)
        pybullet.restoreState(stateId=self._snapshot, physicsClientId=client)
        self._turning_steps = 0
        # Of its own, so that what is seen changes nothing of what happens.
        self._view.draw(np.random.default_rng(episode.motors.noise_seed))
        set_joint_friction(client, claw, self._numbers, episode.joint_friction_nm)
        set_joint_friction(client, self._valve, (self._hinge,), episode.valve_friction_nm)
        for tip in self._tips:
            pybullet.changeDynamics(claw, tip, lateralFriction=episode.tip_friction, physicsClientId=client)
        for link, (mass, inertia) in zip(self._lobes, self._masses, strict=True):
            scale = episode.valve_density_scale
            armature = self._config.armature_kg_m2 if link == self._hinge else 0.0
            moments = [scale * inertia[0], scale * inertia[1], scale * inertia[2] + armature]
            pybullet.changeDynamics(self._valve, link, mass=scale * mass, lateralFriction=1.0, physicsClientId=client)
            # A call of its own: setting a mass computes the inertia anew from the shape.
            pybullet.changeDynamics(self._valve, link, localInertiaDiagonal=moments, physicsClientId=client)
        *fingers, valve = episode.motors.start_rad
        for joint, angle in zip(self._numbers, fingers, strict=True):
            pybullet.resetJointState(claw, joint, angle, physicsClientId=client)
        pybullet.resetJointState(self._valve, self._hinge, valve, physicsClientId=client)
        return episode.motors

    def drop(self, rng: np.random.Generator) -> MotorConditions:
        """Raise UsageError: the palm is bolted down."""
        raise UsageError("a claw is bolted down and cannot fall: set fallen to false, or use a robot on legs")

    def close(self) -> None:
        """Disconnect from PyBullet; once."""
        self.world.close()

    def _first_view(self) -> ClawView:
        hub, coloured, *others = self._lobes
        claw, valve = self.world.body, self._valve
        fingers = [(claw, BASE), *((claw, link) for link in self._numbers)]
        plain = [(valve, link) for link in (BASE, hub, *others)]
        return ClawView(self._config.view, self.world.client, (valve, coloured), plain, fingers, (PLANE, BASE))

    def _add_armature(self) -> None:
        """Let the moving link of each joint carry its rotor: PyBullet has no armature. Moments are about axes along and across a finger."""
        for place, link in enumerate(self._numbers):
            inertia = list(pybullet.getDynamicsInfo(self.world.body, link, physicsClientId=self.world.client)[2])
            inertia[0 if place % PER_FINGER == 0 else 1] += self._config.armature_kg_m2
            pybullet.changeDynamics(self.world.body, link, localInertiaDiagonal=inertia, physicsClientId=self.world.client)


def draw_episode(config: ClawConfig, description: RobotDescription, rng: np.random.Generator) -> ClawEpisode:
    """Draw an episode. The order of the draws is part of what a seed means: append, never insert."""
    motors = len(description.motors)
    noise_seed = int(rng.integers(2**63))
    spread = config.valve.start_spread_rad
    start_rad = (*draw_pose(config, description, rng), float(rng.uniform(-spread, spread)))
    supply_v, ranges = description.bus.supply_v, config.randomise
    if not ranges.enabled:
        conditions = nominal_motors(config, supply_v, start_rad, noise_seed)
        return ClawEpisode(
            config.joint_friction_nm, config.tip_friction, 1.0, config.valve.damping_nm_s, config.valve.friction_nm, conditions
        )
    strength = tuple((config.motor_strength * rng.uniform(*ranges.motor_strength_scale, motors)).tolist())
    gain, control_s, sensing_s, joint_nm, tip, density, damping, friction = (
        float(rng.uniform(*spread))
        for spread in (
            ranges.gain_scale,
            ranges.control_latency_s,
            ranges.sensing_latency_s,
            ranges.joint_friction_nm,
            ranges.tip_friction,
            ranges.valve_density_scale,
            ranges.valve_damping_nm_s,
            ranges.valve_friction_nm,
        )
    )
    conditions = MotorConditions(start_rad, supply_v, strength, control_s, sensing_s, noise_seed, gain * config.gain_scale)
    return ClawEpisode(joint_nm, tip, density, damping, friction, conditions)
