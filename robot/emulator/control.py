"""The way around the wire: a socket on which a test or an environment asks an emulated machine for the truth, resets it, breaks it.

One line of JSON for each request and each answer. The server side runs in the loop of the bus, so that nothing races with a frame.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from robot.emulator.bus import EmulatedBus
from robot.emulator.camera import encode
from robot.emulator.faults import Fault
from robot.errors import FetlockError, RobotError, UsageError
from robot.types import BodyMotion, MotorConditions

# Longest request: a generator's state is 300 bytes.
_LINE_MAX_BYTES = 65_536
_TIMEOUT_S = 30.0
# A position register counts 256 turns either way (e-manual, Goal Position), rad.
_TURN_MAX_RAD = 256 * 2.0 * math.pi


class ControlServer:
    """Answers requests about a bus.

    Args:
        bus: Asked about.
        path: Of the Unix socket.
    """

    def __init__(self, bus: EmulatedBus, path: Path) -> None:
        self._bus = bus
        self._path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(4)
        self._clients: dict[int, tuple[socket.socket, bytes]] = {}
        self.stopping = False
        self._actions: dict[str, Callable[..., dict[str, Any]]] = {
            "status": self._status,
            "truth": self._truth,
            "reset": self._reset,
            "fault": self._fault,
            "mend": self._mend,
            "unplug": self._unplug,
            "plug": self._plug,
            "turn": self._turn,
            "picture": self._picture,
            "stop": self._stop,
        }

    @property
    def descriptors(self) -> list[int]:
        """To be polled."""
        return [self._listener.fileno(), *self._clients]

    def serve(self, descriptor: int) -> bool:
        """Take what came on a descriptor; return whether the descriptors have changed."""
        if descriptor == self._listener.fileno():
            client, _ = self._listener.accept()
            client.settimeout(1.0)
            self._clients[client.fileno()] = (client, b"")
            return True
        client, buffer = self._clients[descriptor]
        try:
            data = client.recv(_LINE_MAX_BYTES)
        except OSError:
            data = b""
        buffer += data
        if not data or len(buffer) > _LINE_MAX_BYTES:
            del self._clients[descriptor]
            client.close()
            return True
        *lines, rest = buffer.split(b"\n")
        self._clients[descriptor] = (client, rest)
        for line in lines:
            with contextlib.suppress(OSError):
                client.sendall(json.dumps(self._answer(line)).encode() + b"\n")
        return False

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            return {"ok": True, **self._actions[request.pop("do")](**request)}
        except ValidationError as error:
            return {"ok": False, "error": f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}"}
        except (FetlockError, LookupError, ArithmeticError, TypeError, ValueError, AttributeError, RecursionError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    def _status(self) -> dict[str, Any]:
        bus = self._bus
        return {
            "port": bus.wire.path,
            "time_s": bus.now_s,
            "step": bus.plant.step,
            "ids": [motor.id for motor in bus.motors],
            "late_ms": [float(value) * 1e3 for value in np.percentile(bus.late_s or [0.0], (50, 99, 100))],
            "skipped_s": bus.skipped_s,
            "dropped_bytes": bus.wire.dropped_bytes,
            "transcript": bus.transcript,
            "step_s": bus.plant.step_s,
            "bus_steps": bus.plant.bus_steps,
            **bus.report(),
        }

    def _truth(self) -> dict[str, Any]:
        bus = self._bus
        bus.catch_up()
        sample = bus.plant.sample()
        body = sample.body
        return {
            "time_s": bus.now_s,
            "joints_rad": [joint[0] for joint in bus.plant.physics.joints()],
            "joints_rad_s": [joint[1] for joint in bus.plant.physics.joints()],
            "torque": [motor.memory["torque_enable"] for motor in bus.motors],
            "goals": [motor.memory["goal_position"] for motor in bus.motors],
            "watchdog": [motor.memory["bus_watchdog"] for motor in bus.motors],
            "errors": [motor.memory["hardware_error_status"] for motor in bus.motors],
            "step": bus.plant.step,
            "sample_step": sample.step,
            "body": None
            if body is None
            else [body.position_world_m, body.quaternion, body.velocity_world_m_s, body.angular_velocity_world_rad_s],
        }

    def _reset(self, state: dict[str, Any], not_before_step: int = 0, hold: bool = False, fallen: bool = False) -> dict[str, Any]:
        rng = np.random.default_rng()
        rng.bit_generator.state = state
        self._bus.plant.step = max(self._bus.plant.step, int(not_before_step))
        conditions = self._bus.reset(rng, hold=hold, fallen=fallen)
        return {
            "state": rng.bit_generator.state,
            "conditions": {name: getattr(conditions, name) for name in MotorConditions.__dataclass_fields__},
            "step": self._bus.plant.step,
            "sample_step": self._bus.plant.sample().step,
            **self._bus.report(),
        }

    def _fault(self, fault: dict[str, Any]) -> dict[str, Any]:
        self._bus.inject(Fault.model_validate_json(json.dumps(fault), strict=True))
        return {}

    def _mend(self) -> dict[str, Any]:
        self._bus.mend()
        return {"port": self._bus.wire.path}

    def _unplug(self) -> dict[str, Any]:
        self._bus.wire.unplug()
        return {}

    def _plug(self) -> dict[str, Any]:
        self._bus.wire.plug()
        return {"port": self._bus.wire.path}

    def _turn(self, joint: int, angle_rad: float) -> dict[str, Any]:
        turn = getattr(self._bus.plant.physics, "turn", None)
        if turn is None:
            raise RobotError("joints of this machine cannot be turned by hand: only those of the built-in physics can")
        joints = len(self._bus.motors)
        if not (0 <= joint < joints and abs(angle_rad) <= _TURN_MAX_RAD):
            raise UsageError(
                f"a hand turns joints 0 to {joints - 1} to at most {_TURN_MAX_RAD:.0f} rad either way: got {joint}, {angle_rad}"
            )
        turn(joint, float(angle_rad))
        self._bus.plant.refresh()
        self._bus.look_again()
        return {}

    def _picture(self, width_px: int, height_px: int) -> dict[str, Any]:
        if self._bus.picture is None:
            raise RobotError("this machine has no camera: only a whole robot in PyBullet has one")
        self._bus.catch_up()
        frame = self._bus.picture(width_px, height_px)
        return {"shape": frame.image.shape, "rgb": encode(frame.image)}

    def _stop(self) -> dict[str, Any]:
        self.stopping = True
        return {}

    def close(self) -> None:
        """Close all sockets. Idempotent."""
        for client, _ in self._clients.values():
            client.close()
        self._clients.clear()
        self._listener.close()
        self._path.unlink(missing_ok=True)


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
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise RobotError(f"no emulator answers at {path} ({error}): start one with `fetlock emulate`") from error
        self._file = self._socket.makefile("rb")

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
        """Send a request and return its answer.

        Raises:
            RobotError: If it is refused, or the emulator is gone.
        """
        try:
            self._socket.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            line = self._file.readline()
        except OSError as error:
            raise RobotError(f"the emulator at {self._path} does not answer: {error}") from error
        if not line:
            raise RobotError(f"the emulator at {self._path} is gone")
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("ok"):
            raise RobotError(f"the emulator refuses {do!r}: {answer['error']}")
        return answer

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
        """Hang up. Idempotent."""
        self._file.close()
        self._socket.close()
