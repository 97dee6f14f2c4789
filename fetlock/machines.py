"""Robots that are reached over a motor bus: emulated ones, and those of metal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from robot.description import RobotDescription, load_description
from robot.dynamixel.backends import BusConfig
from robot.imu import ImuConfig
from sim import ClawConfig, DynamixelMinitaurConfig, KittyConfig, ServoConfig, SimulatedConfig, describe, joint_names

# Width and height of a picture: PyBullet's software renderer draws about 13 of them a second (measured).
PICTURE_PX = (480, 320)


ServoMachine = Annotated[KittyConfig | DynamixelMinitaurConfig | ClawConfig, Field(discriminator="kind")]


class EmulatedConfig(BaseModel):
    """A simulated machine behind an emulated motor bus: the driver, the wire and every register are the real ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["emulated"] = "emulated"
    # What stands on the bus.
    machine: ServoMachine = KittyConfig()
    # Physics move only when the bus asks, one period each: deterministic. In real-time runs they follow the clock.
    lockstep: bool = True
    bus: BusConfig = BusConfig()
    # Let bytes take their time on the wire, at the rate of the description; real-time runs only.
    paced: bool = False
    # Of the USB adapter's latency timer, ms; needs paced.
    latency_ms: float = Field(default=0.0, ge=0.0, le=50.0)
    # Let it fall anyhow where an episode would place it on its feet, for a routine to stand it up.
    fallen: bool = False
    # File with a script of faults.
    faults: str | None = None


class HardwareConfig(BaseModel):
    """A robot of Dynamixel motors on a serial port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["dynamixel"] = "dynamixel"
    # Of configs/robots/, or a file.
    description: str = "kitty"
    # Best a path below /dev/serial/by-id: it keeps its name over a replug.
    port: str = Field(min_length=1)
    bus: BusConfig = BusConfig()
    # File that `fetlock calibrate` made; null: the robot is built exactly as described.
    calibration: str | None = None
    imu: ImuConfig | None = None
    # File that says where an overhead camera sees a tag on the base (docs/hardware.md): what walking is judged by. Null: it is not tracked.
    tracker: str | None = None
    # File that says how the robot's own camera is opened (docs/hardware.md): what `camera` records. Null: it has none.
    camera: str | None = None


AnyRobotConfig = SimulatedConfig | EmulatedConfig | HardwareConfig


def body_kind(config: AnyRobotConfig) -> str:
    """Return which robot it is, however it is reached: a policy fits all three ways to the same one."""
    if isinstance(config, EmulatedConfig):
        return config.machine.kind
    if isinstance(config, HardwareConfig):
        name = load_description(config.description).name
        return "minitaur_dynamixel" if name == "minitaur" else name
    return config.kind


def simulated(config: AnyRobotConfig) -> SimulatedConfig | None:
    """Return the simulation of a robot; None for one of metal."""
    machine = config.machine if isinstance(config, EmulatedConfig) else config
    return None if isinstance(machine, HardwareConfig) else machine


def description_of(config: ServoConfig | EmulatedConfig | HardwareConfig) -> RobotDescription:
    """Return what a robot on servos is made of, however it is reached.

    Raises:
        UsageError: If the description cannot be read.
    """
    if isinstance(config, HardwareConfig):
        return load_description(config.description)
    return describe(config.machine if isinstance(config, EmulatedConfig) else config)


def names_of_joints(config: AnyRobotConfig) -> tuple[str, ...]:
    """Return the names of a robot's joints without reaching for it."""
    if isinstance(config, EmulatedConfig | HardwareConfig):
        return description_of(config).joint_names
    return joint_names(config)


def fault_path(config: EmulatedConfig) -> Path | None:
    """Return the script of faults, if there is one."""
    return None if config.faults is None else Path(config.faults)
