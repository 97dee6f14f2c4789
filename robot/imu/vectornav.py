"""The VectorNav VN-100's binary output as pure functions, for both ends of the wire, and the parser of its stream.

    FA | groups | fields, uint16 | payload | CRC, big endian        CRC-16 (0x1021, initially 0) of all bytes between FA and itself

Of group 1: TimeStartup (bit 0), Quaternion (bit 4), AngularRate (bit 5); numbers little endian. Source: VectorNav, "VN-100 User Manual"
UM001, sections 4 (binary messages) and 5.2 (registers). No device was at hand.

Frames: sensor as printed on it (z down when it lies flat). The device's world is north, east, down; samples have z up: north, west, up.
"""

from __future__ import annotations

import binascii
import re
import struct
from functools import reduce
from operator import xor

from robot.errors import UsageError
from robot.imu.sample import ImuSample, ParserStatistics, plausible, require_plausible
from robot.imu.scanner import FrameScanner

# Group 1 and bits 0, 4 and 5 of its fields.
_GROUPS, _FIELDS = 0x01, 0x0031
_PREFIX = struct.pack("<BBH", 0xFA, _GROUPS, _FIELDS)
# ns; x, y, z, w; x, y, z in rad/s.
_PAYLOAD = struct.Struct("<Q4f3f")
SAMPLE_BYTES = len(_PREFIX) + _PAYLOAD.size + 2
# Register 5.
BAUDS = (9600, 19200, 38400, 57600, 115200, 128000, 230400, 460800, 921600)
# The nominal ImuRate, of which a message's rate is a whole fraction (register 75).
_IMU_RATE_HZ = 800
RATES_HZ = tuple(rate for rate in range(10, _IMU_RATE_HZ + 1) if _IMU_RATE_HZ % rate == 0)


def checksum(message: bytes) -> int:
    """Return the CRC of all bytes behind the first; over a whole message it is 0."""
    return binascii.crc_hqx(message[1:], 0)


def _is_intact(message: bytes) -> bool:
    return checksum(message) == 0


def encode(sample: ImuSample) -> bytes:
    """Return the message of a sample, rounded to float32.

    Raises:
        UsageError: If a number is not finite or beyond float32, the quaternion's norm not near 1, or the device time missing or negative.
    """
    require_plausible(sample)
    time_ns = sample.device_time_ns
    if time_ns is None or not 0 <= time_ns < 2**64:
        raise UsageError(f"a VN-100 sends the time since it started, 0 to 2**64 - 1 ns: got {time_ns}")
    # The inverse of `_decode`: both turn the world by half a turn about north, i * q, which only permutes: it is exact.
    w, x, y, z = sample.quaternion_wxyz
    try:
        payload = _PAYLOAD.pack(time_ns, -w, z, -y, x, *sample.angular_velocity_sensor_rad_s)
    except OverflowError as error:
        raise UsageError(f"a VN-100 sends float32: got {sample.angular_velocity_sensor_rad_s} rad/s") from error
    message = _PREFIX + payload
    return message + checksum(message).to_bytes(2, "big")


def decode(message: bytes) -> ImuSample | None:
    """Return the sample of a message; None if it is none of ours, damaged, or says what cannot be."""
    if len(message) != SAMPLE_BYTES or not message.startswith(_PREFIX) or not _is_intact(message):
        return None
    return _decode(message)


def _decode(message: bytes) -> ImuSample | None:
    time_ns, x, y, z, w, p, q, r = _PAYLOAD.unpack_from(message, len(_PREFIX))
    sample = ImuSample((-x, w, -z, y), (p, q, r), None, time_ns)
    return sample if plausible(sample) else None


def command(text: str) -> bytes:
    """Return an ASCII command with its checksum: the XOR of all between $ and *. The text is without both: "VNRRG,5"."""
    return f"${text}*{reduce(xor, text.encode('ascii'), 0):02X}\r\n".encode("ascii")


def configuration(rate_hz: int) -> tuple[bytes, ...]:
    """Return the commands that make a VN-100 send what is read here, and remember it: no ASCII output, the message, save.

    The manual asks for a sensor at rest while it saves, which takes 0.5 s. The message goes to both of its serial ports.

    Args:
        rate_hz: Messages per second, one of `RATES_HZ`.

    Raises:
        UsageError: If the rate is no whole fraction of 800 Hz.
    """
    if rate_hz not in RATES_HZ:
        raise UsageError(f"a VN-100 sends at {', '.join(map(str, RATES_HZ))} Hz: got {rate_hz}")
    message = f"VNWRG,75,3,{_IMU_RATE_HZ // rate_hz},{_GROUPS:02X},{_FIELDS:04X}"
    return command("VNWRG,06,0"), command(message), command("VNWNV")


class VectorNavParser:
    """Turns a stream into samples. Everything else, such as ASCII and other binary messages, is skipped."""

    def __init__(self) -> None:
        self.statistics = ParserStatistics()
        self._scanner = FrameScanner(re.compile(re.escape(_PREFIX)), SAMPLE_BYTES, _is_intact, self.statistics)

    def feed(self, data: bytes) -> list[ImuSample]:
        """Take bytes; return the samples that are complete now, oldest first."""
        decoded = [_decode(message) for message, _ in self._scanner.feed(data)]
        samples = [sample for sample in decoded if sample is not None]
        self.statistics.samples += len(samples)
        self.statistics.bad_content += len(decoded) - len(samples)
        return samples
