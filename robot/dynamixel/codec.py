"""DYNAMIXEL Protocol 2.0 as pure functions: frames to bytes and back, for both ends of the wire.

    FF FF FD 00 | ID | LEN_L LEN_H | INSTRUCTION | PARAMETERS | CRC_L CRC_H        LEN = parameters + 3, stuffing included

Source: ROBOTIS e-manual, "DYNAMIXEL Protocol 2.0" (https://emanual.robotis.com/docs/en/dxl/protocol2/). dynamixel-sdk 4.1.0 drops the
stuffing of what it sends and loses a byte of some replies; what follows is written from the manual, and checked against its examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from robot.errors import UsageError

HEADER = b"\xff\xff\xfd\x00"
BROADCAST_ID = 0xFE
# 253 and 255 are reserved: they would look like parts of a header.
MAX_ID = 252
# Header, id and length stand before what the length counts.
_PREFIX = 7
# Instruction and CRC: the shortest content that a length can count.
_MIN_LENGTH = 3
# Longer frames are taken for noise: no X-series table has more than 1,024 bytes, and a broken length must not make a reader wait for
# 64 KiB.
MAX_LENGTH = 2048
_CRC_POLYNOMIAL = 0x8005
_PATTERN, _STUFFED = b"\xff\xff\xfd", b"\xff\xff\xfd\xfd"


class Instruction(IntEnum):
    """What a frame asks for; STATUS marks a reply."""

    PING = 0x01
    READ = 0x02
    WRITE = 0x03
    REG_WRITE = 0x04
    ACTION = 0x05
    FACTORY_RESET = 0x06
    REBOOT = 0x08
    CLEAR = 0x10
    CONTROL_TABLE_BACKUP = 0x20
    STATUS = 0x55
    SYNC_READ = 0x82
    SYNC_WRITE = 0x83
    FAST_SYNC_READ = 0x8A
    BULK_READ = 0x92
    BULK_WRITE = 0x93
    FAST_BULK_READ = 0x9A


class ErrorCode(IntEnum):
    """Lower seven bits of a reply's error byte."""

    NONE = 0
    RESULT_FAIL = 1
    INSTRUCTION = 2
    CRC = 3
    DATA_RANGE = 4
    DATA_LENGTH = 5
    DATA_LIMIT = 6
    ACCESS = 7


class ResetLevel(IntEnum):
    """What a factory reset spares."""

    ALL = 0xFF
    EXCEPT_ID = 0x01
    EXCEPT_ID_AND_BAUD = 0x02


