"""Measures where a robot's joints are on its motors: a person moves them, torque is off all the time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from robot.calibration import MARGIN_RAD, Calibration, JointCalibration
from robot.description import JointDescription, RobotDescription
from robot.dynamixel.provision import SetupBus, identify, read_register, require_healthy, write_register
from robot.dynamixel.tables import ControlTable
from robot.dynamixel.units import POSITION_RAD, PULSES_PER_TURN
from robot.errors import CalibrationError
from robot.protocols import Operator

# Ends of a joint's range that are nearer than this are no range, pulses: 10 degrees.
_RANGE_MIN_RAW = 114


def calibrate(
    bus: SetupBus, description: RobotDescription, operator: Operator, say: Callable[[str], None], *, ranges: bool = True
) -> Calibration:
    """Ask the operator for the home pose, and for both ends of each joint; measure.

    Args:
        bus: Open.
        description: Of the robot.
        operator: Moves the joints.
        say: Is told what was measured.
        ranges: Measure directions and ranges too; else only zeros, with the description's directions.

    Raises:
        MotorError: If motors are missing, of another model, or report errors.
        CalibrationError: If what was measured contradicts the description.
    """
    tables = identify(bus, description)
    for joint, table in zip(description.motors, tables, strict=True):
        require_healthy(bus, joint.id, joint.name, table)
        write_register(bus, joint.id, table["torque_enable"], 0)
        # Registers are then natural positions.
        for name in ("homing_offset", "drive_mode"):
            if read_register(bus, joint.id, table[name]):
                write_register(bus, joint.id, table[name], 0)
    home = ", ".join(f"{joint.name} {joint.home_rad:+.2f}" for joint in description.motors)
    operator.confirm(f"Put the {description.name} into its home pose (rad: {home})")
    at_home = [read_register(bus, joint.id, table["present_position"]) for joint, table in zip(description.motors, tables, strict=True)]
    joints = [
        _measured(bus, joint, table, raw, operator, say) if ranges else _zeroed(joint, raw)
        for joint, table, raw in zip(description.motors, tables, at_home, strict=True)
    ]
    return Calibration(robot=description.name, joints=tuple(joints))


def _zeroed(joint: JointDescription, home_raw: int) -> JointCalibration:
    zero = home_raw - joint.sign * round(joint.home_rad / POSITION_RAD)
    ends = [zero + joint.sign * round(angle / POSITION_RAD) for angle in (joint.lower_rad, joint.upper_rad)]
    return JointCalibration(
        name=joint.name, id=joint.id, model=joint.model, sign=joint.sign, zero_raw=zero, low_raw=min(ends), high_raw=max(ends)
    )


def _measured(
    bus: SetupBus, joint: JointDescription, table: ControlTable, home_raw: int, operator: Operator, say: Callable[[str], None]
) -> JointCalibration:
    ends = []
    for end, angle in (("lower", joint.lower_rad), ("upper", joint.upper_rad)):
        operator.confirm(f"Move {joint.name} (motor {joint.id}) to its {end} end ({angle:+.2f} rad by the description)")
        ends.append(read_register(bus, joint.id, table["present_position"]))
    lower, upper = ends
    if abs(upper - lower) < _RANGE_MIN_RAW:
        raise CalibrationError(
            f"the two ends of {joint.name} are only {abs(upper - lower)} pulses apart (at least {_RANGE_MIN_RAW}): was another joint moved?"
        )
    if not _monotonic(lower, home_raw, upper):
        raise CalibrationError(
            f"{joint.name} was at {home_raw} in the home pose, outside of its ends {lower} and {upper}: the register passed the end of its "
            "turn in between; mount the horn so that the range lies within one turn, or use mode extended_position"
        )
    sign: Literal[1, -1] = 1 if upper > lower else -1
    zero = home_raw - sign * round(joint.home_rad / POSITION_RAD)
    reached = [sign * (raw - zero) * POSITION_RAD for raw in ends]
    for end, angle, bound in zip(("lower", "upper"), reached, (joint.lower_rad, joint.upper_rad), strict=True):
        if abs(angle) > abs(bound) + MARGIN_RAD and angle * bound > 0.0:
            raise CalibrationError(
                f"{joint.name} reached {angle:+.3f} rad at its {end} end, the description allows {bound:+.3f} (give or take {MARGIN_RAD}): "
                "check the home pose, or correct the description"
            )
    say(f"{joint.name}: {reached[0]:+.3f} to {reached[1]:+.3f} rad, direction {sign:+d}, zero at {zero}")
    return JointCalibration(
        name=joint.name, id=joint.id, model=joint.model, sign=sign, zero_raw=zero, low_raw=min(ends), high_raw=max(ends)
    )


def _monotonic(*values: int) -> bool:
    differences = [second - first for first, second in pairwise(values)]
    return all(value > -PULSES_PER_TURN // 64 for value in differences) or all(value < PULSES_PER_TURN // 64 for value in differences)
