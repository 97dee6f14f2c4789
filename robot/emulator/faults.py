"""Faults of motors and wires, scripted: the same script and seed give the same faults at the same places."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from robot.dynamixel import codec
from robot.errors import UsageError

# Faults of single answers, and faults of motors that last.
ReplyFault = Literal["drop", "delay", "duplicate", "corrupt", "misaddress", "truncate"]
MotorFault = Literal["reboot", "overheat", "overload", "brown_out", "encoder_wrap", "stuck_encoder", "jam", "unplug"]
_REPLY_FAULTS = ("drop", "delay", "duplicate", "corrupt", "misaddress", "truncate")
# Motor faults that end; the others are events, whose traces a reboot or nothing removes.
_LASTING = ("brown_out", "stuck_encoder", "jam", "unplug")
# An encoder jumps by at most the range of a multi-turn position (e-manual, Goal Position), pulses.
_WRAP_MAX = 1_048_575.0
# A register of one byte shows the temperature (e-manual, Present Temperature), deg C.
_HEAT_MAX = 255.0


class Fault(BaseModel):
    """One fault: of answers while it is on, or of motors from a time on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ReplyFault | MotorFault
    # Ids; all motors where none is named.
    motors: tuple[int, ...] = ()
    # On the machine's clock, s: when it begins and how long it lasts.
    at_s: float = Field(default=0.0, ge=0.0)
    duration_s: float = Field(default=float("inf"), gt=0.0)
    # Of answers: which share of them is hit, or every how many-eth. For corrupt: of bytes, in both directions.
    probability: float = Field(default=1.0, ge=0.0, le=1.0)
    every: int | None = Field(default=None, ge=1)
    # Of answers: after how many that were hit it ends; not for corrupt.
    times: int | None = Field(default=None, ge=1)
    # delay: s; brown_out: V of the supply; encoder_wrap: pulses of the jump; overheat: deg C that the motor shows, from which it cools as
    # it does (without: one above its limit); misaddress: the id that answers then carry (without: the next one).
    magnitude: float | None = Field(default=None, ge=-_WRAP_MAX, le=_WRAP_MAX, allow_inf_nan=False)

    @model_validator(mode="after")
    def _magnitude_fits(self) -> Self:
        if self.kind in ("delay", "brown_out") and (self.magnitude is None or not 0.0 <= self.magnitude < 100.0):
            raise ValueError(f"{self.kind} needs a magnitude: {'seconds' if self.kind == 'delay' else 'volts of the supply'}")
        if self.kind == "overheat" and self.magnitude is not None and not 0.0 <= self.magnitude <= _HEAT_MAX:
            raise ValueError(f"overheat takes 0 to {_HEAT_MAX:.0f} deg C: got {self.magnitude}")
        if self.kind == "misaddress" and self.magnitude is not None and self.magnitude not in range(codec.MAX_ID + 1):
            raise ValueError(f"misaddress takes an id of 0 to {codec.MAX_ID}: got {self.magnitude}")
        return self

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        if self.kind == "corrupt" and (self.every is not None or self.times is not None):
            raise ValueError("corrupt hits a share of all bytes: give it a probability, neither every nor times")
        if not self.of_replies and (self.every is not None or self.times is not None or self.probability != 1.0):
            raise ValueError(f"{self.kind} begins at a time: give it at_s, neither every nor times nor a probability")
        if not self.of_replies and self.kind not in _LASTING and self.duration_s != float("inf"):
            raise ValueError(f"{self.kind} happens at once: it takes no duration_s")
        return self

    @property
    def of_replies(self) -> bool:
        """Whether single answers are hit."""
        return self.kind in _REPLY_FAULTS

    def hits(self, motor: int) -> bool:
        """Tell whether it is about this motor."""
        return not self.motors or motor in self.motors


