"""What an episode draws: a pure function of the configuration and the generator."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim.config import MinitaurConfig
from sim.model import JOINT_NAMES


@dataclass(frozen=True, slots=True)
class EpisodeParameters:
    """The machine of one episode.

    Attributes:
        base_mass_scale: Factor on the base's mass.
        leg_mass_scale: Factor on the masses of motors and shanks.
        inertia_scale: Factor on all inertias, beside that of the mass.
        motor_strength: Factor on the torque of each motor.
        gain_scale: Factor on kp and kd.
        viscous_damping: V per rad/s.
        control_latency_s: s.
        sensing_latency_s: s.
        foot_friction: Lateral friction of the shanks.
        battery_v: V.
        joint_friction_nm: N m.
        start_pose_rad: Motor angles that the reset drives to.
        noise_seed: Of the sensors' noise.
    """

    base_mass_scale: float
    leg_mass_scale: float
    inertia_scale: float
    motor_strength: tuple[float, ...]
    gain_scale: float
    viscous_damping: float
    control_latency_s: float
    sensing_latency_s: float
    foot_friction: float
    battery_v: float
    joint_friction_nm: float
    start_pose_rad: tuple[float, ...]
    noise_seed: int


def nominal(config: MinitaurConfig) -> EpisodeParameters:
    """Return the machine that the configuration names, at the start pose without noise."""
    motors = len(JOINT_NAMES)
    return EpisodeParameters(
        base_mass_scale=1.0,
        leg_mass_scale=1.0,
        inertia_scale=1.0,
        motor_strength=(1.0,) * motors,
        gain_scale=1.0,
        viscous_damping=config.viscous_damping,
        control_latency_s=config.control_latency_s,
        sensing_latency_s=config.sensing_latency_s,
        foot_friction=config.foot_friction,
        battery_v=config.battery_v,
        joint_friction_nm=config.joint_friction_nm,
        start_pose_rad=(config.start_pose_rad,) * motors,
        noise_seed=0,
    )


def draw(config: MinitaurConfig, rng: np.random.Generator) -> EpisodeParameters:
    """Draw an episode. The order of the draws is part of what a seed means: append, never insert."""
    motors = len(JOINT_NAMES)
    noise_seed = int(rng.integers(2**63))
    offsets = rng.uniform(-config.start_pose_noise_rad, config.start_pose_noise_rad, motors)
    start_pose = tuple((config.start_pose_rad + offsets).tolist())
    ranges = config.randomise
    if not ranges.enabled:
        return replace(nominal(config), start_pose_rad=start_pose, noise_seed=noise_seed)
    return EpisodeParameters(
        base_mass_scale=float(rng.uniform(*ranges.mass_scale)),
        leg_mass_scale=float(rng.uniform(*ranges.mass_scale)),
        inertia_scale=float(rng.uniform(*ranges.inertia_scale)),
        motor_strength=tuple(rng.uniform(*ranges.motor_strength_scale, motors).tolist()),
        gain_scale=float(rng.uniform(*ranges.gain_scale)),
        viscous_damping=float(rng.uniform(*ranges.viscous_damping)),
        control_latency_s=float(rng.uniform(*ranges.control_latency_s)),
        sensing_latency_s=float(rng.uniform(*ranges.sensing_latency_s)),
        foot_friction=float(rng.uniform(*ranges.foot_friction)),
        battery_v=float(rng.uniform(*ranges.battery_v)),
        joint_friction_nm=float(rng.uniform(*ranges.joint_friction_nm)),
        start_pose_rad=start_pose,
        noise_seed=noise_seed,
    )
