"""How long a bus cycle takes: one sync write to N motors and one sync read from them.

    T = b [(14 + N (1 + D)) + (14 + N) + R] + N (t_return + t_turn) + t_latency + t_host        b = 10 / baud
    R = N (11 + L), or 8 + N (L + 4) for a fast sync read, whose return delay is paid once

D bytes are written to each motor, L read from each. Frame sizes: ROBOTIS e-manual, Protocol 2.0 (8 bits, one start, one stop). That fast
replies pay one return delay is inferred, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from robot.dynamixel.units import RETURN_DELAY_S

# Start bit, eight data bits, stop bit.
BITS_PER_BYTE = 10


@dataclass(frozen=True, slots=True)
class CycleTiming:
    """A bus and what crosses it.

    Attributes:
        motors: N.
        baud: Bits/s.
        write_bytes: D, to each motor; 4 is a goal position.
        read_bytes: L, from each motor; 10 is current, velocity and position.
        fast: Read by fast sync read.
        return_delay_raw: Register 9, in 2 us.
        latency_s: Of the adapter: how long it may hold what it received.
        host_s: Of the host's own work.
    """

    motors: int
    baud: int
    write_bytes: int = 4
    read_bytes: int = 10
    fast: bool = False
    return_delay_raw: int = 0
    latency_s: float = 0.0
    host_s: float = 0.0

    @property
    def request_bytes(self) -> int:
        """Bytes that the host sends."""
        write = 14 + self.motors * (1 + self.write_bytes) if self.write_bytes else 0
        return write + (14 + self.motors if self.read_bytes else 0)

    @property
    def reply_bytes(self) -> int:
        """Bytes that the motors send, if none of them is stuffed."""
        if not self.read_bytes:
            return 0
        return 8 + self.motors * (self.read_bytes + 4) if self.fast else self.motors * (11 + self.read_bytes)

    @property
    def wire_s(self) -> float:
        """Time that bytes and return delays take, s."""
        replies = (1 if self.fast else self.motors) if self.read_bytes else 0
        return (self.request_bytes + self.reply_bytes) * BITS_PER_BYTE / self.baud + replies * self.return_delay_raw * RETURN_DELAY_S

    @property
    def cycle_s(self) -> float:
        """The whole cycle, s."""
        return self.wire_s + self.latency_s + self.host_s
