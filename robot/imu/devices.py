"""The kinds of IMU: what differs between them, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from robot.imu import vectornav, witmotion
from robot.imu.sample import ImuSample, ParserStatistics

Kind = Literal["witmotion", "vectornav"]


class SampleParser(Protocol):
    """Turns a stream of bytes into samples."""

    statistics: ParserStatistics

    def feed(self, data: bytes) -> list[ImuSample]:
        """Take bytes; return the samples that are complete now, oldest first."""


@dataclass(frozen=True, slots=True)
class ImuDevice:
    """A kind of IMU.

    Attributes:
        name: For messages.
        bauds: Bits/s that it can be set to.
        rates_hz: Samples per second that it can be set to.
        sample_bytes: What a sample takes on the wire.
        encode: Returns the bytes of a sample.
        parser: Makes a parser of its stream.
        configuration: Returns the commands that make it send what the parser reads, at a rate in Hz.
    """

    name: str
    bauds: tuple[int, ...]
    rates_hz: tuple[int, ...]
    sample_bytes: int
    encode: Callable[[ImuSample], bytes]
    parser: Callable[[], SampleParser]
    configuration: Callable[[int], tuple[bytes, ...]]


DEVICES: Mapping[Kind, ImuDevice] = {
    "witmotion": ImuDevice(
        "WT901",
        witmotion.BAUDS,
        witmotion.RATES_HZ,
        witmotion.SAMPLE_BYTES,
        witmotion.encode,
        witmotion.WitMotionParser,
        witmotion.configuration,
    ),
    "vectornav": ImuDevice(
        "VN-100",
        vectornav.BAUDS,
        vectornav.RATES_HZ,
        vectornav.SAMPLE_BYTES,
        vectornav.encode,
        vectornav.VectorNavParser,
        vectornav.configuration,
    ),
}
