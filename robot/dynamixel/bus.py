"""What a motor bus does, whichever code drives it: the interface of both back ends and what they count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot.dynamixel.codec import ErrorCode, Status
from robot.errors import BusError

# Words for the error codes of a status (e-manual, Protocol 2.0, Error).
_REFUSALS = {
    ErrorCode.RESULT_FAIL: "could not process the instruction",
    ErrorCode.INSTRUCTION: "does not know the instruction",
    ErrorCode.CRC: "received a damaged frame",
    ErrorCode.DATA_RANGE: "finds the data out of range",
    ErrorCode.DATA_LENGTH: "finds the data too short",
    ErrorCode.DATA_LIMIT: "finds the data beyond its limits",
    ErrorCode.ACCESS: "does not allow this access: a read-only register, an unknown address, or EEPROM while torque is on",
}


@dataclass(slots=True)
class Readings:
    """One sync read of the same block of several motors.

    Attributes:
        ids: Of the motors, in the order that the caller asked for.
        data: Shape (n, size), uint8; rows of motors that did not answer are zero.
        fresh: Shape (n,): answered in this cycle.
        alert: Shape (n,): the motor reports a hardware error, which register 70 names.
        stamp_s: Time of the monotonic clock at which the request was sent.
        wrong: Answers under a right checksum that cannot be of who was asked. Noise makes none but by chance, one frame in 65,536.
    """

    ids: tuple[int, ...]
    data: NDArray[np.uint8]
    fresh: NDArray[np.bool_]
    alert: NDArray[np.bool_]
    stamp_s: float = 0.0
    wrong: int = 0

    def put(self, motor: int, data: bytes, *, alert: bool) -> None:
        """Take the answer of one motor."""
        row = self.ids.index(motor)
        self.data[row] = np.frombuffer(data, np.uint8)
        self.fresh[row], self.alert[row] = True, alert

    def fill(self, motors: tuple[int, ...], data: NDArray[np.uint8], alert: NDArray[np.bool_]) -> None:
        """Take the answers of several motors. Shapes (k, size) and (k,)."""
        rows = slice(None) if motors == self.ids else [self.ids.index(motor) for motor in motors]
        self.data[rows], self.alert[rows], self.fresh[rows] = data, alert, True

    def missing(self, motors: Sequence[int]) -> list[int]:
        """Return those of `motors` that have not answered."""
        return [motor for motor in motors if not self.fresh[self.ids.index(motor)]]

    def column(self, offset: int, kind: str) -> NDArray[np.int64]:
        """Return the number at `offset` of each row, of a NumPy type such as "<i4". Shape (n,)."""
        size = np.dtype(kind).itemsize
        numbers: NDArray[np.int64] = np.ascontiguousarray(self.data[:, offset : offset + size]).view(kind)[:, 0].astype(np.int64)
        return numbers


def empty_readings(ids: Sequence[int], size: int) -> Readings:
    """Return readings in which no motor has answered yet."""
    count = len(ids)
    return Readings(tuple(ids), np.zeros((count, size), np.uint8), np.zeros(count, np.bool_), np.zeros(count, np.bool_))


@dataclass(slots=True)
class MotorCount:
    """What happened with one motor since the bus was opened."""

    answers: int = 0
    # Cycles or requests without an answer, retries included.
    missed: int = 0
    # Answers with a hardware alert, and with an error code.
    alerts: int = 0
    refusals: int = 0


@dataclass(slots=True)
class BusCount:
    """What happened on a bus since it was opened. A rising error rate is a matter of cables, supply or termination."""

    transactions: int = 0
    # Bytes that belonged to no frame, or to one with a wrong CRC.
    noise_bytes: int = 0
    # Answers that nobody had asked for: late, doubled or of another bus.
    strays: int = 0
    retries: int = 0
    motors: dict[int, MotorCount] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Answers that did not come, and those with an error code."""
        return sum(motor.missed + motor.refusals for motor in self.motors.values())

    def motor(self, motor: int) -> MotorCount:
        """Return the count of a motor, a new one if it is the first time."""
        return self.motors.setdefault(motor, MotorCount())


class MotorBus(Protocol):
    """Reads and writes registers. All methods may be called from several threads; each is one undivided transaction."""

    def read(self, motor: int, address: int, size: int) -> Status:
        """Read a block of one motor, with retries; raises BusError if it does not answer or refuses."""

    def write(self, motor: int, address: int, data: bytes) -> Status:
        """Write a block of one motor, with retries; raises BusError if it does not answer or refuses."""

    def sync_read(self, motors: Sequence[int], address: int, size: int) -> Readings:
        """Read the same block of several motors; motors that stay silent are not fresh. Raises PortLostError only."""

    def sync_write(self, address: int, data: Mapping[int, bytes]) -> None:
        """Write the same register of several motors; no motor answers. Raises PortLostError."""

    def close(self) -> None:
        """Release the port. Idempotent."""


class BusSetup(Protocol):
    """What setting up motors needs beside reading and writing."""

    def ping(self, motor: int) -> tuple[int, int] | None:
        """Return (model number, firmware) of a motor, None if it does not answer."""

    def scan(self) -> dict[int, tuple[int, int]]:
        """Return (model number, firmware) of every motor that answers at the present rate."""

    def reboot(self, motor: int) -> None:
        """Start a motor again; raises BusError if it does not confirm."""


def identity(status: Status) -> tuple[int, int]:
    """Return (model number, firmware) from the answer to a ping."""
    return int.from_bytes(status.data[:2], "little"), status.data[2]


def require_single(answers: Sequence[Status]) -> dict[int, tuple[int, int]]:
    """Return (model number, firmware) by id.

    Raises:
        BusError: If an id answered more than once.
    """
    ids = [answer.id for answer in answers]
    twice = sorted({motor for motor in ids if ids.count(motor) > 1})
    if twice:
        raise BusError(
            f"more than one motor answers as {', '.join(map(str, twice))}: connect them one at a time and give each an id of its own "
            "with `fetlock bus setup`"
        )
    return {answer.id: identity(answer) for answer in answers}


def silent_motor(motor: int, what: str, path: str) -> BusError:
    """Return the error of a motor that does not answer."""
    return BusError(f"motor {motor} on {path} does not answer ({what}): check its id, cable, supply and rate with `fetlock bus scan`")


def require_done(status: Status, what: str) -> Status:
    """Return a status without an error code. An alert is data, not an error.

    Raises:
        BusError: If the motor refused.
    """
    if status.error != ErrorCode.NONE:
        reason = _REFUSALS.get(ErrorCode(status.error)) if status.error in set(ErrorCode) else f"reports the unknown error {status.error}"
        raise BusError(f"motor {status.id} {reason}: {what}")
    return status
