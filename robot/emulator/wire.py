"""The motors' end of a line: a pseudo-terminal with the speed of a wire.

The slave's path is what a client opens as its port. The rate that the client sets is read from the terminal. Pacing: an answer goes out
when the wire would have carried it; a USB adapter's latency timer is modelled at its worst: what does not fill a packet of 62 bytes
waits for the whole latency after its last byte (FTDI AN232B-04).
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import select
import struct
import termios
import tty
from pathlib import Path

from robot.clock import monotonic_s, sleep_s
from robot.dynamixel.timing import BITS_PER_BYTE
from robot.errors import UsageError

_READ_BYTES = 65_536
# The last stretch before a byte is due is waited for without sleeping: a sleep wakes up to this late on a busy machine, s.
_SPIN_S = 150e-6
# Linux' request for the rate of a terminal, with any rate (asm-generic/ioctls.h, asm-generic/termbits.h): four words of flags, the
# line discipline, 19 control characters, input and output rate.
_TCGETS2 = 0x802C542A
_TERMIOS2 = struct.Struct("4IB19B2I")
# Payload of a full-speed USB packet of an FTDI adapter: 64 bytes less two of status.
_PACKET_BYTES = 62


class Wire:
    """A pseudo-terminal, open until `close`.

    Args:
        link: Path of a symbolic link to the slave, kept up to date; None for none.
        paced: Let bytes take their time on the wire.
        latency_s: Of the adapter.
    """

    def __init__(self, link: Path | None, *, paced: bool, latency_s: float) -> None:
        # Sleeping is precise under SCHED_FIFO, and spinning there would keep others from their core.
        self.spin_s = _SPIN_S
        self._link = link
        self._paced = paced
        self._latency_s = latency_s
        self._free_s = 0.0
        self._queue: list[tuple[float, int, bytes]] = []
        self._order = 0
        self.dropped_bytes = 0
        self.path = ""
        self._master = self._slave = -1
        self.plug()

    @property
    def descriptor(self) -> int:
        """Of the master, to be polled; -1 while unplugged."""
        return self._master

    @property
    def baud(self) -> int:
        """Rate that the client has set, bits/s."""
        with contextlib.suppress(OSError):
            return int(_TERMIOS2.unpack(fcntl.ioctl(self._slave, _TCGETS2, bytes(_TERMIOS2.size)))[-1])
        return 0

    def plug(self) -> None:
        """Make a new terminal, and let the link show it."""
        if self._master >= 0:
            return
        self._master, self._slave = os.openpty()
        # Kept open: without a slave, reading the master is an error.
        tty.setraw(self._slave, termios.TCSANOW)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        if self._link is not None:
            if self._link.exists() and not self._link.is_symlink():
                raise UsageError(f"{self._link} is there already and is no link: choose another name")
            temporary = self._link.with_name(f".{self._link.name}.{os.getpid()}")
            temporary.symlink_to(self.path)
            temporary.replace(self._link)

    def unplug(self) -> None:
        """Close the terminal: its client sees a device that is gone, and its name with it, which may soon be another terminal's."""
        if self._link is not None and self._link.is_symlink():
            self._link.unlink()
        for descriptor in (self._master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self._master = self._slave = -1
        self._queue.clear()

    def read(self) -> bytes:
        """Return what has arrived, b"" if nothing; never waits."""
        try:
            return os.read(self._master, _READ_BYTES)
        except (BlockingIOError, OSError):
            return b""

    def received(self, count: int, arrival_s: float, baud: int) -> float:
        """Note that the host sent bytes at a time; return when the last one has crossed the wire."""
        if not self._paced:
            return arrival_s
        self._free_s = max(arrival_s, self._free_s) + count * BITS_PER_BYTE / max(baud, 1)
        return self._free_s

    def send(self, data: bytes, not_before_s: float, delay_s: float, baud: int) -> None:
        """Send an answer: when the wire is free and its delay has passed."""
        if not self._paced:
            self._enqueue(not_before_s + delay_s if delay_s else 0.0, data)
            return
        start_s = max(not_before_s, self._free_s) + delay_s
        byte_s = BITS_PER_BYTE / max(baud, 1)
        self._free_s = end_s = start_s + len(data) * byte_s
        if not self._latency_s:
            self._enqueue(end_s, data)
            return
        full = len(data) - len(data) % _PACKET_BYTES
        for at in range(0, full, _PACKET_BYTES):
            self._enqueue(start_s + (at + _PACKET_BYTES) * byte_s, data[at : at + _PACKET_BYTES])
        if data[full:]:
            self._enqueue(end_s + self._latency_s, data[full:])

    def send_late(self, data: bytes, due_s: float) -> None:
        """Send bytes at a time of the monotonic clock, whatever else is on the wire."""
        self._enqueue(due_s, data)

    def _enqueue(self, due_s: float, data: bytes) -> None:
        if due_s == 0.0:
            # At once, past what a fault holds back.
            self._put(data)
            return
        self._order += 1
        heapq.heappush(self._queue, (due_s, self._order, data))

    def next_due_s(self) -> float:
        """Return when the next bytes are due; infinite if none wait."""
        return self._queue[0][0] if self._queue else float("inf")

    def flush(self) -> None:
        """Send what is due within the next moment, at its time."""
        while self._queue and self._queue[0][0] <= monotonic_s() + self.spin_s:
            due_s, _, data = heapq.heappop(self._queue)
            while monotonic_s() < due_s:
                pass
            self._put(data)

    def _put(self, data: bytes) -> None:
        try:
            sent = os.write(self._master, data)
        except (BlockingIOError, OSError):
            sent = 0
        # A client that reads nothing loses what does not fit, as with a real adapter.
        self.dropped_bytes += len(data) - sent

    def wait(self, poller: select.poll, until_s: float) -> list[tuple[int, int]]:
        """Wait for input or a time; sleeps to shortly before it."""
        left_s = min(until_s, self.next_due_s() - self.spin_s) - monotonic_s()
        if left_s <= 0.0:
            return poller.poll(0)
        if left_s < 0.002:
            # poll counts in ms.
            ready = poller.poll(0)
            if not ready:
                sleep_s(left_s)
                ready = poller.poll(0)
            return ready
        return poller.poll(int(left_s * 1e3))

    def close(self) -> None:
        """Remove terminal and link. Idempotent."""
        self.unplug()
