"""What the commands that open a bus have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

from robot.calibration import Calibration, load_calibration, nominal
from robot.description import RobotDescription, load_description
from robot.dynamixel.backends import BusConfig, open_bus
from robot.dynamixel.port import ports
from robot.dynamixel.provision import SetupBus
from robot.errors import UsageError
from robot.hardware import HardwareRobot
from robot.listener import Senses


def add_port(parser: argparse.ArgumentParser) -> None:
    """Add --port and --bus.backend."""
    parser.add_argument("--port", help="serial port; by default the only one there is")
    parser.add_argument(
        "--bus.backend", dest="backend", choices=("native", "sdk"), default="native", help="our codec, or the vendor's library"
    )


def add_robot(parser: argparse.ArgumentParser) -> None:
    """Add --robot, --calibration and --bus-hz."""
    parser.add_argument("--robot", default="kitty", help="a description of configs/robots/, or a .yaml file (kitty)")
    parser.add_argument("--calibration", type=Path, help="of this machine; by default it is taken to be built as described")
    parser.add_argument("--bus-hz", type=float, default=100.0, help="reads and writes per second (100)")


def port_of(options: argparse.Namespace) -> str:
    """Return the port that was given, or the only one of this machine.

    Raises:
        UsageError: If none was given and there is none, or more than one.
    """
    if options.port is not None:
        return str(options.port)
    found = ports()
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"there are several ports: give one of them, --port {' | '.join(found)}" if found else "no serial port was found: give --port PATH"
    )


def bus_of(options: argparse.Namespace, baud: int) -> SetupBus:
    """Open the bus that was asked for.

    Raises:
        UsageError: If no port was given and there is not exactly one.
        PortError: If it cannot be opened.
    """
    return open_bus(port_of(options), baud, BusConfig(backend=options.backend))


def calibration_of(options: argparse.Namespace, description: RobotDescription) -> tuple[Calibration, str]:
    """Return the calibration that was given, with its name for messages; without one that of a machine built as described."""
    if options.calibration is None:
        return nominal(description), "the description"
    return load_calibration(options.calibration), str(options.calibration)


def robot_of(options: argparse.Namespace, senses: Senses | None = None) -> HardwareRobot:
    """Connect to the robot that was asked for; torque is off.

    Raises:
        FetlockError: As `HardwareRobot`.
    """
    description = load_description(options.robot)
    if not 1.0 <= options.bus_hz <= 1000.0:
        raise UsageError(f"--bus-hz {options.bus_hz}: give 1 to 1000")
    calibration, source = calibration_of(options, description)
    return HardwareRobot(
        description,
        lambda: bus_of(options, description.bus.baud),
        calibration,
        1.0 / options.bus_hz,
        senses=senses,
        source=source,
    )
