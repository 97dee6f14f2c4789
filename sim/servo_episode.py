"""What an episode of a robot on servos draws: a pure function of configuration, description and generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot.description import RobotDescription
from robot.types import MotorConditions
from sim.servo_config import ServoRobotConfig


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


def draw_episode(config: ServoRobotConfig, description: RobotDescription, rng: np.random.Generator) -> ServoEpisode:
    """Draw an episode. The order of the draws is part of what a seed means: append, never insert."""
    joints = len(description.joints)
    noise_seed = int(rng.integers(2**63))
    home = np.array([joint.home_rad for joint in description.joints])
    noise = config.start_pose_noise_rad
    start = np.clip(
        home + rng.uniform(-noise, noise, joints),
        [joint.lower_rad for joint in description.joints],
        [joint.upper_rad for joint in description.joints],
    )
    start_rad = tuple(start.tolist())
    ranges = config.randomise
    if not ranges.enabled:
        motors = MotorConditions(
            start_rad,
            description.bus.supply_v,
            (config.motor_strength,) * joints,
            config.control_latency_s,
            config.sensing_latency_s,
            noise_seed,
            config.gain_scale,
        )
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
