"""What an episode of a robot on servos draws: a pure function of configuration, description and generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot.description import RobotDescription
from robot.types import MotorConditions
from sim.servo_config import ServoMachineConfig, ServoRobotConfig


@dataclass(frozen=True, slots=True)
class ServoEpisode:
    """The machine of one episode.

    Attributes:
        base_mass_scale: Factor on the base's mass.
        leg_mass_scale: Factor on the masses of the legs.
        inertia_scale: Factor on all inertias but the armature, beside that of the mass.
        foot_friction: Lateral friction of the feet.
        joint_friction_nm: N m.
        motors: What the servos meet.
    """

    base_mass_scale: float
    leg_mass_scale: float
    inertia_scale: float
    foot_friction: float
    joint_friction_nm: float
    motors: MotorConditions


def draw_pose(config: ServoMachineConfig, description: RobotDescription, rng: np.random.Generator) -> tuple[float, ...]:
    """Draw a start pose about home, within the mechanical limits. Shape (n,), rad."""
    joints = description.joints
    noise, home = config.start_pose_noise_rad, np.array([joint.home_rad for joint in joints])
    start = np.clip(
        home + rng.uniform(-noise, noise, len(joints)), [joint.lower_rad for joint in joints], [joint.upper_rad for joint in joints]
    )
    return tuple(start.tolist())


def nominal_motors(config: ServoMachineConfig, supply_v: float, start_rad: tuple[float, ...], noise_seed: int) -> MotorConditions:
    """Return the motors of an episode in which nothing is randomised, as many as there are start angles, rad."""
    return MotorConditions(
        start_rad,
        supply_v,
        (config.motor_strength,) * len(start_rad),
        config.control_latency_s,
        config.sensing_latency_s,
        noise_seed,
        config.gain_scale,
    )


def draw_episode(config: ServoRobotConfig, description: RobotDescription, rng: np.random.Generator) -> ServoEpisode:
    """Draw an episode. The order of the draws is part of what a seed means: append, never insert."""
    joints = len(description.joints)
    noise_seed = int(rng.integers(2**63))
    start_rad = draw_pose(config, description, rng)
    ranges = config.randomise
    if not ranges.enabled:
        motors = nominal_motors(config, description.bus.supply_v, start_rad, noise_seed)
        return ServoEpisode(1.0, 1.0, 1.0, config.foot_friction, config.joint_friction_nm, motors)
    base_mass, leg_mass = (float(rng.uniform(*ranges.mass_scale)) for _ in range(2))
    inertia = float(rng.uniform(*ranges.inertia_scale))
    motors = MotorConditions(
        start_rad,
        strength=tuple((config.motor_strength * rng.uniform(*ranges.motor_strength_scale, joints)).tolist()),
        supply_v=float(rng.uniform(*ranges.supply_v)),
        control_latency_s=float(rng.uniform(*ranges.control_latency_s)),
        sensing_latency_s=float(rng.uniform(*ranges.sensing_latency_s)),
        noise_seed=noise_seed,
        gain_scale=config.gain_scale,
    )
    foot_friction, joint_friction = float(rng.uniform(*ranges.foot_friction)), float(rng.uniform(*ranges.joint_friction_nm))
    return ServoEpisode(base_mass, leg_mass, inertia, foot_friction, joint_friction, motors)
