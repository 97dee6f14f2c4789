"""Robots made of PyBullet, with the motors, delays, noise and grounds that decide whether a policy survives on hardware."""

# First: PyBullet greets whoever imports it.
import sim.quiet  # noqa: F401, I001

from sim.camera import FollowCamera
from sim.clock import SimulatedClock
from sim.config import (
    BlocksGround,
    FlatGround,
    GroundConfig,
    MinitaurConfig,
    NoiseConfig,
    RandomisationConfig,
    SlopeGround,
    StepsGround,
)
from sim.minitaur import SimulatedMinitaur
from sim.simulation import MinitaurSimulation, simulate_minitaur

__all__ = [
    "BlocksGround",
    "FlatGround",
    "FollowCamera",
    "GroundConfig",
    "MinitaurConfig",
    "MinitaurSimulation",
    "NoiseConfig",
    "RandomisationConfig",
    "SimulatedClock",
    "SimulatedMinitaur",
    "SlopeGround",
    "StepsGround",
    "simulate_minitaur",
]
