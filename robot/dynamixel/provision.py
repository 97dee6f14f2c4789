"""Makes the motors of a bus what a robot's description says, and nothing else.

EEPROM is written on a difference only, with torque off, and every register is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from robot.calibration import Calibration
from robot.description import JointDescription, RobotDescription, ServoSettings
from robot.dynamixel.bus import BusCount, BusSetup, MotorBus
from robot.dynamixel.tables import ControlTable, OperatingMode, Register, control_table, hardware_errors, models
from robot.dynamixel.units import POSITION_RAD
from robot.errors import MotorError


class SetupBus(MotorBus, BusSetup, Protocol):
    """A bus that can be set up, and counts what happens on it."""

    count: BusCount


@dataclass(frozen=True, slots=True)
class Change:
    """A register that was not as described, raw."""

    motor: int
    register: str
    before: int
    after: int


def identify(bus: SetupBus, description: RobotDescription) -> tuple[ControlTable, ...]:
    """Find every motor of a description; return their tables.

    Raises:
        MotorError: If motors are missing, of another model, or share an id; nothing was written.
        UsageError: If a firmware is too old.
    """
    found = {joint.id: bus.ping(joint.id) for joint in description.motors}
    missing = [f"{joint.id} ({joint.name})" for joint in description.motors if found[joint.id] is None]
    if missing:
        there = ", ".join(str(motor) for motor, answer in found.items() if answer is not None) or "none"
        raise MotorError(
            f"motor {', '.join(missing)} of the {description.name} does not answer at {description.bus.baud} baud; answering: {there}: "
            "check cables and supply, or find ids and rates with `fetlock bus scan`"
        )
    tables = []
    names = {number: name for name, number in models().items()}
    for joint in description.motors:
        number, firmware = found[joint.id] or (0, 0)
        if names.get(number) != joint.model:
            raise MotorError(
                f"motor {joint.id} ({joint.name}) is a {names.get(number, f'model {number}')}, the description says {joint.model}: "
                "exchange it or correct the description"
            )
        tables.append(control_table(number, firmware))
    return tuple(tables)


def wanted(joint: JointDescription, calibration_zero: int, sign: int, settings: ServoSettings, table: ControlTable) -> dict[str, int]:
    """Return what each register of a motor has to be, raw, in the order in which they are written."""
    values = {
        # The driver's timing rests on it; the factory's 500 us cost 12 motors 6 ms a cycle.
        "return_delay_time": 0,
        "status_return_level": 2,
        "drive_mode": 0,
        "operating_mode": settings.operating_mode,
        # Calibration is the host's: the motor's own offset wraps and ignores the direction (e-manual, Homing Offset).
        "homing_offset": 0,
        "pwm_limit": settings.pwm_limit,
        "shutdown": settings.shutdown,
        # Changing the mode sets gains back, so that they come after it.
        "position_p_gain": settings.position_p_gain,
        "position_i_gain": settings.position_i_gain,
        "position_d_gain": settings.position_d_gain,
        "profile_acceleration": 0,
        "profile_velocity": 0,
    }
    if settings.operating_mode == OperatingMode.POSITION:
        low, high = position_limits(joint, calibration_zero, sign)
        register = table["max_position_limit"]
        values |= {"min_position_limit": max(low, register.minimum), "max_position_limit": min(high, register.maximum)}
    return values


def position_limits(joint: JointDescription, zero_raw: int, sign: int) -> tuple[int, int]:
    """Return the raw bounds of a joint's range, rounded inwards."""
    ends = sorted(zero_raw + sign * angle / POSITION_RAD for angle in (joint.lower_rad, joint.upper_rad))
    return -int(-ends[0] // 1), int(ends[1] // 1)


def read_register(bus: MotorBus, motor: int, register: Register) -> int:
    """Read one register, raw. Raises BusError if the motor does not answer."""
    return register.decode(bus.read(motor, register.address, register.size).data)


def write_register(bus: MotorBus, motor: int, register: Register, raw: int) -> None:
    """Write one register and read it back.

    Raises:
        UsageError: If the value is out of the register's range.
        BusError: If the motor does not answer or refuses.
        MotorError: If it holds something else afterwards.
    """
    bus.write(motor, register.address, register.encode(raw))
    after = read_register(bus, motor, register)
    if after != raw:
        raise MotorError(f"motor {motor} was told {register.name} {raw} and holds {after}: reboot it, or exchange it")


def provision(
    bus: MotorBus, description: RobotDescription, tables: tuple[ControlTable, ...], calibration: Calibration
) -> tuple[Change, ...]:
    """Switch all torque off and make every register as described; return what was changed.

    Raises:
        BusError: If a motor does not answer or refuses.
        MotorError: If a motor reports a hardware error, or does not keep what is written.
    """
    motors = description.motors
    for joint, table in zip(motors, tables, strict=True):
        require_healthy(bus, joint.id, joint.name, table)
        write_register(bus, joint.id, table["torque_enable"], 0)
        # 0 clears an expired watchdog, which would lock the goals.
        write_register(bus, joint.id, table["bus_watchdog"], 0)
    changes = []
    for joint, table, fixed in zip(motors, tables, calibration.joints, strict=True):
        for name, raw in wanted(joint, fixed.zero_raw, fixed.sign, description.servo, table).items():
            before = read_register(bus, joint.id, table[name])
            if before != raw:
                write_register(bus, joint.id, table[name], raw)
                changes.append(Change(joint.id, name, before, raw))
    return tuple(changes)


def require_healthy(bus: MotorBus, motor: int, name: str, table: ControlTable) -> None:
    """Check register 70.

    Raises:
        MotorError: If it is not 0.
    """
    status = read_register(bus, motor, table["hardware_error_status"])
    if status:
        raise MotorError(
            f"motor {motor} ({name}) reports {', '.join(hardware_errors(status))}: let it cool and find the cause, then restart it with "
            f"`fetlock bus reboot --id {motor}`"
        )


def verify(bus: MotorBus, description: RobotDescription, tables: tuple[ControlTable, ...], expected: Mapping[str, int]) -> None:
    """Check that registers of every motor hold what is expected, writing nothing.

    Raises:
        MotorError: If one does not.
    """
    for joint, table in zip(description.motors, tables, strict=True):
        for name, raw in expected.items():
            now = read_register(bus, joint.id, table[name])
            if now != raw:
                raise MotorError(f"motor {joint.id} ({joint.name}) holds {name} {now} where {raw} was written")
