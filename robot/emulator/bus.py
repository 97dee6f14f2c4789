"""An emulated bus: motors, wire, faults and time in one loop without threads.

In real time physics follow the monotonic clock; in lockstep they move by one bus period before each answer that holds positions, but the
first one after a start or reset, and at no other time: the same requests give the same answers, byte for byte.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from robot.clock import monotonic_s
from robot.dynamixel import codec
from robot.dynamixel.plant import PlantSample, ServoPlant
from robot.emulator.afflictions import Afflictions
from robot.emulator.camera import Picture
from robot.emulator.faults import Fault, FaultScript, Saboteur
from robot.emulator.motor import EmulatedMotor
from robot.emulator.responder import Reply, Responder
from robot.emulator.wire import Wire
from robot.errors import RobotError
from robot.types import MotorConditions

# Physics that lag behind by more than this are not caught up: a machine that slept does not move in a burst, s.
_LAG_MAX_S = 0.05
# What is left of a frame is noise after this long without a byte, assumed: a length that a bit has made long must not swallow what
# comes after it. A client's write may arrive in pieces, which are closer together, s.
_GAP_S = 0.02
# Bytes without a frame in them that are kept: the longest frame.
_BUFFER_BYTES = codec.MAX_LENGTH + 7
# Times of waking up that are kept: 40 s of them when nobody asks.
_LATENESS_KEPT = 8192

Observer = Callable[[PlantSample, float], None]


@dataclass(frozen=True, slots=True)
class BusOptions:
    """How an emulated bus behaves.

    Attributes:
        lockstep: Move only when asked.
        paced: Let bytes take their time on the wire.
        latency_s: Of the USB adapter; pacing only.
        silent_successors: A motor asked behind a dead one does not answer.
        link: Symbolic link to the port.
        faults: What goes wrong.
        transcript: Keep a checksum of all bytes in both directions.
    """

    lockstep: bool = False
    paced: bool = False
    latency_s: float = 0.0
    silent_successors: bool = False
    link: Path | None = None
    faults: FaultScript = field(default_factory=FaultScript)
    transcript: bool = False


class EmulatedBus:
    """Serves one port.

    Args:
        plant: What moves.
        motors: One for each servo of the plant.
        options: Behaviour.
        reset: Puts the machine into a start pose; by default `plant.reset`.
        observers: Called with each new sample and its time, s.
        report: Says what the machine has beside its motors, for whoever asks for its status.
        picture: Draws the machine; None if it has no camera.
    """

    def __init__(
        self,
        plant: ServoPlant,
        motors: Sequence[EmulatedMotor],
        options: BusOptions,
        reset: Callable[[np.random.Generator], MotorConditions] | None = None,
        drop: Callable[[np.random.Generator], MotorConditions] | None = None,
        observers: Sequence[Observer] = (),
        report: Callable[[], dict[str, JsonValue]] = dict,
        picture: Picture | None = None,
    ) -> None:
        self.plant = plant
        self.motors = tuple(motors)
        self.options = options
        self.wire = Wire(options.link, paced=options.paced, latency_s=options.latency_s)
        self.responder = Responder(motors, self._before_state, silent_successors=options.silent_successors)
        self.saboteur = Saboteur(options.faults)
        # How late the loop woke up for what it had set itself, s: the newest of them.
        self.late_s: deque[float] = deque(maxlen=_LATENESS_KEPT)
        self.skipped_s = 0.0
        # Frames that nobody had to answer: what moves motors.
        self.writes = 0
        self._reset = reset or plant.reset
        self._drop = drop
        self._observers = tuple(observers)
        self.report = report
        self.picture = picture
        self._buffer = b""
        self._heard_s = 0.0
        self._afflictions = Afflictions(self.motors, plant.physics, self.responder.dead)
        self._hash = hashlib.sha256() if options.transcript else None
        self._fresh = True
        self._shown = self._observed = -1
        self._replug_s = float("inf")
        self._anchor_s = monotonic_s() - plant.time_s
        self._show()

    @property
    def now_s(self) -> float:
        """Time of the machine, s."""
        return self.plant.time_s

    @property
    def shown_s(self) -> float:
        """Monotonic time at which the machine is, or was, as it is now, s; its own time where that does not follow the clock."""
        return self.now_s if self.options.lockstep else self._anchor_s + self.plant.time_s

    @property
    def transcript(self) -> str | None:
        """SHA-256 of all bytes so far, each direction marked; None if none is kept."""
        return None if self._hash is None else self._hash.hexdigest()

    def receive(self, data: bytes) -> None:
        """Take bytes that the host sent, and answer the frames in them."""
        self.end_silence()
        baud = self.wire.baud
        self._heard_s = monotonic_s()
        arrived_s = self.wire.received(len(data), self._heard_s, baud)
        self._buffer += self.saboteur.request(data, self.now_s)
        frames, done = codec.decode(self._buffer)
        self._buffer = self._buffer[done:][-_BUFFER_BYTES:]
        self._serve(frames, arrived_s, baud)

    def end_silence(self) -> None:
        """Take what is left of a frame for noise if its rest has not come; answer whole frames inside of it."""
        if self._buffer and monotonic_s() - self._heard_s > _GAP_S:
            frames, _ = codec.decode(self._buffer, ended=True)
            self._buffer = b""
            self._serve(frames, self._heard_s, self.wire.baud)

    def _serve(self, frames: Sequence[codec.Frame], arrived_s: float, baud: int) -> None:
        for frame in frames:
            if self._hash is not None:
                self._note(b">", codec.encode(frame.id, frame.instruction, frame.parameters))
            self.catch_up()
            self.responder.whole_bursts = self.saboteur.idle and not self.options.paced
            replies = self.responder.answer(frame, self.now_s, baud)
            self.writes += not replies
            for reply in replies:
                self._send(reply, arrived_s, baud)

    def _send(self, reply: Reply, arrived_s: float, baud: int) -> None:
        copies = [(0.0, reply.data)] if self.saboteur.idle else self.saboteur.reply(reply.motor, reply.data, self.now_s)
        for late_s, data in copies:
            self._note(b"<", data)
            if late_s:
                self.wire.send_late(data, monotonic_s() + late_s)
            else:
                self.wire.send(data, arrived_s, reply.return_delay_s if self.options.paced else 0.0, baud)

    def catch_up(self) -> None:
        """Move physics on to now; in lockstep time does not pass by itself."""
        self._begin_faults()
        if self.options.lockstep:
            return
        behind_s = monotonic_s() - self._anchor_s - self.plant.time_s
        if behind_s > _LAG_MAX_S:
            self.skipped_s += behind_s - _LAG_MAX_S
            self._anchor_s += behind_s - _LAG_MAX_S
            behind_s = _LAG_MAX_S
        steps = int(behind_s / self.plant.step_s)
        if steps <= 0:
            return
        self._run(steps)
        self.plant.record()
        self._show()

    def _run(self, steps: int) -> None:
        """Run physics, stopping where a watchdog expires."""
        end = self.plant.step + steps
        while self.plant.step < end:
            expiry_s = min(motor.watchdog_expiry_s for motor in self.motors)
            left = end - self.plant.step
            if expiry_s < float("inf"):
                left = min(left, max(1, round((expiry_s - self.plant.time_s) / self.plant.step_s)))
            self.plant.run(left)
            self._check_watchdogs()

    def _before_state(self) -> None:
        if not self.options.lockstep:
            return
        if not self._fresh:
            self.plant.advance()
            self._check_watchdogs()
            self._begin_faults()
            self._show()
        self._fresh = False

    def _check_watchdogs(self) -> None:
        now_s = self.plant.time_s
        for motor in self.motors:
            motor.check_watchdog(now_s)

    def _show(self) -> None:
        """Put a new sample into all registers, and before the observers."""
        if self.plant.step == self._shown:
            return
        self._shown = self.plant.step
        sample, now_s = self.plant.sample(), self.now_s
        for motor in self.motors:
            motor.update(sample, now_s)
        if self.plant.step == self._observed:
            return
        # Once for each step, whatever shows it again: a reader in lockstep counts what it is sent.
        self._observed = self.plant.step
        for observe in self._observers:
            observe(sample, now_s)

    def reset(self, rng: np.random.Generator, *, hold: bool = False, fallen: bool = False) -> MotorConditions:
        """Let an unseen hand put the machine into a start pose; its time feeds no watchdog and starves none.

        Args:
            rng: Draws what is random.
            hold: Go on holding joints whose torque is off, until it comes on.
            fallen: Let it fall anyhow instead.

        Raises:
            RobotError: If it does not come to rest, or cannot fall.
        """
        if fallen and self._drop is None:
            raise RobotError("this machine cannot fall: it has no body (--physics pybullet has one)")
        conditions = self._drop(rng) if fallen and self._drop is not None else self._reset(rng)
        self._afflictions.forget_brown_outs()
        if hold:
            self.plant.hold()
        for motor in self.motors:
            motor.feed(self.now_s)
            motor.settle()
        self._anchor_s = monotonic_s() - self.plant.time_s
        self._fresh = True
        self._shown = -1
        self._show()
        return conditions

    def look_again(self) -> None:
        """Show in the registers what has changed without a step of physics."""
        self._shown = -1
        self._show()

    def inject(self, fault: Fault) -> None:
        """Let a fault begin now, or after its `at_s`. Raises RobotError if this machine cannot have it."""
        self._afflictions.require_possible(fault)
        self.saboteur.add(fault, self.now_s + fault.at_s)

    def _begin_faults(self) -> None:
        now_s = self.now_s
        for fault in self.saboteur.due(now_s):
            self._begin(fault, now_s)
        self._afflictions.end_due(now_s)

    def _begin(self, fault: Fault, now_s: float) -> None:
        if fault.kind == "unplug" and not fault.motors:
            self.wire.unplug()
            self._replug_s = monotonic_s() + fault.duration_s
        self._afflictions.begin(fault, now_s)
        # What has changed must be in the registers before the next answer.
        self.look_again()

    def mend(self) -> None:
        """End every fault, and those to come: encoders show the truth, motors are cool. What a motor has latched stays until its reboot."""
        self.saboteur.clear()
        self._afflictions.end_all()
        for motor in self.motors:
            motor.recover()
        self._replug_s = float("inf")
        self.wire.plug()
        self.look_again()

    def replug_if_due(self) -> None:
        """Plug the port in again when an unplugging is over."""
        if monotonic_s() >= self._replug_s:
            self._replug_s = float("inf")
            self.wire.plug()

    def _note(self, direction: bytes, data: bytes) -> None:
        if self._hash is not None:
            self._hash.update(direction)
            self._hash.update(data)

    def close(self) -> None:
        """Remove the port. Idempotent."""
        self.wire.close()
