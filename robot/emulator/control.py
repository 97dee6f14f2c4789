"""The way around the wire: a socket on which a test or an environment asks an emulated machine for the truth, resets it, breaks it.

One line of JSON for each request and each answer. The server side runs in the loop of the bus, so that nothing races with a frame.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from robot.clock import monotonic_s
from robot.emulator.bus import EmulatedBus
from robot.emulator.camera import encode
from robot.emulator.faults import Fault
from robot.errors import FetlockError, RobotError, UsageError
from robot.types import MotorConditions

# Longest request: a generator's state is 300 bytes.
_LINE_MAX_BYTES = 65_536
# A picture waits so many bus periods for the gap behind a write: motors that are only read are not written to at all.
_GAP_PERIODS = 2
# A position register counts 256 turns either way (e-manual, Goal Position), rad.
_TURN_MAX_RAD = 256 * 2.0 * math.pi


@dataclass(frozen=True, slots=True)
class _Glance:
    """A picture that was asked for: by whom, its line, how much had been written to the bus by then, and when."""

    client: socket.socket
    size: dict[str, Any]
    writes: int
    asked_s: float


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
        self._glances: deque[_Glance] = deque()
        # How much had been written when the newest was drawn.
        self._drawn = 0
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
            answer = self._answer(line, client)
            if answer is not None:
                _send(client, answer)
        return False

    def draw(self) -> None:
        """Draw what a `glance` asked for, if the bus has been written to since: the next requests are a period away.

        One picture at a time, and after two periods without a write in any case. Drawn at once instead, pictures of a claw of 84 x 84 px,
        19 a second, cost 11 and 51 answers in two times 8 s of 100 Hz; in the gaps none (measured).
        """
        if not self._glances:
            return
        glance, bus = self._glances[0], self._bus
        if (
            bus.writes == max(glance.writes, self._drawn)
            and monotonic_s() - glance.asked_s < _GAP_PERIODS * bus.plant.bus_steps * bus.plant.step_s
        ):
            return
        self._glances.popleft()
        self._drawn = bus.writes
        _send(glance.client, self._done(lambda: self._picture(**glance.size)))

    def _answer(self, line: bytes, client: socket.socket) -> dict[str, Any] | None:
        """Return the answer to a line; None if it comes later."""
        try:
            request = json.loads(line)
            do = request.pop("do")
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}
        if do == "glance":
            self._glances.append(_Glance(client, request, self._bus.writes, monotonic_s()))
            return None
        return self._done(lambda: self._actions[do](**request))

    @staticmethod
    def _done(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return {"ok": True, **act()}
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
        return {"shape": frame.image.shape, "rgb": encode(frame.image), "shown_s": self._bus.shown_s}

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


def _send(client: socket.socket, answer: dict[str, Any]) -> None:
    # One that has hung up meanwhile wants no answer.
    with contextlib.suppress(OSError):
        client.sendall(json.dumps(answer).encode() + b"\n")