# Bit 7 of the error byte: the motor has a hardware error in register 70. Data, not a fault of communication.
ALERT = 0x80


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame whose CRC was right.

    Attributes:
        id: Of the motor that it is for, or from.
        instruction: Raw code; an emulator must answer those that it does not know.
        parameters: Unstuffed; of a fast reply as they stood on the wire.
    """

    id: int
    instruction: int
    parameters: bytes


@dataclass(frozen=True, slots=True)
class Status:
    """A motor's reply.

    Attributes:
        id: Of the motor.
        error: Code 0 to 7; see `ErrorCode`.
        alert: The motor has a hardware error.
        data: What was asked for.
    """

    id: int
    error: int
    alert: bool
    data: bytes


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ _CRC_POLYNOMIAL if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return tuple(table)


_TABLE = _crc_table()


def crc16(data: bytes, crc: int = 0) -> int:
    """Return the CRC of `data`, going on from `crc`: polynomial 0x8005, not reflected, initially 0 (CRC-16/UMTS)."""
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _TABLE[crc >> 8 ^ byte]
    return crc


def stuff(content: bytes) -> bytes:
    """Put FD behind every FF FF FD, so that nothing in a frame looks like a header."""
    return content.replace(_PATTERN, _STUFFED)


def unstuff(content: bytes) -> bytes:
    """The inverse of `stuff`. The pattern overlaps neither itself nor its stuffed form, so that left to right is exact."""
    return content.replace(_STUFFED, _PATTERN)


def encode(motor: int, instruction: int, parameters: bytes = b"") -> bytes:
    """Return a whole frame.

    Raises:
        UsageError: If the id is none, or the frame too long.
    """
    if not (0 <= motor <= MAX_ID or motor == BROADCAST_ID):
        raise UsageError(f"a motor's id is 0 to {MAX_ID}, or {BROADCAST_ID} for all: got {motor}")
    content = stuff(bytes((instruction,)) + parameters)
    length = len(content) + 2
    if length > MAX_LENGTH:
        raise UsageError(f"a frame of length {length} is longer than {MAX_LENGTH} bytes: send it in parts")
    frame = HEADER + bytes((motor, length & 0xFF, length >> 8)) + content
    return frame + crc16(frame).to_bytes(2, "little")


def decode(buffer: bytes, *, ended: bool = False) -> tuple[list[Frame], int]:
    """Find whole frames in a stream.

    Noise, frames with a wrong CRC and impossible lengths are skipped byte by byte: a header inside of a damaged frame is found.

    Args:
        buffer: What was received and not yet consumed.
        ended: Nothing more will come: what claims to be longer than the buffer is noise.

    Returns:
        The frames in order, and how many bytes are done with; the rest is the beginning of a frame, or of a header.
    """
    frames: list[Frame] = []
    at = 0
    while True:
        found = buffer.find(HEADER, at)
        if found < 0:
            # The last three bytes may be a header's beginning.
            return frames, max(at, len(buffer) - len(HEADER) + 1)
        at = found
        if len(buffer) < at + _PREFIX:
            return frames, len(buffer) if ended else at
        length = buffer[at + 5] | buffer[at + 6] << 8
        if not _MIN_LENGTH <= length <= MAX_LENGTH:
            at += 1
            continue
        end = at + _PREFIX + length
        if len(buffer) < end:
            if not ended:
                return frames, at
            at += 1
            continue
        if crc16(buffer[at : end - 2]) != buffer[end - 2] | buffer[end - 1] << 8:
            at += 1
            continue
        instruction, content = buffer[at + _PREFIX], buffer[at + _PREFIX + 1 : end - 2]
        fast = instruction == Instruction.STATUS and buffer[at + 4] == BROADCAST_ID
        frames.append(Frame(buffer[at + 4], instruction, content if fast else unstuff(bytes((instruction,)) + content)[1:]))
        at = end


def status(frame: Frame) -> Status | None:
    """Read a frame as one motor's reply; None if it is something else."""
    if frame.instruction != Instruction.STATUS or frame.id == BROADCAST_ID or not frame.parameters:
        return None
    error = frame.parameters[0]
    return Status(frame.id, error & ~ALERT, bool(error & ALERT), frame.parameters[1:])


def encode_status(motor: int, error: int, data: bytes = b"", *, alert: bool = False) -> bytes:
    """Return a motor's reply."""
    return encode(motor, Instruction.STATUS, bytes((error | (ALERT if alert else 0),)) + data)


def ping(motor: int = BROADCAST_ID) -> bytes:
    """Ask who is there; each answers with its model number (2 bytes) and firmware (1)."""
    return encode(motor, Instruction.PING)


def read(motor: int, address: int, size: int) -> bytes:
    """Ask one motor for `size` bytes."""
    return encode(motor, Instruction.READ, _u16(address) + _u16(size))


def write(motor: int, address: int, data: bytes) -> bytes:
    """Write to one motor."""
    return encode(motor, Instruction.WRITE, _u16(address) + data)


def reg_write(motor: int, address: int, data: bytes) -> bytes:
    """Write to one motor when `action` comes."""
    return encode(motor, Instruction.REG_WRITE, _u16(address) + data)


def action(motor: int = BROADCAST_ID) -> bytes:
    """Carry out what `reg_write` left."""
    return encode(motor, Instruction.ACTION)


def reboot(motor: int) -> bytes:
    """Start one motor again: the only way out of a shutdown."""
    return encode(motor, Instruction.REBOOT)


def factory_reset(motor: int, level: ResetLevel) -> bytes:
    """Set one motor to what it left the factory with."""
    return encode(motor, Instruction.FACTORY_RESET, bytes((level,)))


def clear_turns(motor: int) -> bytes:
    """Bring a multi-turn position back to one turn; 44 58 4C 22 is the manual's safeguard against a stray frame."""
    return encode(motor, Instruction.CLEAR, b"\x01\x44\x58\x4c\x22")


