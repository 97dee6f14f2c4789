"""Simulated time: waiting for the next tick steps the physics."""

from __future__ import annotations

from typing import Protocol


class Timed(Protocol):
    """A robot whose time moves on when it is told to."""

    @property
    def bus_period_s(self) -> float:
        """Time that one `advance` takes, s."""

    @property
    def now_s(self) -> float:
        """Simulated time, s."""

    def advance(self) -> None:
        """Move physics on by one bus period."""

    def skip_to(self, now_s: float) -> None:
        """Let the time be `now_s` or later without moving physics."""


class SimulatedClock:
    """Implements Clock for a simulated robot; `wait` returns at once with the world one bus period later."""

    def __init__(self, robot: Timed) -> None:
        self._robot = robot

    @property
    def period_s(self) -> float:
        """Bus period, s."""
        return self._robot.bus_period_s

    def now_s(self) -> float:
        return self._robot.now_s

    def skip_to(self, now_s: float) -> None:
        """Move simulated time on to `now_s`, s, with the world as it is; a time that has passed changes nothing."""
        self._robot.skip_to(now_s)

    def wait(self) -> float:
        """Step the physics by one period; the slack is 0: simulated time is never late. Raises ClosedError once the robot is closed."""
        self._robot.advance()
        return 0.0
