"""The WitMotion WT901's serial protocol as pure functions, for both ends of the wire, and the parser of its stream.

    55 | TYPE | four int16, little endian | SUM        SUM = low byte of the sum of the ten bytes before it

Sources: WitMotion, "WT901 Datasheet" v20-0702 and "WIT Standard Communication Protocol"
(https://wit-motion.gitbook.io/witmotion-sdk/wit-standard-protocol/wit-standard-communication-protocol). The frames of one output cycle
follow each other in the order of their types. The manual scales q0 to q3 and does not say which is the scalar: here it is q0, as usual
with these names. No device was at hand; where one orders them otherwise, its own accelerometer contradicts (`tilt_error_rad`).

Frames: sensor as printed on it (z up when it lies flat), world x east, y north, z up.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from enum import IntEnum

from robot.errors import UsageError
from robot.imu.rotations import Quaternion, Vector
from robot.imu.sample import ImuSample, ParserStatistics, plausible, require_plausible
from robot.imu.scanner import FrameScanner

FRAME_BYTES = 11
Raws = tuple[int, int, int, int]
_SYNC = 0x55
_FRAME = struct.Struct("<BB4h")


class FrameType(IntEnum):
    """Second byte of a frame."""

    TIME = 0x50
    ACCELERATION = 0x51
    GYRO = 0x52
    ANGLE = 0x53
    MAGNETIC = 0x54
    PORTS = 0x55
    PRESSURE = 0x56
    POSITION = 0x57
    GROUND_SPEED = 0x58
    QUATERNION = 0x59
    SATELLITES = 0x5A
    # The answer to a question; stands outside of the cycle.
    REGISTERS = 0x5F


_HEADER = re.compile(b"\x55[" + bytes(FrameType) + b"]")

# What 32,768 stands for: g, rad/s, rad, 1 (communication protocol, "Read Format").
FULL_SCALE = {
    FrameType.ACCELERATION: 16.0,
    FrameType.GYRO: math.radians(2000.0),
    FrameType.ANGLE: math.pi,
    FrameType.QUATERNION: 1.0,
}
# Register BAUD 0x04; the protocol reserves 460,800 and 921,600 for other models.
BAUDS = (4800, 9600, 19200, 38400, 57600, 115200, 230400)
# Register RRATE 0x03: samples per second and their codes.
_RATE_CODES = {10: 0x06, 20: 0x07, 50: 0x08, 100: 0x09, 200: 0x0B}
RATES_HZ = tuple(_RATE_CODES)
# Acceleration, gyro and quaternion: what `encode` writes and `configuration` asks for.
SAMPLE_BYTES = 3 * FRAME_BYTES
# The fourth word of an acceleration frame, 0.01 deg C; of a gyro frame it is unused.
_TEMPERATURE_RAW = 2500


def to_raw(value: float, full_scale: float) -> int:
    """Return the int16 of a finite value in units of `full_scale`; the ends of the range saturate, as in the device."""
    return max(-32768, min(32767, round(value / full_scale * 32768.0)))


def from_raw(raw: int, full_scale: float) -> float:
    """The inverse of `to_raw`."""
    return raw * full_scale / 32768.0


def encode_frame(kind: int, raws: Sequence[int]) -> bytes:
    """Return a whole frame.

    Raises:
        UsageError: If the type is no byte, or there are not four int16.
    """
    if not 0 <= kind <= 0xFF or len(raws) != 4 or not all(-32768 <= raw <= 32767 for raw in raws):
        raise UsageError(f"a frame holds a type of one byte and four numbers from -32768 to 32767: got {kind} and {list(raws)}")
    body = _FRAME.pack(_SYNC, kind, *raws)
    return body + bytes((sum(body) & 0xFF,))


def decode_frame(frame: bytes) -> tuple[int, Raws] | None:
    """Return type and content of a frame; None if it is none, or damaged."""
    if len(frame) != FRAME_BYTES or frame[0] != _SYNC or not _sum_is_right(frame):
        return None
    _, kind, a, b, c, d = _FRAME.unpack_from(frame)
    return kind, (a, b, c, d)


def _sum_is_right(frame: bytes) -> bool:
    return sum(frame[:-1]) & 0xFF == frame[-1]


def encode(sample: ImuSample) -> bytes:
    """Return one output cycle: acceleration (where the sample has it), gyro, quaternion. The device time is not sent.

    Raises:
        UsageError: If a number is not finite, or the quaternion's norm not near 1.
    """
    require_plausible(sample)
    force = sample.specific_force_sensor_g
    acceleration = b"" if force is None else _encode_vector(FrameType.ACCELERATION, force, _TEMPERATURE_RAW)
    quaternion = [to_raw(value, FULL_SCALE[FrameType.QUATERNION]) for value in sample.quaternion_wxyz]
    gyro = _encode_vector(FrameType.GYRO, sample.angular_velocity_sensor_rad_s, 0)
    return acceleration + gyro + encode_frame(FrameType.QUATERNION, quaternion)


def _encode_vector(kind: FrameType, vector: Vector, fourth: int) -> bytes:
    return encode_frame(kind, (*(to_raw(value, FULL_SCALE[kind]) for value in vector), fourth))


def configuration(rate_hz: int) -> tuple[bytes, ...]:
    """Return the commands that make a WT901 send what is read here, and remember it: unlock, content, rate, save.

    They are to be sent with pauses. A command is FF AA, a register's address and its value, little endian.

    Args:
        rate_hz: Output cycles per second, one of `RATES_HZ`.

    Raises:
        UsageError: If the device does not know the rate.
    """
    if rate_hz not in _RATE_CODES:
        raise UsageError(f"a WT901 sends at {', '.join(map(str, RATES_HZ))} Hz: got {rate_hz}")
    kinds = (FrameType.ACCELERATION, FrameType.GYRO, FrameType.QUATERNION)
    # Register RSW 0x02 has a bit for each type, from 0x50 on.
    content = sum(1 << (kind - FrameType.TIME) for kind in kinds)
    registers = ((0x69, 0xB588), (0x02, content), (0x03, _RATE_CODES[rate_hz]), (0x00, 0x0000))
    return tuple(struct.pack("<BBBH", 0xFF, 0xAA, address, value) for address, value in registers)


class WitMotionParser:
    """Turns a stream into samples: a quaternion with the gyro (and acceleration) frame of the same cycle, without a gap between them.

    A type that is not above the one before begins a new cycle, and so does a gap: a quaternion is never paired with an older gyro frame,
    unless exactly the bytes from one gyro frame to the next were lost, which leaves no trace on the wire. The sum has eight bits only, so
    a frame's content is not believed alone: random bytes make a sample with less than 1e-15 a byte (two headers, two sums, the norm).
    """

    def __init__(self) -> None:
        self.statistics = ParserStatistics()
        self._scanner = FrameScanner(_HEADER, FRAME_BYTES, _sum_is_right, self.statistics)
        self._newest = -1
        self._acceleration: Vector | None = None
        self._gyro: Vector | None = None

    def feed(self, data: bytes) -> list[ImuSample]:
        """Take bytes; return the samples that are complete now, oldest first."""
        samples = (self._add(frame, in_sequence) for frame, in_sequence in self._scanner.feed(data))
        return [sample for sample in samples if sample is not None]

    def _add(self, frame: bytes, in_sequence: bool) -> ImuSample | None:
        _, kind, a, b, c, d = _FRAME.unpack_from(frame)
        if not in_sequence or (kind <= self._newest and kind != FrameType.REGISTERS):
            self._begin()
        if kind == FrameType.REGISTERS:
            return None
        self._newest = kind
        if kind == FrameType.ACCELERATION:
            self._acceleration = _vector(kind, (a, b, c))
        elif kind == FrameType.GYRO:
            self._gyro = _vector(kind, (a, b, c))
        elif kind == FrameType.QUATERNION:
            return self._complete((a / 32768.0, b / 32768.0, c / 32768.0, d / 32768.0))
        return None

    def _begin(self) -> None:
        self.statistics.unpaired += self._gyro is not None
        self._newest, self._acceleration, self._gyro = -1, None, None

    def _complete(self, quaternion: Quaternion) -> ImuSample | None:
        gyro, self._gyro = self._gyro, None
        if gyro is None:
            self.statistics.unpaired += 1
            return None
        sample = ImuSample(quaternion, gyro, self._acceleration)
        if not plausible(sample):
            self.statistics.bad_content += 1
            return None
        self.statistics.samples += 1
        return sample


def _vector(kind: FrameType, raws: tuple[int, int, int]) -> Vector:
    x, y, z = (from_raw(raw, FULL_SCALE[kind]) for raw in raws)
    return x, y, z