class FaultScript(BaseModel):
    """What goes wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    faults: tuple[Fault, ...] = ()


def load_faults(path: Path) -> FaultScript:
    """Read a script.

    Raises:
        UsageError: If it cannot be read or is not right.
    """
    try:
        return FaultScript.model_validate_json(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8"))), strict=True)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise UsageError(f"{path} cannot be read as a fault script: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}") from error


@dataclass(slots=True)
class _Spoiler:
    """A fault of answers that has been set up: since when, s, and how many answers it may still hit, None for any number."""

    fault: Fault
    at_s: float
    left: int | None

    def on(self, now_s: float) -> bool:
        """Tell whether it hits answers at a time, s."""
        return self.at_s <= now_s < self.at_s + self.fault.duration_s and self.left != 0


class Saboteur:
    """Decides what happens to each answer and request.

    Args:
        script: Its faults; more can be added later.
    """

    def __init__(self, script: FaultScript) -> None:
        # A stream for each direction: how requests arrive in pieces changes nothing of the answers.
        self._rng, self._request_rng = np.random.default_rng(script.seed).spawn(2)
        self._pending: list[Fault] = []
        self._replies: list[_Spoiler] = []
        self._count = 0
        for fault in script.faults:
            self.add(fault, fault.at_s)

    def add(self, fault: Fault, at_s: float) -> None:
        """Let a fault begin at a time of the machine's clock, s."""
        if fault.of_replies:
            self._replies.append(_Spoiler(fault, at_s, fault.times))
        else:
            self._pending.append(fault.model_copy(update={"at_s": at_s}))

    @property
    def idle(self) -> bool:
        """Whether no answer is hit by anything: the fast way is open."""
        return not self._replies

    def clear(self) -> None:
        """Forget all faults, those to come as well."""
        self._pending.clear()
        self._replies.clear()

    def due(self, now_s: float) -> list[Fault]:
        """Return faults of motors that begin now; each once."""
        if not self._pending:
            return []
        begun = [fault for fault in self._pending if fault.at_s <= now_s]
        self._pending = [fault for fault in self._pending if fault.at_s > now_s]
        return begun

    def reply(self, motor: int, answer: bytes, now_s: float) -> list[tuple[float, bytes]]:
        """Return what becomes of an answer: (delay in s, bytes) for each time that it is sent; empty if it is lost."""
        self._count += 1
        sent = [(0.0, answer)]
        for spoiler in self._replies:
            fault = spoiler.fault
            if not (spoiler.on(now_s) and fault.hits(motor)):
                continue
            if fault.kind == "corrupt":
                sent = [(late_s, _flipped(self._rng, copy, fault.probability)) for late_s, copy in sent]
            elif self._strikes(fault):
                spoiler.left = None if spoiler.left is None else spoiler.left - 1
                sent = _struck(fault, sent)
        return sent

    def request(self, data: bytes, now_s: float) -> bytes:
        """Return what arrives of bytes that the host sent."""
        for spoiler in self._replies:
            fault = spoiler.fault
            if fault.kind == "corrupt" and not fault.motors and spoiler.on(now_s):
                data = _flipped(self._request_rng, data, fault.probability)
        return data

    def _strikes(self, fault: Fault) -> bool:
        if fault.every is not None:
            return self._count % fault.every == 0
        return fault.probability >= 1.0 or bool(self._rng.random() < fault.probability)


def _struck(fault: Fault, sent: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    match fault.kind:
        case "drop":
            return []
        case "duplicate":
            return [*sent, *sent]
        case "delay":
            return [(late_s + (fault.magnitude or 0.0), copy) for late_s, copy in sent]
        case _:
            return [(late_s, _forged(fault, copy)) for late_s, copy in sent]


def _forged(fault: Fault, data: bytes) -> bytes:
    """Return answers with another id or less data, and a right checksum all the same."""
    frames, _ = codec.decode(data)
    forged = b""
    for frame in frames:
        if fault.kind == "misaddress":
            other = (frame.id + 1) % (codec.MAX_ID + 1) if fault.magnitude is None else int(fault.magnitude)
            forged += codec.encode(other, frame.instruction, frame.parameters)
        else:
            forged += codec.encode(frame.id, frame.instruction, frame.parameters[:-1])
    return forged


def _flipped(rng: np.random.Generator, data: bytes, share: float) -> bytes:
    """Flip one random bit of each byte with probability `share`; two numbers a byte, however the bytes are cut into pieces."""
    drawn = rng.random((len(data), 2))
    masks = np.where(drawn[:, 0] < share, np.left_shift(1, (drawn[:, 1] * 8).astype(np.int64)), 0).astype(np.uint8)
    return (np.frombuffer(data, np.uint8) ^ masks).tobytes()
