"""Robots made of PyBullet, with the motors, delays, noise and grounds that decide whether a policy survives on hardware."""

# First: PyBullet greets whoever imports it.
import sim.quiet  # noqa: F401, I001

from sim.camera import Look, Scene, SimulatedCamera
from sim.claw import ClawConfig, ClawPhysics
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
from sim.kitty import KittyConfig, KittyPhysics
from sim.late_camera import LateCamera
from sim.minitaur import SimulatedMinitaur
from sim.replica import Replica
from sim.servo_config import BodyNoiseConfig, ServoRandomisationConfig
from sim.servo_minitaur import DynamixelMinitaurConfig, DynamixelMinitaurPhysics
from sim.servo_robot import ServoBody, SimulatedServoRobot, drop_intact, reset_standing
from sim.servo_sensing import ImuQuantiser, ServoSensors
from sim.simulation import (
    MinitaurSimulation,
    LeggedConfig,
    LegsConfig,
    ServoConfig,
    ServoSimulation,
    SimulatedConfig,
    SimulatedRobot,
    Simulation,
    describe,
    joint_names,
    replica_of,
    simulate,
    servo_physics,
    simulate_servos,
    simulate_minitaur,
)

__all__ = [
    "BlocksGround",
    "BodyNoiseConfig",
    "ClawConfig",
    "ClawPhysics",
    "DynamixelMinitaurConfig",
    "DynamixelMinitaurPhysics",
    "FlatGround",
    "GroundConfig",
    "ImuQuantiser",
    "KittyConfig",
    "KittyPhysics",
    "LateCamera",
    "LeggedConfig",
    "LegsConfig",
    "Look",
    "MinitaurConfig",
    "MinitaurSimulation",
    "NoiseConfig",
    "RandomisationConfig",
    "Replica",
    "Scene",
    "ServoBody",
    "ServoConfig",
    "ServoRandomisationConfig",
    "ServoSensors",
    "ServoSimulation",
    "SimulatedCamera",
    "SimulatedClock",
    "SimulatedConfig",
    "SimulatedMinitaur",
    "SimulatedRobot",
    "SimulatedServoRobot",
    "Simulation",
    "SlopeGround",
    "StepsGround",
    "describe",
    "drop_intact",
    "joint_names",
    "replica_of",
    "reset_standing",
    "servo_physics",
    "simulate",
    "simulate_minitaur",
    "simulate_servos",
]
