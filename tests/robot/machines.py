"""Emulated machines for tests: a process behind a pseudo-terminal, and our driver on it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import yaml

from robot import Clock
from robot.calibration import nominal
from robot.clock import RealTimeClock, TickClock
from robot.description import RobotDescription, load_description
from robot.dynamixel.backends import BusConfig, open_bus
from robot.emulator import EmulatorProcess
from robot.errors import StaleError
from robot.hardware import HardwareRobot

Result = TypeVar("Result")
PERIOD_S = 0.01
# Silence that a busy machine may need: two processes share two cores with whatever else runs.
PATIENT_S = 0.05


def emulator(*arguments: str) -> EmulatorProcess:
    """Start `fetlock emulate` with some arguments."""
    return EmulatorProcess([sys.executable, "-m", "fetlock", "emulate", *arguments])


def describe(folder: Path, models: list[str], supply_v: float = 12.0, baud: int = 1_000_000, first_id: int = 1) -> Path:
    """Write the description of a row of motors that turn freely; return its file."""
    joints = [
        {
            "name": f"joint_{i}", "id": first_id + i, "model": model, "lower_rad": -3.0, "upper_rad": 3.0, "home_rad": 0.0, "rest_rad": 0.0,
        }
        for i, model in enumerate(models)
    ]  # fmt: skip
    path = folder / "row.yaml"
    path.write_text(yaml.safe_dump({"name": "row", "bus": {"baud": baud, "supply_v": supply_v}, "joints": joints}))
    return path


def connect(port: str, description: RobotDescription, backend: str = "native", silence_s: float = PATIENT_S) -> HardwareRobot:
    """Connect to a machine that is built as described; torque is off."""
    config = BusConfig.model_validate({"backend": backend})
    return HardwareRobot(description, opener(port, description, config, silence_s), nominal(description), PERIOD_S)


def opener(port: str, description: RobotDescription, config: BusConfig, silence_s: float) -> Callable[[], object]:
    """Return what opens the bus of a machine."""
    return lambda: open_bus(port, description.bus.baud, config, silence_s)


def undisturbed(act: Callable[[], Result]) -> Result:
    """Do something in real time, and again, up to three times, where a busy machine has kept the emulated motors from answering."""
    for _ in range(2):
        with contextlib.suppress(StaleError):
            return act()
    return act()


@contextmanager
def running(*arguments: str, silence_s: float = PATIENT_S) -> Iterator[tuple[EmulatorProcess, HardwareRobot, Clock]]:
    """The motors of the kitty, emulated, with our driver connected to them."""
    with emulator("--robot", "kitty", *arguments) as process:
        driver = connect(process.port, load_description("kitty"), silence_s=silence_s)
        try:
            yield process, driver, TickClock(driver, RealTimeClock(PERIOD_S))
        finally:
            driver.close()
