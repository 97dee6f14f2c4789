"""Finds motors at whatever rate they are set to, and gives one a new id or rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from robot.dynamixel.bus import MotorBus
from robot.dynamixel.native import NativeBus
from robot.dynamixel.port import Port
from robot.dynamixel.provision import SetupBus, read_register, require_healthy, write_register
from robot.dynamixel.tables import BAUD_RATES, control_table, models
from robot.errors import BusError, MotorError, UsageError

# Tried first: the rates that motors are delivered with and that robots are run at.
_LIKELY = (1_000_000, 57_600, 2_000_000, 3_000_000, 4_000_000, 115_200, 4_500_000, 9_600)


@dataclass(frozen=True, slots=True)
class FoundMotor:
    """A motor that answered.

    Attributes:
        id: Its id.
        model: Its name, or its number if the model is not known.
        firmware: Its version.
        baud: At which it answered, its own rate.
    """

    id: int
    model: str
    firmware: int
    baud: int


def scan(port: Port, bauds: Sequence[int] = _LIKELY, progress: Callable[[int], None] = lambda _: None) -> list[FoundMotor]:
    """Ask all ids at each rate; return who answers, by rate and id. The port keeps the last rate.

    Args:
        port: Open.
        bauds: Rates to try.
        progress: Is told each rate before it is tried.

    Raises:
        BusError: If two motors share an id.
        PortError: If the port does not take a rate.
    """
    names = {number: name for name, number in models().items()}
    found = []
    for baud in bauds:
        progress(baud)
        port.set_baud(baud)
        for motor, (number, firmware) in sorted(NativeBus(port).scan().items()):
            found.append(FoundMotor(motor, names.get(number, f"model {number}"), firmware, baud))
    return found


def likely_bauds() -> tuple[int, ...]:
    """Return all rates of the motors, the most likely ones first."""
    return _LIKELY


def renumber(bus: SetupBus, motor: int, new_id: int) -> None:
    """Give a motor another id, and check it under that id.

    Raises:
        UsageError: If the id is none.
        BusError: If the motor does not answer.
        MotorError: If another motor has that id already, or it did not take it.
    """
    if not 0 <= new_id <= 252:
        raise UsageError(f"an id is 0 to 252: got {new_id}")
    table = control_table(*_require_motor(bus, motor))
    if new_id == motor:
        return
    if bus.ping(new_id) is not None:
        raise MotorError(f"there is a motor with id {new_id} already: give that one another id first")
    _release(bus, motor, table["torque_enable"].address)
    bus.write(motor, table["id"].address, table["id"].encode(new_id))
    if bus.ping(new_id) is None:
        raise MotorError(f"motor {motor} does not answer as {new_id}: scan for it with `fetlock bus scan`")


def change_baud(bus: SetupBus, port: Port, motor: int, baud: int) -> None:
    """Give a motor another rate; the port changes with it.

    Raises:
        UsageError: If the model does not have that rate.
        BusError: If the motor does not answer.
        MotorError: If it does not answer at the new rate.
    """
    table = control_table(*_require_motor(bus, motor))
    register = table["baud_rate"]
    valid = BAUD_RATES[: register.maximum + 1]
    if baud not in valid:
        raise UsageError(f"a {table.model} has no rate of {baud}: choose {', '.join(map(str, valid))}")
    _release(bus, motor, table["torque_enable"].address)
    before = port.baud
    bus.write(motor, register.address, register.encode(BAUD_RATES.index(baud)))
    port.set_baud(baud)
    if bus.ping(motor) is None:
        port.set_baud(before)
        raise MotorError(f"motor {motor} does not answer at {baud} baud: scan for it with `fetlock bus scan`")


def answer_at_once(bus: SetupBus, motor: int) -> None:
    """Set a motor's return delay to 0. Raises BusError or MotorError if it does not take it."""
    table = control_table(*_require_motor(bus, motor))
    require_healthy(bus, motor, table.model, table)
    if read_register(bus, motor, table["return_delay_time"]):
        _release(bus, motor, table["torque_enable"].address)
        write_register(bus, motor, table["return_delay_time"], 0)


def _require_motor(bus: SetupBus, motor: int) -> tuple[int, int]:
    found = bus.ping(motor)
    if found is None:
        raise BusError(f"motor {motor} does not answer: find it with `fetlock bus scan`")
    return found


def _release(bus: MotorBus, motor: int, torque_address: int) -> None:
    """Switch torque off: EEPROM is locked while it is on."""
    bus.write(motor, torque_address, b"\x00")
