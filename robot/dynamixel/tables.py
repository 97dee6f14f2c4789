"""Control tables by model and firmware, read from `tables.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from robot.dynamixel.units import Unit, unit
from robot.errors import UsageError

# Below this address a register is kept without power, and can be written only while torque is off (e-manual).
EEPROM_END = 64
# Bits of register 70, in words (e-manual, Hardware Error Status).
HARDWARE_ERRORS = {0: "input voltage", 2: "overheating", 3: "encoder", 4: "electrical shock", 5: "overload"}
# Codes of register 8 to bits per second (e-manual, Baud Rate).
BAUD_RATES = (9_600, 57_600, 115_200, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 4_500_000)
# A multi-turn goal reaches 256 turns either way (e-manual, Goal Position).
_MULTI_TURN_RAW = 1_048_575


class OperatingMode:
    """Values of register 11."""

    CURRENT = 0
    VELOCITY = 1
    POSITION = 3
    EXTENDED_POSITION = 4
    CURRENT_BASED_POSITION = 5
    PWM = 16


OPERATING_MODES = {
    OperatingMode.CURRENT: "current",
    OperatingMode.VELOCITY: "velocity",
    OperatingMode.POSITION: "position",
    OperatingMode.EXTENDED_POSITION: "extended position",
    OperatingMode.CURRENT_BASED_POSITION: "current-based position",
    OperatingMode.PWM: "pwm",
}


@dataclass(frozen=True, slots=True)
class Register:
    """One entry of a control table.

    Attributes:
        name: As in the manual, in lower case with underscores.
        address: Of its first byte.
        size: 1, 2 or 4 bytes.
        signed: Two's complement.
        unit: What a raw step is.
        writable: Whether it can be written at all.
        minimum: Raw, included; of goals see `goal_bounds`.
        maximum: Raw, included.
        initial: Factory value, None if there is none.
    """

    name: str
    address: int
    size: int
    signed: bool
    unit: Unit
    writable: bool
    minimum: int
    maximum: int
    initial: int | None

    @property
    def eeprom(self) -> bool:
        """Whether it is kept without power; then it can be written only while torque is off."""
        return self.address < EEPROM_END

    def encode(self, raw: int) -> bytes:
        """Return its bytes on the wire.

        Raises:
            UsageError: If the value is out of range.
        """
        if not self.minimum <= raw <= self.maximum:
            raise UsageError(f"{self.name} takes {self.minimum} to {self.maximum}: got {raw}")
        return raw.to_bytes(self.size, "little", signed=self.signed)

    def decode(self, data: bytes) -> int:
        """Read its bytes; never fails on `size` bytes."""
        return int.from_bytes(data[: self.size], "little", signed=self.signed)


@dataclass(frozen=True, slots=True)
class MotorConstants:
    """The motor behind the gear, as its data sheet measures it at `volts`."""

    volts: float
    stall_torque_nm: float
    stall_current_a: float
    no_load_rpm: float
    gear_ratio: float
    mass_kg: float


@dataclass(frozen=True, slots=True)
class IndirectBank:
    """Indirect addressing: `count` addresses of 2 bytes from `address`, each choosing the byte behind one of `data` on."""

    address: int
    data: int
    count: int


@dataclass(frozen=True, slots=True)
class ControlTable:
    """What a model with a firmware understands.

    Attributes:
        model: Name, for example XM430-W210.
        number: Of the model, register 0.
        firmware_min: Oldest firmware that this table describes.
        registers: By name.
        indirect: Its banks.
        motor: Data sheet constants.
        measures_supply_current: Register 126 is the current of the supply, not of the winding.
        source: Address of the manual's page.
    """

    model: str
    number: int
    firmware_min: int
    registers: Mapping[str, Register]
    indirect: tuple[IndirectBank, ...]
    motor: MotorConstants
    measures_supply_current: bool
    source: str

    def __getitem__(self, name: str) -> Register:
        """Return a register. Raises UsageError if the model has none of that name."""
        found = self.registers.get(name)
        if found is None:
            raise UsageError(f"{self.model} has no register {name!r}: choose {', '.join(self.registers)}")
        return found

    def span(self, names: Iterable[str]) -> tuple[int, int]:
        """Return (address, size) of the shortest block that holds all of `names`."""
        wanted = [self[name] for name in names]
        start = min(register.address for register in wanted)
        return start, max(register.address + register.size for register in wanted) - start


def control_table(model: str | int, firmware: int) -> ControlTable:
    """Return the table of a model, by name or number, with a firmware.

    Raises:
        UsageError: If the model is unknown or its firmware older than the table.
    """
    names = {entry["number"]: name for name, entry in _data()["models"].items()}
    name = names.get(model) if isinstance(model, int) else model
    if name not in names.values():
        known = ", ".join(f"{known} ({number})" for number, known in names.items())
        raise UsageError(f"the servo model {model} is not known: choose {known}")
    table = _table(str(name), firmware)
    if firmware < table.firmware_min:
        raise UsageError(f"{name} has firmware {firmware}: update it to {table.firmware_min} or newer with DYNAMIXEL Wizard")
    return table


def models() -> dict[str, int]:
    """Return the known models with their numbers."""
    return {name: entry["number"] for name, entry in _data()["models"].items()}


def goal_bounds(name: str, values: Mapping[str, int]) -> tuple[int, int]:
    """Return the raw bounds of a goal register, which follow from limits and mode (e-manual, Goal PWM to Goal Position).

    Args:
        name: goal_pwm, goal_current, goal_velocity or goal_position.
        values: Of operating_mode and the limits.
    """
    if name == "goal_position":
        if values["operating_mode"] == OperatingMode.POSITION:
            return values["min_position_limit"], values["max_position_limit"]
        return -_MULTI_TURN_RAW, _MULTI_TURN_RAW
    limit = values[{"goal_pwm": "pwm_limit", "goal_current": "current_limit", "goal_velocity": "velocity_limit"}[name]]
    return -limit, limit


def hardware_errors(status: int) -> list[str]:
    """Say what register 70 holds, in words; empty if nothing."""
    return [HARDWARE_ERRORS.get(bit, f"bit {bit}") for bit in range(8) if status >> bit & 1]


@cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "tables.yaml").read_text())
    return data


@cache
def _table(model: str, firmware: int) -> ControlTable:
    data = _data()
    entry = data["models"][model]
    rows = dict(data["registers"])
    for group in entry.get("extra", ()):
        rows |= data["extra"][group]
    for name, (low, high, initial) in entry.get("bounds", {}).items():
        rows[name] = [*rows[name][:5], low, high, initial]
    rows["model_number"] = [*rows["model_number"][:7], entry["number"]]
    layout = next(item for item in data["indirect"][entry["indirect"]] if firmware <= item.get("until", firmware))
    registers = {name: _register(name, row, entry["current_ma"]) for name, row in sorted(rows.items(), key=lambda item: item[1][0])}
    return ControlTable(
        model=model,
        number=entry["number"],
        firmware_min=entry["firmware_min"],
        registers=MappingProxyType(registers),
        indirect=tuple(IndirectBank(*bank) for bank in layout["banks"]),
        motor=MotorConstants(**entry["motor"]),
        measures_supply_current=entry.get("measures_supply_current", False),
        source=entry["source"],
    )


def _register(name: str, row: list[Any], current_ma: float) -> Register:
    address, size, signed, unit_name, access, minimum, maximum, initial = row
    bits = 8 * size
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return Register(
        name,
        address,
        size,
        signed,
        unit(unit_name, current_ma),
        access == "rw",
        low if minimum is None else minimum,
        high if maximum is None else maximum,
        initial,
    )
