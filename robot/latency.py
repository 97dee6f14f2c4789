"""Delays in whole physics steps: a wire that carries targets to the motors, and one that carries samples to the reader."""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar

Targets = list[float]


class Stamped(Protocol):
    """Anything that was measured at a physics step."""

    @property
    def step(self) -> int:
        """Number of the physics step."""


Sample = TypeVar("Sample", bound=Stamped)


class TargetDelay:
    """Targets put at step s hold from step s + delay on. Two at one step: the later one counts.

    Args:
        delay_steps: Whole physics steps, >= 0.
        first: Targets that hold from the start, shape (n,), rad.
    """

    def __init__(self, delay_steps: int, first: Targets) -> None:
        self._delay = delay_steps
        self._travelling: deque[tuple[int, Targets]] = deque()
        self._current = first

    @property
    def next_arrival(self) -> int:
        """Step at which the next targets arrive; -1 when none travel."""
        return self._travelling[0][0] if self._travelling else -1

    def put(self, step: int, targets: Targets) -> None:
        """Send targets at a step; steps never decrease."""
        arrival = step + self._delay
        if self._travelling and self._travelling[-1][0] == arrival:
            self._travelling.pop()
        self._travelling.append((arrival, targets))

    def at(self, step: int) -> Targets:
        """Return the targets that hold in the physics step `step`; steps never decrease."""
        while self._travelling and self._travelling[0][0] <= step:
            self._current = self._travelling.popleft()[1]
        return self._current


class SampleDelay(Generic[Sample]):
    """Samples in the order of their steps; the reader sees the newest that is old enough, and the first one until then."""

    def __init__(self, delay_steps: int, first: Sample) -> None:
        self._delay = delay_steps
        self._samples: deque[Sample] = deque([first])

    @property
    def delay_steps(self) -> int:
        """Whole physics steps."""
        return self._delay

    @property
    def newest_step(self) -> int:
        """Step of the sample that was sent last."""
        return self._samples[-1].step

    def put(self, sample: Sample) -> None:
        """Send a sample; its step is above that of the last."""
        self._samples.append(sample)

    def at(self, step: int) -> Sample:
        """Return the sample that arrived last by `step`; steps never decrease."""
        newest_step = step - self._delay
        while len(self._samples) > 1 and self._samples[1].step <= newest_step:
            self._samples.popleft()
        return self._samples[0]
