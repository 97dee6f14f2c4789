"""A simulated camera whose pictures come late, as those of any camera of metal do: exposure, transfer and decoding take 30 to 100 ms."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from robot.protocols import Camera, Clock
from robot.types import CameraFrame

# Simulated time is a sum of bus periods: a picture that is due at a tick is taken at it, whatever that sum was rounded to, s.
_ROUNDING_S = 1e-6


class LateCamera:
    """Implements Camera over one whose pictures are of now: `capture` returns what it showed a latency ago.

    The latency of an episode is drawn by `begin` and rounded to whole bus ticks. Pictures are taken at those, by `advance`, one for each
    policy tick; the first of an episode is of its beginning: the robot stood so before. Stamps are those of the pictures.

    Args:
        camera: Taken over, and closed with this one.
        clock: Of the bus; its time is what pictures are stamped with.
        period_s: Policy tick: how often `capture` is called, s.
        latency_s: Range of the latency, s.
    """

    def __init__(self, camera: Camera, clock: Clock, period_s: float, latency_s: tuple[float, float]) -> None:
        self._camera = camera
        self._clock = clock
        self._period_s = period_s
        self._range_s = latency_s
        self._latency_s = self._rounded(latency_s[0])
        self._frames: deque[CameraFrame] = deque()
        self._due_s = math.inf

    def begin(self, rng: np.random.Generator) -> None:
        """Forget what was seen, and draw the latency of an episode."""
        self.rest()
        self._latency_s = self._rounded(rng.uniform(*self._range_s))

    def rest(self) -> None:
        """Take no pictures until somebody captures one."""
        self._frames.clear()
        self._due_s = math.inf

    def advance(self) -> None:
        """Begin a bus tick: take the picture that is due, if one is."""
        if self._clock.now_s() >= self._due_s - _ROUNDING_S:
            self._frames.append(self._camera.capture())
            self._due_s += self._period_s

    def capture(self) -> CameraFrame:
        """Return the picture of a latency ago.

        Raises:
            ClosedError: After `close`.
        """
        if not self._frames:
            self._frames.append(first := self._camera.capture())
            # The capture of the policy tick after the next ones within the latency is the first that sees what comes now.
            ticks = math.floor((self._latency_s + _ROUNDING_S) / self._period_s) + 1
            self._due_s = first.stamp_s + ticks * self._period_s - self._latency_s
        seen_s = self._clock.now_s() - self._latency_s + _ROUNDING_S
        while len(self._frames) > 1 and self._frames[1].stamp_s <= seen_s:
            self._frames.popleft()
        return self._frames[0]

    def close(self) -> None:
        self._camera.close()

    def _rounded(self, latency_s: float) -> float:
        return round(latency_s / self._clock.period_s) * self._clock.period_s
