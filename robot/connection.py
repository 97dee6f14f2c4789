"""What connecting to a robot finds out: its motors' tables, where its joints are on them, what had to be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot.calibration import Calibration, turns_since
from robot.description import RobotDescription
from robot.dynamixel.group import GroupState, MotorGroup
from robot.dynamixel.provision import Change, SetupBus, identify, position_limits, provision
from robot.dynamixel.readings import JointReadings, joint_readings
from robot.dynamixel.tables import OperatingMode
from robot.dynamixel.units import PULSES_PER_TURN, JointMap, RawArray
from robot.errors import BusError

# A goal may be as far from the one before as the motor turns in a tick at twice its no-load speed, and at least this, pulses: 1 degree.
_SPEED_FACTOR, _STEP_MIN_RAW = 2.0, 12


@dataclass(frozen=True, slots=True)
class Connection:
    """A robot that was found, set up and located; torque is off.

    Attributes:
        group: All motors, the joints' first; those are driven.
        joint_map: Joint angles to registers and back.
        readings: Registers to joint states.
        object_map: The same of the auxiliary motors; None if there are none.
        bounds: Lowest and highest goal of each joint, raw, shapes (n,).
        step_raw: How far a goal may be from the one before, raw, shape (n,).
        changes: Registers that were not as described.
    """

    group: MotorGroup
    joint_map: JointMap
    readings: JointReadings
    object_map: JointMap | None
    bounds: tuple[RawArray, RawArray]
    step_raw: RawArray
    changes: tuple[Change, ...]


def set_up(
    bus: SetupBus, description: RobotDescription, calibration: Calibration, bus_period_s: float, now_s: Callable[[], float]
) -> Connection:
    """Find, set up and locate a robot's motors; torque is off afterwards.

    Raises:
        MotorError: If motors are missing, of another model, or report errors.
        BusError: If a motor does not answer or refuses.
        CalibrationError: If a joint stands where it cannot.
    """
    tables = identify(bus, description)
    changes = provision(bus, description, tables, calibration)
    names = [joint.name for joint in description.motors]
    ids = [joint.id for joint in description.motors]
    joints = len(description.joints)
    group = MotorGroup(bus, ids, names, tables, joints, now_s)
    state = group.read_all()
    if not bool(state.fresh.all()):
        raise BusError("a motor fell silent while it was set up: check cables and supply, then connect again")
    signs, zeros = _zeros(description, calibration, state)
    limits = [
        position_limits(joint, zero, sign) for joint, zero, sign in zip(description.joints, zeros[:joints], signs[:joints], strict=True)
    ]
    rpm = np.array([table.motor.no_load_rpm for table in tables[:joints]])
    steps = np.rint(_SPEED_FACTOR * rpm / 60.0 * PULSES_PER_TURN * bus_period_s).astype(np.int64)
    joint_map = JointMap(signs[:joints], zeros[:joints])
    return Connection(
        group=group,
        joint_map=joint_map,
        readings=joint_readings(description, joint_map),
        object_map=JointMap(signs[joints:], zeros[joints:]) if len(ids) > joints else None,
        bounds=(np.array([low for low, _ in limits], np.int64), np.array([high for _, high in limits], np.int64)),
        step_raw=np.maximum(steps, _STEP_MIN_RAW),
        changes=changes,
    )


def _zeros(description: RobotDescription, calibration: Calibration, state: GroupState) -> tuple[list[int], list[int]]:
    """Return sign and register value at angle 0 of each motor, after the turns that it forgot without power."""
    multi_turn = description.servo.operating_mode == OperatingMode.EXTENDED_POSITION
    zeros = [
        fixed.zero_raw + PULSES_PER_TURN * turns_since(joint, fixed, raw, multi_turn=multi_turn)
        for joint, fixed, raw in zip(description.motors, calibration.joints, state.position_raw.tolist(), strict=True)
    ]
    return [fixed.sign for fixed in calibration.joints], zeros
