"""Builds emulated machines: the motors of a description on its bus, with built-in physics or any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import JsonValue

from robot.description import RobotDescription
from robot.dynamixel.bench_physics import BenchPhysics
from robot.dynamixel.plant import ServoPlant
from robot.dynamixel.servos import Servo
from robot.dynamixel.tables import control_table
from robot.emulator.bus import BusOptions, EmulatedBus, Observer
from robot.emulator.camera import Picture
from robot.emulator.motor import EmulatedMotor
from robot.protocols import MotorPhysics
from robot.types import MotorConditions

# Firmware that an emulated motor says it has: recent, and above what any table asks for.
FIRMWARE = 53


def bench_physics(description: RobotDescription, step_s: float = 0.001, start_noise_rad: float = 0.0) -> BenchPhysics:
    """Return built-in physics in which every motor of a robot turns its own rotor, from about the home pose on."""
    motors = description.motors
    return BenchPhysics(
        [control_table(joint.model, FIRMWARE).motor.gear_ratio for joint in motors],
        step_s,
        [joint.home_rad for joint in motors],
        description.bus.supply_v,
        start_noise_rad=start_noise_rad,
    )


def emulate(
    description: RobotDescription,
    options: BusOptions,
    physics: MotorPhysics | None = None,
    bus_steps: int = 10,
    reset: Callable[[ServoPlant, np.random.Generator], MotorConditions] | None = None,
    drop: Callable[[ServoPlant, np.random.Generator], MotorConditions] | None = None,
    observers: Sequence[Observer] = (),
    report: Callable[[], dict[str, JsonValue]] = dict,
    picture: Picture | None = None,
    firmware: int = FIRMWARE,
) -> EmulatedBus:
    """Build the bus of a robot, in its start pose, all torque off and all registers as the factory left them, but for ids and rate.

    Args:
        description: Of the robot: its motors, auxiliary ones included where `physics` has a joint for them.
        options: Of the bus.
        physics: What the motors move; by default each its own rotor.
        bus_steps: Physics steps in a bus period.
        reset: Puts the machine into a start pose; by default the plant's own.
        drop: Lets it fall anyhow; None if it cannot.
        observers: Called with each new sample.
        report: Says what the machine has beside its motors.
        picture: Draws it; None if it has no camera.
        firmware: Of all motors.
    """
    body = physics or bench_physics(description)
    joints = len(body.joints())
    described = description.motors[:joints]
    servos = [
        Servo(control_table(joint.model, firmware), joint.sign, joint.zero_raw, body.step_s, description.bus.supply_v)
        for joint in described
    ]
    plant = ServoPlant(servos, body, bus_steps)
    motors = [
        EmulatedMotor(index, plant, servo.table, firmware, joint.id, description.bus.baud)
        for index, (joint, servo) in enumerate(zip(described, servos, strict=True))
    ]
    whole = None if reset is None else (lambda rng: reset(plant, rng))
    fall = None if drop is None else (lambda rng: drop(plant, rng))
    bus = EmulatedBus(plant, motors, options, whole, fall, observers, report, picture)
    bus.reset(np.random.default_rng(0))
    return bus
