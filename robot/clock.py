"""The one clock policy: absolute deadlines on the monotonic clock; a missed tick is skipped and counted, never caught up.

Only this file may touch `time` (a ruff rule). `docs/time.md` states the laws.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from robot.errors import UsageError
from robot.protocols import Clock

# prctl(2): PR_SET_TIMERSLACK, in ns. The kernel's default of 50 us delays every sleep by up to that much.
_PR_SET_TIMERSLACK = 29
_TIMER_SLACK_NS = 1000


def monotonic_s() -> float:
    """Return the time of CLOCK_MONOTONIC, s: it never jumps with the wall clock and is the same in all processes of a machine."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def sleep_s(duration_s: float) -> None:
    """Sleep for `duration_s` seconds, outside of any control loop."""
    time.sleep(duration_s)


def process_cpu_s() -> float:
    """Return the CPU time that this process used, s."""
    return time.process_time()


def wall_datetime() -> datetime.datetime:
    """Return the wall-clock time, for file names and metadata only: no control decision rests on it."""
    return datetime.datetime.now(tz=datetime.UTC)


def set_timer_slack() -> None:
    """Ask the kernel for wake-ups within 1 us of the deadline in this thread (Linux; elsewhere nothing happens)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _TIMER_SLACK_NS, 0, 0, 0)


def request_realtime(priority: int = 50) -> bool:
    """Ask for SCHED_FIFO at `priority` for this process; return whether it was granted (CAP_SYS_NICE). Never spin under it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (PermissionError, OSError, AttributeError):
        return False
    return True


@dataclass(slots=True)
class TickStatistics:
    """What a real-time clock counted: ticks waited for, ticks skipped, the newest lateness and the worst since it was taken, in s."""

    ticks: int = 0
    missed: int = 0
    lateness_s: float = 0.0
    worst_lateness_s: float = 0.0

    def take_worst_lateness_s(self) -> float:
        """Return the worst lateness since the last call, s, and start anew."""
        worst_s, self.worst_lateness_s = self.worst_lateness_s, 0.0
        return worst_s


class RealTimeClock:
    """A clock that sleeps to the absolute deadlines k * period_s from its start.

    A tick whose deadline has passed by more than one period when `wait` is called is skipped: the schedule keeps its phase.
    `start` is called by the first `wait`, or by hand when an episode begins.
    """

    def __init__(self, period_s: float, now_s: Callable[[], float] = monotonic_s, sleep: Callable[[float], None] = sleep_s) -> None:
        if not 0.0 < period_s < math.inf:
            raise UsageError(f"a clock's period must be positive and finite: got {period_s} s")
        self._period_s = period_s
        self._now_s = now_s
        self._sleep = sleep
        self._start_s: float | None = None
        self._tick = 0
        self.statistics = TickStatistics()

    @property
    def period_s(self) -> float:
        """Length of a tick, s."""
        return self._period_s

    def now_s(self) -> float:
        """Return the monotonic time, s."""
        return self._now_s()

    def start(self) -> None:
        """Begin a new schedule now; pauses such as a reset are not counted as missed ticks."""
        self._begin(self._now_s())

    def _begin(self, now_s: float) -> float:
        self._start_s = now_s
        self._tick = 0
        return now_s

    def wait(self) -> float:
        """Sleep to the next deadline. Return the slack at the call, s: time that was left, negative when it came late.

        After the sleep, `statistics.lateness_s` holds the wake-up's distance from its deadline.
        """
        now_s = self._now_s()
        start_s = self._begin(now_s) if self._start_s is None else self._start_s
        self._tick += 1
        # A product, not a running sum: rounding must not move the schedule over hours.
        deadline_s = start_s + self._tick * self._period_s
        slack_s = deadline_s - now_s
        if slack_s <= -self._period_s:
            skipped = int(-slack_s / self._period_s)
            self.statistics.missed += skipped
            self._tick += skipped
            deadline_s = start_s + self._tick * self._period_s
        while (left_s := deadline_s - now_s) > 0.0:
            self._sleep(left_s)
            now_s = self._now_s()
        self.statistics.ticks += 1
        self.statistics.lateness_s = now_s - deadline_s
        self.statistics.worst_lateness_s = max(self.statistics.worst_lateness_s, self.statistics.lateness_s)
        return slack_s


class LockstepClock:
    """Time of a machine that moves only when it is asked: one bus period passes at each `wait`.

    Counts in the machine's own steps, so that its stamps are the machine's, bit for bit.

    Args:
        step_s: Step of the machine, s.
        steps: In a bus period.
    """

    def __init__(self, step_s: float, steps: int) -> None:
        self._step_s = step_s
        self._steps = steps
        self.step = 0

    @property
    def period_s(self) -> float:
        """Length of a tick, s."""
        return self._steps * self._step_s

    def now_s(self) -> float:
        """Return the time, s."""
        return self.step * self._step_s

    def wait(self) -> float:
        """Let a period pass; the slack is 0: such time is never late."""
        self.step += self._steps
        return 0.0


class Advancing(Protocol):
    """Something that a clock moves on tick by tick."""

    def advance(self) -> None:
        """Begin the next tick."""


class TickClock:
    """A clock that tells a robot of each tick after it has waited for it."""

    def __init__(self, robot: Advancing, clock: Clock) -> None:
        self._robot = robot
        self._clock = clock

    @property
    def period_s(self) -> float:
        """Length of a tick, s."""
        return self._clock.period_s

    def now_s(self) -> float:
        """Return the time of the clock inside, s."""
        return self._clock.now_s()

    def wait(self) -> float:
        """Wait for the clock inside, then begin the robot's tick; return the slack, s."""
        slack_s = self._clock.wait()
        self._robot.advance()
        return slack_s


class PacedClock:
    """A simulated clock slowed to real time: physics advance first, then the loop sleeps to the deadline."""

    def __init__(self, simulated: Clock, real: RealTimeClock) -> None:
        if abs(simulated.period_s - real.period_s) > 1e-12:
            raise UsageError(f"the two clocks of a paced loop differ: {simulated.period_s} s and {real.period_s} s")
        self._simulated = simulated
        self.real = real

    @property
    def period_s(self) -> float:
        """Length of a tick, s."""
        return self._simulated.period_s

    def now_s(self) -> float:
        """Return the simulated time, s."""
        return self._simulated.now_s()

    def wait(self) -> float:
        """Step the simulation, then sleep; return the slack of the real clock, s: what the simulation left of the tick."""
        self._simulated.wait()
        return self.real.wait()