def sync_read(motors: Sequence[int], address: int, size: int, *, fast: bool = False) -> bytes:
    """Ask several motors for the same bytes; `fast`: they answer in one frame.

    Raises:
        UsageError: If a motor is named twice: its second answer would be taken for another's.
    """
    _require_distinct(motors)
    instruction = Instruction.FAST_SYNC_READ if fast else Instruction.SYNC_READ
    return encode(BROADCAST_ID, instruction, _u16(address) + _u16(size) + bytes(motors))


def sync_write(address: int, data: Mapping[int, bytes]) -> bytes:
    """Write the same register of several motors, in the mapping's order; nobody answers.

    Raises:
        UsageError: If the data are of different sizes, or there are none.
    """
    sizes = {len(value) for value in data.values()}
    if len(sizes) != 1:
        raise UsageError(f"a sync write takes data of one size for at least one motor: got sizes {sorted(sizes)}")
    body = b"".join(bytes((motor,)) + value for motor, value in data.items())
    return encode(BROADCAST_ID, Instruction.SYNC_WRITE, _u16(address) + _u16(sizes.pop()) + body)


def bulk_read(wanted: Mapping[int, tuple[int, int]], *, fast: bool = False) -> bytes:
    """Ask several motors for bytes of their own: id to (address, size)."""
    body = b"".join(bytes((motor,)) + _u16(address) + _u16(size) for motor, (address, size) in wanted.items())
    return encode(BROADCAST_ID, Instruction.FAST_BULK_READ if fast else Instruction.BULK_READ, body)


def bulk_write(data: Mapping[int, tuple[int, bytes]]) -> bytes:
    """Write registers of their own to several motors: id to (address, data); nobody answers."""
    body = b"".join(bytes((motor,)) + _u16(address) + _u16(len(value)) + value for motor, (address, value) in data.items())
    return encode(BROADCAST_ID, Instruction.BULK_WRITE, body)


def encode_fast_status(statuses: Sequence[Status]) -> bytes:
    """Return the one frame in which several motors answer a fast read: ERROR ID DATA CRC for each, the CRC over all before it.

    It is not stuffed. Its length, 1 + sum(4 + size), counts all CRCs; the last one is that of the whole frame.
    """
    length = 1 + sum(4 + len(answer.data) for answer in statuses)
    frame = HEADER + bytes((BROADCAST_ID, length & 0xFF, length >> 8, Instruction.STATUS))
    crc = crc16(frame)
    for answer in statuses:
        part = bytes((answer.error | (ALERT if answer.alert else 0), answer.id)) + answer.data
        crc = crc16(part, crc)
        check = crc.to_bytes(2, "little")
        crc = crc16(check, crc)
        frame += part + check
    return frame


def decode_fast(buffer: bytes, expected: Sequence[tuple[int, int]]) -> list[Status]:
    """Read a fast reply by position, as far as it is right; later motors are missing where one did not answer or a bit was wrong.

    Args:
        buffer: Begins with the header of the reply; may be cut off.
        expected: (id, size) of each motor, in the order in which they were asked.
    """
    start = _PREFIX + 1
    length = 1 + sum(4 + size for _, size in expected)
    prefix = HEADER + bytes((BROADCAST_ID, length & 0xFF, length >> 8, Instruction.STATUS))
    if buffer[:start] != prefix:
        return []
    answers: list[Status] = []
    crc = crc16(prefix)
    for motor, size in expected:
        end = start + 2 + size
        if len(buffer) < end + 2 or buffer[start + 1] != motor:
            break
        crc = crc16(buffer[start:end], crc)
        if crc != buffer[end] | buffer[end + 1] << 8:
            break
        crc = crc16(buffer[end : end + 2], crc)
        error = buffer[start]
        answers.append(Status(motor, error & ~ALERT, bool(error & ALERT), buffer[start + 2 : end]))
        start = end + 2
    return answers


def _u16(value: int) -> bytes:
    if not 0 <= value <= 0xFFFF:
        raise UsageError(f"an address or a size is 0 to 65535: got {value}")
    return value.to_bytes(2, "little")


def _require_distinct(motors: Sequence[int]) -> None:
    if len(set(motors)) != len(motors) or not motors:
        raise UsageError(f"a sync read takes at least one motor, each once: got {list(motors)}")
