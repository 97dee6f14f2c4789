"""Puts a simulated robot, its clock and its cameras together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from robot.description import RobotDescription, load_description
from robot.errors import UsageError
from robot.imu import quantised, straight_mounted
from robot.protocols import Robot
from sim.camera import Filmed, SimulatedCamera
from sim.claw import ClawConfig, ClawPhysics
from sim.clock import SimulatedClock, Timed
from sim.config import MinitaurConfig
from sim.kitty import KittyConfig, KittyPhysics
from sim.minitaur import SimulatedMinitaur
from sim.model import JOINT_NAMES
from sim.replica import Replica, ServoReplica
from sim.servo_config import BodyNoiseConfig
from sim.servo_minitaur import DynamixelMinitaurConfig, DynamixelMinitaurPhysics
from sim.servo_robot import ServoBody, SimulatedServoRobot
from sim.servo_sensing import ImuQuantiser
from sim.stock_replica import StockReplica

LeggedConfig = KittyConfig | DynamixelMinitaurConfig
# Robots on legs, whatever their motors.
LegsConfig = MinitaurConfig | LeggedConfig
ServoConfig = LeggedConfig | ClawConfig
SimulatedConfig = LegsConfig | ClawConfig

# Description of the motors of each kind of robot on servos.
_DESCRIPTIONS = {"kitty": "kitty", "minitaur_dynamixel": "minitaur", "claw": "claw"}


@runtime_checkable
class SimulatedRobot(Robot, Timed, Filmed, Protocol):
    """A robot in a PyBullet world, with the time that a clock moves on."""

    def feet_down(self) -> dict[str, bool]:
        """Tell of each foot, by its leg's name, whether the ground carries it now."""

    def reset(self, rng: np.random.Generator) -> None:
        """Put the robot into a start pose, drawing everything random from `rng`."""

    def drop(self, rng: np.random.Generator) -> None:
        """Let the robot fall anyhow, drawing everything random from `rng`."""


RobotT = TypeVar("RobotT", bound=SimulatedRobot, covariant=True)


@dataclass(frozen=True, slots=True)
class Simulation(Generic[RobotT]):
    """A robot with the only clock that moves it."""

    robot: RobotT
    clock: SimulatedClock

    def camera(self, width_px: int = 480, height_px: int = 320) -> SimulatedCamera:
        """Make a camera that follows the robot."""
        return SimulatedCamera(self.robot, width_px, height_px)


MinitaurSimulation = Simulation[SimulatedMinitaur]
ServoSimulation = Simulation[SimulatedServoRobot]


def simulate(config: SimulatedConfig, bus_hz: float, seed: int = 0) -> Simulation[SimulatedRobot]:
    """Build the simulated robot that a configuration is about, standing.

    Args:
        config: Of the robot.
        bus_hz: Reads and writes per second of simulated time; the physics rate must be a whole multiple.
        seed: Of the first episode; `robot.reset` draws from the generator that it is given.

    Raises:
        UsageError: If the bus rate does not fit the physics rate, or a window is asked for and there is no display.
    """
    if isinstance(config, MinitaurConfig):
        return simulate_minitaur(config, bus_hz, seed)
    return simulate_servos(config, bus_hz, seed)


def simulate_minitaur(config: MinitaurConfig, bus_hz: float, seed: int = 0) -> MinitaurSimulation:
    """Build a simulated Minitaur, standing; see `simulate`."""
    robot = SimulatedMinitaur(config, _period_s(bus_hz), seed)
    return Simulation(robot, SimulatedClock(robot))


def simulate_servos(config: ServoConfig, bus_hz: float, seed: int = 0) -> ServoSimulation:
    """Build a simulated robot on servos, standing; see `simulate`."""
    period_s = _period_s(bus_hz)
    description = describe(config)
    physics = servo_physics(config, description)
    # A claw has no base that moves.
    noise, imu = (BodyNoiseConfig(), None) if isinstance(config, ClawConfig) else (config.noise, imu_quantiser(config))
    robot = SimulatedServoRobot(description, physics, period_s, noise, seed, imu)
    return Simulation(robot, SimulatedClock(robot))


def replica_of(config: LegsConfig) -> Replica:
    """Build the machine that a configuration names, to be put anywhere; what it randomises is nominal, and nobody watches."""
    still = config.model_copy(update={"randomise": config.randomise.model_copy(update={"enabled": False}), "gui": False})
    if isinstance(still, MinitaurConfig):
        return StockReplica(still)
    description = describe(still)
    if isinstance(still, KittyConfig):
        return ServoReplica(description, KittyPhysics(still, description))
    return ServoReplica(description, DynamixelMinitaurPhysics(still, description))


def imu_quantiser(config: LeggedConfig) -> ImuQuantiser | None:
    """Return how the IMU of a simulated robot rounds what it measures; None where it is exact."""
    return None if config.imu == "exact" else partial(quantised, straight_mounted(config.imu))


def servo_physics(config: ServoConfig, description: RobotDescription) -> ServoBody:
    """Build what servos move: for a simulated robot, or for an emulated bus."""
    if isinstance(config, KittyConfig):
        return KittyPhysics(config, description)
    if isinstance(config, ClawConfig):
        return ClawPhysics(config, description)
    return DynamixelMinitaurPhysics(config, description)


def describe(config: ServoConfig) -> RobotDescription:
    """Return the description of the motors that a simulated robot runs on."""
    return load_description(_DESCRIPTIONS[config.kind])


def joint_names(config: SimulatedConfig) -> tuple[str, ...]:
    """Return the names of a simulated robot's joints without building it."""
    return JOINT_NAMES if isinstance(config, MinitaurConfig) else describe(config).joint_names


def _period_s(bus_hz: float) -> float:
    if not 0.0 < bus_hz < float("inf"):
        raise UsageError(f"bus_hz must be positive and finite: got {bus_hz}")
    return 1.0 / bus_hz
