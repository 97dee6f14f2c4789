"""Asks an emulated machine for what its wire does not tell: the other end of `robot.emulator.control`."""

from __future__ import annotations

import contextlib
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot.clock import monotonic_s
from robot.errors import RobotError, StaleError
from robot.types import BodyMotion, MotorConditions

# A reset lets a robot come to rest in simulation, on a busy machine.
_TIMEOUT_S = 30.0
_CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Start:
    """Where a reset has left a machine.

    Attributes:
        conditions: What was drawn.
        step: Physics step now.
        sample_step: Physics step of the sample that the registers show.
        answer: All that the machine said, with the report of what was built around it.
    """

    conditions: MotorConditions
    step: int
    sample_step: int
    answer: dict[str, Any]


class EmulatorClient:
    """Asks an emulated machine; each call is one line there and one back.

    Args:
        path: Of the control socket.

    Raises:
        RobotError: If nobody answers there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(_TIMEOUT_S)
        self._buffer = b""
        # Requests whose answers have not been taken.
        self._owed = 0
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise RobotError(f"no emulator answers at {path} ({error}): start one with `fetlock emulate`") from error

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
        """Send a request and return its answer.

        Raises:
            RobotError: If it is refused, or the emulator is gone.
        """
        self.send(do, **arguments)
        end_s = monotonic_s() + _TIMEOUT_S
        # Answers come in the order of their requests: those that were given up are thrown away.
        while self._owed > 1:
            self._line(end_s)
        return self._answer(do, end_s)

    def send(self, do: str, **arguments: Any) -> None:  # noqa: ANN401 (JSON)
        """Send a request, whose answer `receive` takes.

        Raises:
            RobotError: If the emulator is gone.
        """
        try:
            self._socket.settimeout(_TIMEOUT_S)
            self._socket.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
        except OSError as error:
            raise self._gone(error) from error
        self._owed += 1

    def receive(self, within_s: float) -> dict[str, Any]:
        """Return the answer to the oldest request that was sent and has none yet.

        Args:
            within_s: How long to wait, s.

        Raises:
            StaleError: If it does not come in time; it can be waited for again.
            RobotError: If the request is refused, or the emulator is gone.
        """
        return self._answer("the request", monotonic_s() + within_s)

    def _answer(self, do: str, end_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._line(end_s))
        if not answer.pop("ok"):
            raise RobotError(f"the emulator refuses {do!r}: {answer['error']}")
        return answer

    def _line(self, end_s: float) -> bytes:
        while b"\n" not in self._buffer:
            if (left_s := end_s - monotonic_s()) <= 0.0:
                raise StaleError(f"the emulator at {self._path} does not answer: timed out")
            try:
                self._socket.settimeout(left_s)
                data = self._socket.recv(_CHUNK_BYTES)
            except TimeoutError:
                continue
            except OSError as error:
                raise self._gone(error) from error
            if not data:
                raise RobotError(f"the emulator at {self._path} is gone")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        self._owed -= 1
        return line

    def _gone(self, error: OSError) -> RobotError:
        return RobotError(f"the emulator at {self._path} does not answer: {error}")

    def reset(self, rng: np.random.Generator, not_before_step: int = 0, *, hold: bool = False, fallen: bool = False) -> Start:
        """Put the machine into a start pose drawn from `rng`, which moves on as if it had drawn here.

        Args:
            rng: Draws what is random.
            not_before_step: The machine's time goes on from this physics step at the earliest.
            hold: Go on holding joints whose torque is off, until it comes on.
            fallen: Let it fall anyhow instead.

        Raises:
            RobotError: If the machine does not come to rest, or cannot fall.
        """
        answer = self.ask("reset", state=rng.bit_generator.state, not_before_step=not_before_step, hold=hold, fallen=fallen)
        rng.bit_generator.state = answer["state"]
        drawn = answer["conditions"].items()
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in drawn}
        return Start(MotorConditions(**values), int(answer["step"]), int(answer["sample_step"]), answer)

    def body(self) -> tuple[BodyMotion | None, int, int]:
        """Return how the base moves as the sensors' sample has it (None: it is bolted down), that sample's step, and the step now."""
        answer = self.ask("truth")
        parts = answer["body"]
        return None if parts is None else BodyMotion(*(tuple(part) for part in parts)), answer["sample_step"], answer["step"]

    def close(self) -> None:
        """Hang up; who waits for an answer in another thread is told that the emulator is gone. Idempotent."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
