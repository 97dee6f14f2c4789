"""One motor's control table as bytes, with the rules of access of the manual.

Choices where the manual is silent: bytes between registers read as 0; a read or write beyond the table is an access error; a write that
begins inside of a register is an access error, one that ends inside of it a length error; a write changes all of its registers or none.
Source: ROBOTIS e-manual, Protocol 2.0 (Status Packet, Error) and the control tables of the X series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from robot.dynamixel.codec import ErrorCode
from robot.dynamixel.tables import ControlTable, OperatingMode, Register, goal_bounds

GOALS = ("goal_pwm", "goal_current", "goal_velocity", "goal_position")
_MODES = (
    OperatingMode.CURRENT,
    OperatingMode.VELOCITY,
    OperatingMode.POSITION,
    OperatingMode.EXTENDED_POSITION,
    OperatingMode.CURRENT_BASED_POSITION,
    OperatingMode.PWM,
)
# What `show` packs: clock to temperature.
_SHOWN = range(120, 147)
# Indirect addresses point at RAM only (e-manual, range of Indirect Address).
_RAM_START = 64


@dataclass(frozen=True, slots=True)
class Write:
    """A register that is to be changed, raw."""

    register: Register
    raw: int


class MotorMemory:
    """Bytes and rules.

    Args:
        table: Of the model and firmware.
        values: Raw values that differ from the factory's, by register.
    """

    def __init__(self, table: ControlTable, values: Mapping[str, int]) -> None:
        self.table = table
        self._by_address = {register.address: register for register in table.registers.values()}
        ends = [register.address + register.size for register in table.registers.values()]
        self.size = max([*ends, *(max(bank.address + 2 * bank.count, bank.data + bank.count) for bank in table.indirect)])
        self._bytes = bytearray(self.size)
        # Byte address of indirect data to the address of the two bytes that choose what stands there.
        self._chooser = {bank.data + i: bank.address + 2 * i for bank in table.indirect for i in range(bank.count)}
        self._addresses = {bank.address + 2 * i for bank in table.indirect for i in range(bank.count)}
        self._own = dict(values)
        # Firmware looks at its registers thousands of times a second: where each stands is worked out once.
        self._places = {name: (r.address, r.address + r.size, r.signed) for name, r in table.registers.items()}
        # Values beside their bytes, but for the block that `show` packs.
        self._values: dict[str, int] = {}
        self._first_data = min(self._chooser, default=self.size)
        self.reset_to_factory(())

    def __getitem__(self, name: str) -> int:
        """Return the raw value of a register."""
        value = self._values.get(name)
        if value is not None:
            return value
        start, end, signed = self._places[name]
        return int.from_bytes(self._bytes[start:end], "little", signed=signed)

    def __setitem__(self, name: str, raw: int) -> None:
        """Set a register by firmware: no rule holds."""
        start, end, signed = self._places[name]
        self._bytes[start:end] = raw.to_bytes(end - start, "little", signed=signed)
        if start not in _SHOWN:
            self._values[name] = raw

    def has(self, name: str) -> bool:
        """Tell whether the model has a register."""
        return name in self.table.registers

    def reset_to_factory(self, keep: tuple[str, ...]) -> None:
        """Set everything to what the factory delivers, but for registers named in `keep`."""
        kept = {name: self[name] for name in keep}
        for register in self.table.registers.values():
            self[register.name] = register.initial or 0
        for name, raw in (self._own | kept).items():
            self[name] = raw
        self._reset_indirect()

    def show(self, address: int, layout: Struct, *values: int) -> None:
        """Set a block of registers by firmware, packed by `layout`."""
        layout.pack_into(self._bytes, address, *values)

    def restart(self) -> None:
        """Lose what power holds: RAM goes back to its initial values; EEPROM stays."""
        for register in self.table.registers.values():
            if not register.eeprom:
                self[register.name] = register.initial or 0
        self._reset_indirect()

    def _reset_indirect(self) -> None:
        for bank in self.table.indirect:
            for index in range(bank.count):
                at = bank.address + 2 * index
                self._bytes[at : at + 2] = (bank.data + index).to_bytes(2, "little")

    def read(self, address: int, size: int) -> bytes | ErrorCode:
        """Return a block, or why not."""
        if size < 1:
            return ErrorCode.DATA_LENGTH
        if address + size > self.size:
            return ErrorCode.ACCESS
        if address + size <= self._first_data:
            return bytes(self._bytes[address : address + size])
        return bytes(self._bytes[self._target(at)] for at in range(address, address + size))

    def shows(self, address: int, size: int, wanted: range) -> bool:
        """Tell whether a block holds a byte of `wanted`, itself or by an indirect address."""
        if address < wanted.stop and address + size > wanted.start:
            return True
        return any(self._target(at) in wanted for at in range(address, address + size) if at in self._chooser)

    def _target(self, address: int) -> int:
        """Return where a byte really is: indirect data stands where its address points."""
        chooser = self._chooser.get(address)
        if chooser is None:
            return address
        target = int.from_bytes(self._bytes[chooser : chooser + 2], "little")
        return target if target < self.size else address

    def plan(self, address: int, data: bytes, *, locked_goals: bool) -> list[Write] | ErrorCode:
        """Say which registers a write changes, or why it is refused; changes nothing.

        Args:
            address: Of the first byte.
            data: What is written.
            locked_goals: The bus watchdog has expired.
        """
        if not data:
            return ErrorCode.DATA_LENGTH
        if address + len(data) > self.size:
            return ErrorCode.ACCESS
        register = self._by_address.get(address)
        if register is not None and register.size == len(data):
            # Nearly every write: one register, and nothing indirect about it.
            write = Write(register, register.decode(data))
            return self._judge(write, [write], locked_goals=locked_goals) or [write]
        writes: list[Write] = []
        at = 0
        while at < len(data):
            step = self._plan_next(address + at, data[at:], writes)
            if isinstance(step, ErrorCode):
                return step
            at += step
        for write in writes:
            error = self._judge(write, writes, locked_goals=locked_goals)
            if error is not None:
                return error
        self._commit_indirect(address, data)
        return writes

    def _plan_next(self, place: int, data: bytes, writes: list[Write]) -> int | ErrorCode:
        """Plan what begins at an address; return how many bytes that takes, or why it is refused."""
        if place in self._addresses:
            return self._plan_address(data[:2]) or 2
        if place in self._chooser:
            return self._plan_byte(place, data[0], writes) or 1
        register = self._by_address.get(place)
        if register is None:
            return ErrorCode.ACCESS
        if len(data) < register.size:
            return ErrorCode.DATA_LENGTH
        writes.append(Write(register, register.decode(data)))
        return register.size

    def _plan_address(self, chunk: bytes) -> ErrorCode | None:
        """Judge a write of an indirect address."""
        if len(chunk) < 2:
            return ErrorCode.DATA_LENGTH
        if self["torque_enable"]:
            # e-manual, Indirect Address: cannot be changed while torque is on.
            return ErrorCode.ACCESS
        return None if _RAM_START <= int.from_bytes(chunk, "little") < self.size else ErrorCode.DATA_RANGE

    def _plan_byte(self, place: int, value: int, writes: list[Write]) -> ErrorCode | None:
        """Judge a write of one byte of indirect data: it changes one byte of a register, or a byte of its own."""
        target = self._target(place)
        if target == place:
            return None
        register = next((r for r in self._by_address.values() if r.address <= target < r.address + r.size), None)
        if register is None:
            return ErrorCode.ACCESS
        index = next((i for i, write in enumerate(writes) if write.register is register), None)
        before = writes[index].raw if index is not None else self[register.name]
        raw = bytearray(before.to_bytes(register.size, "little", signed=register.signed))
        raw[target - register.address] = value
        changed = Write(register, register.decode(bytes(raw)))
        if index is None:
            writes.append(changed)
        else:
            writes[index] = changed
        return None

    def _commit_indirect(self, address: int, data: bytes) -> None:
        """Store indirect addresses, and indirect data that point nowhere else."""
        for offset, value in enumerate(data):
            place = address + offset
            if place in self._addresses or place - 1 in self._addresses or (place in self._chooser and self._target(place) == place):
                self._bytes[place] = value

    def _judge(self, write: Write, writes: list[Write], *, locked_goals: bool) -> ErrorCode | None:
        register, raw = write.register, write.raw
        if not register.writable or (register.eeprom and self["torque_enable"]):
            return ErrorCode.ACCESS
        if register.name in GOALS:
            if locked_goals:
                return ErrorCode.DATA_RANGE
            low, high = goal_bounds(register.name, self._values if len(writes) == 1 else self._with(writes))
            return None if low <= raw <= high else ErrorCode.DATA_LIMIT
        if not register.minimum <= raw <= register.maximum or (register.name == "operating_mode" and raw not in _MODES):
            return ErrorCode.DATA_RANGE
        return None

    def _with(self, writes: list[Write]) -> Mapping[str, int]:
        names = ("operating_mode", "pwm_limit", "current_limit", "velocity_limit", "min_position_limit", "max_position_limit")
        return {name: self[name] for name in names} | {write.register.name: write.raw for write in writes if write.register.name in names}
