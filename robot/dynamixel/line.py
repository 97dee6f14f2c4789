"""Requests and answers on one line. Nothing here knows registers; nothing above it sees a byte that was not asked for.

The protocol numbers nothing, so that a late answer looks like a new one. What waits before a request is thrown away. A request that was
not answered leaves the line *unsettled*: before the next one, a fence asks a motor for a block of a size that no unanswered request
had. A line keeps the order of bytes, so that every older answer comes before the fence's. A motor that answers late by itself, out of
that order, is found by the order of a burst, and by the motors' own clock (`robot.dynamixel.freshness`).
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from robot.clock import monotonic_s
from robot.dynamixel import codec
from robot.dynamixel.bus import BusCount, Readings
from robot.dynamixel.codec import Status
from robot.dynamixel.fast_frames import BurstParser
from robot.dynamixel.port import Port
from robot.dynamixel.timing import BITS_PER_BYTE

# The factory's return delay is 0.5 ms; the rest is for a host that is not real-time.
SILENCE_S = 0.002
# Bytes of an answer without data, and of the request for one.
_FRAME, _REQUEST = 11, 14
# Sizes of the blocks that fences ask for, all from address 0.
_FENCE_SIZES = range(1, 8)
# How many fences are tried.
_FENCES = 2


@dataclass(frozen=True, slots=True)
class Salvage:
    """What a burst holds that is not perfect.

    Attributes:
        answers: Of motors that were asked, whole, without error, each after its predecessor; empty if any came twice or out of order.
        strays: Frames that nobody asked for, and refusals.
        wrong: Answers under a right checksum that cannot be of who was asked: of another id or size, or of one id twice.
            What only comes late is none of these: its motor is silent.
        ordered: No answer came twice or before its predecessor's.
        noise_bytes: Bytes that belong to no frame.
        left_bytes: Bytes at the end that may become a frame.
    """

    answers: tuple[Status, ...]
    strays: int
    wrong: int
    ordered: bool
    noise_bytes: int
    left_bytes: int


def salvage(buffer: bytes, order: tuple[int, ...], size: int, *, ended: bool, again: bool = False, sizes: Collection[int] = ()) -> Salvage:
    """Take apart a burst: pure.

    Args:
        buffer: What came since the request.
        order: Motors that were asked.
        size: Of their data.
        ended: Nothing more will come.
        again: The same was asked just before, so that an answer may come twice and in any order: both are good.
        sizes: Of data that other requests asked for: such an answer is a late one.
    """
    frames, done = codec.decode(buffer, ended=ended)
    statuses = [codec.status(frame) for frame in frames]
    given = [answer for answer in statuses if answer is not None and not answer.error]
    asked = [answer for answer in given if answer.id in order and len(answer.data) == size]
    # The same answer twice, byte for byte, is one; two that differ are not both of the motor whose id they carry.
    answers = [answer for place, answer in enumerate(asked) if place == 0 or answer != asked[place - 1]]
    places = [order.index(answer.id) for answer in answers]
    ordered = again or all(first < second for first, second in itertools.pairwise(places))
    foreign = sum(answer.id not in order or len(answer.data) != size for answer in given)
    doubled = 0 if again else len(places) - len(set(places))
    # Behind the late answer to another request, such as a fence that was given up, all others may be late as well.
    late = any(len(answer.data) != size and len(answer.data) in sizes for answer in given)
    # Stuffing may have made a frame longer: noise is then undercounted, never overcounted.
    used = sum(_FRAME - 1 + len(frame.parameters) for frame in frames)
    return Salvage(
        answers=tuple(answers) if ordered else (),
        strays=len(frames) - len(answers),
        wrong=0 if late else foreign + doubled,
        ordered=ordered,
        noise_bytes=max(0, done - used),
        left_bytes=len(buffer) - done,
    )


class Line:
    """One port. Its user holds a lock around each call.

    Args:
        port: Open.
        count: Gets what happens.
        silence_s: A line on which no byte came for this long, beside what the adapter may hold bytes back, is silent.
    """

    def __init__(self, port: Port, count: BusCount, silence_s: float = SILENCE_S) -> None:
        self._port = port
        self._count = count
        self._silence_s = silence_s + (port.latency_ms or 0) * 1e-3
        # Data sizes of requests that may still be answered.
        self._owed: set[int] = set()
        # Of all requests so far.
        self._sizes: set[int] = set()
        self._alive: int | None = None

    def wire_s(self, motors: int, size: int) -> float:
        """Return how long a sync read of `size` bytes from each of `motors` takes on the wire, s."""
        return (_REQUEST + motors + motors * (_FRAME + size)) * BITS_PER_BYTE / self._port.baud

    def burst_s(self, motors: int, size: int) -> float:
        """Return how long it takes with one silence, s."""
        return self.wire_s(motors, size) + self._silence_s

    def ask(self, request: bytes, motor: int, size: int, silences: int = 1) -> Status | None:
        """Send a request to one motor; return its answer with `size` bytes of data, or with an error; None if there is none.

        Args:
            request: To send.
            motor: Whom it is for.
            size: Of the answer's data.
            silences: How many times as long as usual no byte may come.
        """
        self.settle(motor)
        return self._ask(request, motor, size, silences * self._silence_s)

    def ask_all(self, request: bytes, duration_s: float) -> list[Status]:
        """Send a broadcast request; return what comes within a time."""
        self.settle()
        self._send(request)
        deadline_s = monotonic_s() + duration_s
        buffer = b""
        while monotonic_s() < deadline_s:
            buffer += self._port.read(deadline_s)
        frames, _ = codec.decode(buffer, ended=True)
        return [answer for answer in map(codec.status, frames) if answer is not None]

    def read_burst(
        self, readings: Readings, order: tuple[int, ...], address: int, size: int, deadline_s: float, *, again: bool = False
    ) -> bool:
        """Sync read `order` on a line that `settle` has settled; put what comes into `readings`, and return whether it was in order.

        Args:
            readings: Rows of motors that answer are filled.
            order: Motors to ask.
            address: Of the block.
            size: Of the block.
            deadline_s: When to stop at the latest.
            again: These motors were asked just before. The last of them is the one that was silent first: it is not waited for.
        """
        self._sizes.add(size)
        self._send(_sync_read_request(order, address, size))
        parser = _burst_parser(order, size)
        wanted = max(1, len(order) - again)
        least = wanted * (_FRAME + size)
        buffer = b""
        quiet_s = monotonic_s() + (_REQUEST + len(order)) * BITS_PER_BYTE / self._port.baud + self._silence_s
        while data := self._port.read(min(quiet_s, deadline_s)):
            buffer += data
            burst = parser.parse(buffer)
            if burst is not None:
                readings.fill(order, burst.data, burst.alert)
                self._alive = order[0]
                return True
            if len(buffer) >= least and self._complete(salvage(buffer, order, size, ended=False, again=again), wanted):
                break
            quiet_s = monotonic_s() + self._silence_s
        found = salvage(buffer, order, size, ended=True, again=again, sizes=self._sizes)
        self._accept(readings, found, len(order), size)
        return found.ordered

    def read_fast(self, readings: Readings, order: tuple[int, ...], address: int, size: int) -> None:
        """Fast sync read `order` on a settled line; put the answers up to the first that is missing or damaged into `readings`."""
        self._sizes.add(size)
        self._send(_fast_read_request(order, address, size))
        length = 8 + len(order) * (size + 4)
        buffer = b""
        quiet_s = monotonic_s() + (_REQUEST + len(order)) * BITS_PER_BYTE / self._port.baud + self._silence_s
        while len(buffer) < length and (data := self._port.read(quiet_s)):
            buffer += data
            quiet_s = monotonic_s() + self._silence_s
        start = max(buffer.find(codec.HEADER), 0)
        answers = codec.decode_fast(buffer[start:], [(motor, size) for motor in order])
        for answer in answers:
            readings.put(answer.id, answer.data, alert=answer.alert)
            self._alive = answer.id
        # No plain read takes the rest of a fast answer for its own: it is no frame.
        self._count.noise_bytes += start + (0 if len(answers) == len(order) else len(buffer) - start)

    @staticmethod
    def _complete(found: Salvage, wanted: int) -> bool:
        """Tell whether nothing more is to be waited for: all is there, or what is damaged has arrived in full."""
        heard = len({answer.id for answer in found.answers})
        return found.ordered and (heard >= wanted or (found.strays == 0 and found.left_bytes == 0 and found.noise_bytes > 0))

    def _accept(self, readings: Readings, found: Salvage, asked: int, size: int) -> None:
        for answer in found.answers:
            readings.put(answer.id, answer.data, alert=answer.alert)
            self._alive = answer.id
        readings.wrong += found.wrong
        self._count.strays += found.strays
        self._count.noise_bytes += found.noise_bytes
        if len(found.answers) != asked or not found.ordered:
            self._owed.add(size)

    def settle(self, motor: int | None = None) -> None:
        """Throw away what has come, and make sure that no older answer can come any more, as far as the line keeps the order of bytes.

        Args:
            motor: Who is asked next, and may know no other that is alive.
        """
        self._port.drain()
        if not self._owed:
            return
        alive = motor if self._alive is None else self._alive
        for _ in range(_FENCES):
            size = next((size for size in _FENCE_SIZES if size not in self._owed), None)
            if alive is None or size is None:
                self._wait_for_silence()
                break
            if self._ask(codec.read(alive, 0, size), alive, size, self._silence_s) is not None:
                break
        else:
            # Two fences without an answer took two silences: what was owed would have come by now.
            self._alive = None
        self._owed.clear()
        self._port.drain()

    def _wait_for_silence(self) -> None:
        end_s = monotonic_s() + _FENCES * self._silence_s
        while self._port.read(min(monotonic_s() + self._silence_s, end_s)):
            pass

    def _ask(self, request: bytes, motor: int, size: int, silence_s: float) -> Status | None:
        self._sizes.add(size)
        self._send(request)
        buffer = b""
        start_s = monotonic_s() + len(request) * BITS_PER_BYTE / self._port.baud
        quiet_s = start_s + silence_s
        # A line full of noise must not keep us.
        deadline_s = quiet_s + (size + _FRAME) * BITS_PER_BYTE / self._port.baud + 5.0 * silence_s
        while data := self._port.read(min(quiet_s, deadline_s)):
            buffer += data
            frames, done = codec.decode(buffer)
            for frame in frames:
                answer = codec.status(frame)
                if answer is not None and answer.id == motor and (answer.error or len(answer.data) == size):
                    self._alive = motor
                    return answer
                self._count.strays += 1
            buffer = buffer[done:]
            quiet_s = monotonic_s() + silence_s
        self._count.noise_bytes += len(buffer)
        self._owed.add(size)
        return None

    def _send(self, request: bytes) -> None:
        self._count.transactions += 1
        self._port.write(request)


@lru_cache(maxsize=64)
def _burst_parser(order: tuple[int, ...], size: int) -> BurstParser:
    return BurstParser(order, size)


@lru_cache(maxsize=64)
def _sync_read_request(order: tuple[int, ...], address: int, size: int) -> bytes:
    return codec.sync_read(order, address, size)


@lru_cache(maxsize=64)
def _fast_read_request(order: tuple[int, ...], address: int, size: int) -> bytes:
    return codec.sync_read(order, address, size, fast=True)
