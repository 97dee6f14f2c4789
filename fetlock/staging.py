"""A robot brought to where something without a task may drive it: behind its guard, with its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from fetlock.config import RunConfig
from fetlock.guarding import guard_of
from fetlock.machines import PICTURE_PX, EmulatedConfig, HardwareConfig
from robot.errors import UsageError
from robot.protocols import Camera, Clock
from safety import GuardedRobot
from safety.resets import Turner
from sim import simulate


@dataclass(frozen=True, slots=True)
class Stage:
    """A robot where somebody is to begin: behind its guard, with its clock, what can film it and what turns its object."""

    guard: GuardedRobot
    clock: Clock
    camera: Callable[[], Camera] | None
    turner: Turner | None = None


@contextmanager
def staged(config: RunConfig, rng: np.random.Generator, *, fallen: bool = False, realtime: bool = True) -> Iterator[Stage]:
    """Reach a robot of metal or on an emulated bus, or build a simulated one; it holds where it stands at the end.

    Args:
        config: Of the robot.
        rng: Draws its start pose, or its fall.
        fallen: Let a simulated robot fall anyhow first.
        realtime: An emulated machine follows the clock; otherwise it may run in lockstep. Metal always does.

    Raises:
        UsageError: If a robot that is no simulation should fall.
        RobotError: If it cannot be reached.
    """
    robot = config.robot
    if not isinstance(robot, EmulatedConfig | HardwareConfig):
        simulation = simulate(robot, config.bus_hz)
        guard = guard_of(config, simulation.robot, simulation.clock)
        (simulation.robot.drop if fallen else simulation.robot.reset)(rng)
        try:
            yield Stage(guard, simulation.clock, simulation.camera)
        finally:
            guard.close()
        return
    if fallen:
        raise UsageError("--fallen lets a simulated robot fall: give a configuration whose robot.kind is a simulation")
    from fetlock.emulated import connect_emulated, connect_hardware

    emulated = isinstance(robot, EmulatedConfig)
    machine = connect_emulated(config, realtime=realtime) if emulated else connect_hardware(config)
    try:
        guard = guard_of(config, machine.robot, machine.clock, machine.robot, stoppable=realtime or not emulated)
        machine.reset(rng)
        camera = None if machine.camera is None else partial(machine.camera, *PICTURE_PX)
        yield Stage(guard, machine.clock, camera, machine.robot)
    finally:
        machine.close()
