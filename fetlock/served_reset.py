"""How episodes begin on a robot that is served by the motion process: its routine runs there."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from fetlock.cameras import await_view
from robot.clock import monotonic_s, sleep_s
from robot.errors import RobotError
from robot.protocols import Camera
from safety import MotionClient
from safety.modes import needs_person
from safety.motion import BusTick
from safety.motion_records import Outcome
from safety.tick_records import bus_tick_of
from safety.types import Note

# How often it is looked whether an operator has helped, s.
_LOOK_S = 0.1


class ServedReset:
    """Begins episodes where the robot is served: by a release, or, but for the first one's place, by its routine.

    Args:
        client: Of the motion process.
        routine: Whether a routine brings the robot to where an episode begins.
        eye: The camera whose frames are recorded, None where there is none: a blind robot is not moved.
    """

    def __init__(self, client: MotionClient, *, routine: bool, eye: Camera | None) -> None:
        self._eye = eye
        self._client = client
        self._routine = routine
        self._placed = False

    def __call__(self, rng: np.random.Generator, goes_on: Callable[[], bool] = lambda: True) -> list[BusTick]:
        """Begin an episode drawn from `rng`; return the bus ticks from there to the present one, which the log begins with.

        Raises:
            RobotError: If the robot cannot be released, its routine fails or is stopped, or its camera gives nothing.
        """
        if self._eye is not None:
            self._eye.capture()
        first = self._client.head
        if not self._routine or not self._placed:
            self._client.release(int(rng.integers(2**31)))
            self._placed = True
            # An emulated machine draws nothing while its robot comes to rest, and what it drew before is no view of an episode.
            if self._eye is not None:
                await_view(self._eye, monotonic_s())
        while self._routine and (end := self._client.reset(int(rng.integers(2**31)))).outcome is not Outcome.DONE:
            if end.outcome is not Outcome.OPERATOR or not goes_on():
                raise RobotError(f"the reset routine ended, {end.outcome.name.lower()}: {end.history}")
            sys.stderr.write(f"waiting for an operator: {end.history}\n")
            while needs_person(self._client.causes) and goes_on():
                sleep_s(_LOOK_S)
        self._client.read()
        ticks: list[BusTick] = []
        # The robot goes on while a routine's ticks are taken in: again, until the episode begins with the newest state and none is missing
        # before it.
        while first < self._client.position:
            position = self._client.position
            ticks += self._ticks(first, position)
            first = position
            self._client.await_tick(self._client.head - 1)
        return ticks

    def _ticks(self, first: int, last: int) -> list[BusTick]:
        rows, _ = self._client.rows(first, last)
        return [bus_tick_of(row) for row in rows if not Note(int(row["notes"])) & Note.SKIPPED]
