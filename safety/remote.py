"""Policy ticks over the motion process: its clock as a Clock here, and the interface of `MotionLoop`.

The server takes a command at the bus tick after it was sent. So a policy tick spans the bus ticks from that of its observation up to that
of the next one, as in `MotionLoop`; its first bus tick still has the target before, and says so in its record.
"""

from __future__ import annotations

from robot.errors import StaleError, UsageError
from robot.types import Command, RobotState
from safety.client import MotionClient
from safety.machine import TickCounts
from safety.motion import BusTick
from safety.tick_records import bus_tick_of

# Policy ticks after which a command that the server has not taken is lost; it takes one, two when it is sent late.
_TICKS_TO_TAKE = 4


class MotionClock:
    """Implements Clock: `wait` begins the server's next tick here. It sleeps to the published deadline, and never spins.

    Args:
        client: Whose ticks it begins.

    Attributes:
        missed: Ticks that had passed when they were waited for; they were skipped here, not by the server.
    """

    def __init__(self, client: MotionClient) -> None:
        self._client = client
        self.missed = 0

    @property
    def period_s(self) -> float:
        """Length of a bus tick, s."""
        return self._client.about.period_s

    def now_s(self) -> float:
        """Return the time of the robot's clock, s."""
        return self._client.time_s()

    def wait(self) -> float:
        """Begin the server's next tick; return how long before it this was called, s, negative if after. Raises StaleError as `read`."""
        client = self._client
        position = client.position + 1
        slack_s = client.until_s(position)
        newest = client.head - 1
        if newest > position:
            self.missed += newest - position
            position = newest
        client.await_tick(position)
        return slack_s


class RemoteMotion:
    """Implements Motion over a motion process.

    Args:
        client: The robot.
        clock: Its clock.
        ticks: Bus ticks in a policy tick: at least 2, for the first is the previous command's.
        timing: Counts the server's bus ticks, missed ticks and lateness.

    Attributes:
        missed: Policy ticks that passed before their command was sent; the tick before took their bus ticks.
        lost: Bus ticks that the ring had overwritten when they were asked for.

    Raises:
        UsageError: If `ticks` is less than 2.
    """

    def __init__(self, client: MotionClient, clock: MotionClock, ticks: int, timing: TickCounts) -> None:
        if ticks < 2:
            raise UsageError(
                f"a policy tick over a motion process spans at least 2 bus ticks, got {ticks}: lower control_hz or raise bus_hz"
            )
        self.robot = client
        self.clock = clock
        self.ticks = ticks
        self.missed = 0
        self.lost = 0
        self._timing = timing
        self._server_missed: int | None = None
        # The newest state handed out, and its tick: the next policy tick begins there, whoever has read since.
        self._state: RobotState | None = None
        self._position = 0

    @property
    def policy_period_s(self) -> float:
        """Length of a policy tick, s."""
        return self.ticks * self.clock.period_s

    def advance(self, target: Command, state: RobotState) -> tuple[RobotState, list[BusTick]]:
        client = self.robot
        first = end = self._position if state is self._state else client.position
        sequence = client.send(target)
        for _ in range(_TICKS_TO_TAKE):
            # Whole policy ticks that have passed already are skipped at once; only the record tells whether the command came in time.
            end += self.ticks * max(1, -(-(client.head - end) // self.ticks))
            self._state, self._position = client.await_tick(end), end
            rows, lost = client.rows(first, end)
            if client.took(rows[-1], sequence):
                break
        else:
            raise StaleError(f"the motion process did not take command {sequence} within {_TICKS_TO_TAKE} policy ticks")
        self.missed += (end - first) // self.ticks - 1
        self.lost += lost
        ticks = [bus_tick_of(row) for row in rows]
        for row in rows:
            self._count(int(row["missed"]), float(row["lateness_s"]))
        return self._state, ticks

    def _count(self, missed: int, lateness_s: float) -> None:
        timing = self._timing
        timing.ticks += 1
        timing.missed += 0 if self._server_missed is None else missed - self._server_missed
        self._server_missed = missed
        timing.lateness_s = lateness_s
        timing.worst_lateness_s = max(timing.worst_lateness_s, lateness_s)
