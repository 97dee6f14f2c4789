"""Waiting for what another process does."""

from __future__ import annotations

from collections.abc import Callable

from robot.clock import monotonic_s, sleep_s


def eventually(condition: Callable[[], bool], limit_s: float = 60.0) -> bool:
    """Return whether something comes to hold within a time, s."""
    end_s = monotonic_s() + limit_s
    while not condition() and monotonic_s() < end_s:
        sleep_s(0.01)
    return condition()
