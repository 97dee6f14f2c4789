"""The bus of the control loop: our codec over a port, one transaction at a time, with retries inside a deadline."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

from robot.clock import monotonic_s, sleep_s
from robot.dynamixel import codec
from robot.dynamixel.bus import BusCount, Readings, empty_readings, identity, require_done, require_single, silent_motor
from robot.dynamixel.codec import Status
from robot.dynamixel.line import SILENCE_S, Line
from robot.dynamixel.port import Port

# For how many silences of the line each attempt at a ping, read or write of one motor waits: a busy host may be kept from its port for
# tens of milliseconds. The control loop sends such requests only to motors that have just answered.
_ATTEMPTS = (1, 4, 16)
# How often a sync read asks again, if its budget allows.
_RETRIES = 3
# A sync read that lost motors may take this much longer to ask them again: half of a period at 100 Hz.
_RETRY_BUDGET_S = 0.005
# Answers to a broadcast ping are staggered by id: 3 ms for each (what the vendor's library waits for).
_SCAN_S_PER_ID = 0.003
# Time that a rebooting motor needs until it answers again. Unproven on a motor.
REBOOT_S = 0.5
# Fast reads that failed in a row before plain ones are used for good.
_FAST_FAILURES = 3
# A motor that was silent in this many reads in a row is asked in every fifth only: often enough to be heard again within ten ticks.
_CHRONIC, _PROBE_EVERY = 3, 5

_log = logging.getLogger(__name__)


class NativeBus:
    """Implements MotorBus and BusSetup.

    Motors that were silent are asked last, so that they cost one silence a cycle and no successor waits for them; after three silent reads,
    only in every fifth of those that want it.

    Args:
        port: Open; the bus closes it.
        fast: Read by fast sync read, until that fails three times in a row.
        silence_s: After which a line is silent.
        retry_budget_s: How much longer than its wire time and one silence a sync read may take to ask again.
    """

    def __init__(self, port: Port, *, fast: bool = False, silence_s: float = SILENCE_S, retry_budget_s: float = _RETRY_BUDGET_S) -> None:
        self.port = port
        self.count = BusCount()
        self.fast = fast
        self._line = Line(port, self.count, silence_s)
        self._retry_budget_s = retry_budget_s
        self._lock = threading.Lock()
        self._silent: dict[int, int] = {}
        self._fast_failures = 0
        self._skipped: dict[int, int] = {}

    def ping(self, motor: int) -> tuple[int, int] | None:
        with self._lock:
            for silences in _ATTEMPTS:
                status = self._line.ask(codec.ping(motor), motor, 3, silences)
                if status is not None:
                    self._silent.pop(motor, None)
                    return identity(status)
        return None

    def scan(self) -> dict[int, tuple[int, int]]:
        with self._lock:
            answers = self._line.ask_all(codec.ping(), (codec.MAX_ID + 1) * _SCAN_S_PER_ID)
        return require_single([answer for answer in answers if len(answer.data) == 3])

    def reboot(self, motor: int) -> None:
        with self._lock:
            status = self._line.ask(codec.reboot(motor), motor, 0)
        if status is not None:
            require_done(status, "reboot")
        # The confirmation may have been lost on the way: what counts is whether the motor is there afterwards.
        sleep_s(REBOOT_S)

    def read(self, motor: int, address: int, size: int) -> Status:
        return self._transact(motor, codec.read(motor, address, size), size, f"reading {size} bytes at {address}")

    def write(self, motor: int, address: int, data: bytes) -> Status:
        return self._transact(motor, codec.write(motor, address, data), 0, f"writing {data.hex(' ')} to {address}")

    def sync_write(self, address: int, data: Mapping[int, bytes]) -> None:
        frame = codec.sync_write(address, data)
        with self._lock:
            self.count.transactions += 1
            self.port.write(frame)

    def sync_read(self, motors: Sequence[int], address: int, size: int) -> Readings:
        ids = tuple(motors)
        readings = empty_readings(ids, size)
        with self._lock:
            order = self._order(ids)
            readings.stamp_s = monotonic_s()
            if order:
                self._fill(readings, order, address, size)
        self._note(readings, order)
        return readings

    def close(self) -> None:
        self.port.close()

    def _order(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        """Return whom to ask: in the caller's order, silent motors last, long silent ones now and then."""
        if not self._silent:
            return ids
        return tuple(sorted((motor for motor in ids if self._worth_asking(motor)), key=lambda motor: motor in self._silent))

    def _worth_asking(self, motor: int) -> bool:
        """Tell whether to ask a motor: every time, or, where it has been silent for long, in every fifth of the reads that want it."""
        if self._silent.get(motor, 0) < _CHRONIC:
            return True
        self._skipped[motor] = (self._skipped.get(motor, 0) + 1) % _PROBE_EVERY
        return self._skipped[motor] == 0

    def _fill(self, readings: Readings, order: tuple[int, ...], address: int, size: int) -> None:
        deadline_s = readings.stamp_s + self._line.burst_s(len(order), size) + self._retry_budget_s
        self._line.settle()
        ordered = True
        if self.fast:
            self._line.read_fast(readings, order, address, size)
            self._judge_fast(readings, order)
        else:
            ordered = self._line.read_burst(readings, order, address, size, deadline_s)
        missing = readings.missing(order)
        # Whoever was the first to be silent may have kept the others from speaking: it is asked last, and not waited for.
        # Answers to the first request that come now are as good: both are of this cycle.
        for attempt in range(_RETRIES):
            again = (*missing[1:], *missing[:1])
            known = len(again) == 1 and (attempt > 0 or again[0] in self._silent)
            if not again or known or monotonic_s() + self._line.wire_s(len(again), size) > deadline_s:
                return
            self.count.retries += 1
            if not ordered:
                # Somebody answered twice, late or for another: what is asked again is believed in order only.
                self._line.settle()
            ordered = self._line.read_burst(readings, again, address, size, deadline_s, again=ordered)
            missing = readings.missing(order)

    def _judge_fast(self, readings: Readings, order: tuple[int, ...]) -> None:
        if not readings.missing(order):
            self._fast_failures = 0
            return
        self._fast_failures += 1
        if self._fast_failures >= _FAST_FAILURES:
            self.fast = False
            _log.warning("fast sync reads failed %d times in a row on %s: plain sync reads from now on", _FAST_FAILURES, self.port.path)

    def _note(self, readings: Readings, order: tuple[int, ...]) -> None:
        # Where nobody answered, the request was lost, not the motors.
        heard = bool(readings.fresh.any())
        for motor, fresh, alert in zip(readings.ids, readings.fresh.tolist(), readings.alert.tolist(), strict=True):
            count = self.count.motor(motor)
            if fresh:
                count.answers += 1
                count.alerts += alert
                if self._silent:
                    self._silent.pop(motor, None)
            elif motor in order:
                count.missed += 1
                self._silent[motor] = self._silent.get(motor, 0) + heard

    def _transact(self, motor: int, request: bytes, size: int, what: str) -> Status:
        """Ask one motor up to three times.

        Raises:
            BusError: If it does not answer, or refuses.
        """
        count = self.count.motor(motor)
        with self._lock:
            for attempt, silences in enumerate(_ATTEMPTS):
                self.count.retries += attempt > 0
                status = self._line.ask(request, motor, size, silences)
                if status is not None:
                    self._silent.pop(motor, None)
                    count.answers += 1
                    count.alerts += status.alert
                    count.refusals += status.error != 0
                    return require_done(status, what)
                count.missed += 1
        raise silent_motor(motor, what, self.port.path)
