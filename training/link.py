"""The shared memory of a run: what its processes say to one another.

    collectors --steps, bus ticks--> rings --acknowledged by the logger--> learner --newest weights--> collectors, evaluator
    a person who drives --newest twist--> collectors

The supervisor creates a link and unlinks it; every other process attaches by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from policy.layout import PolicyLayout
from robot.transport import Counters, Latest, Ring, sweep
from training.records import bus_dtype, step_dtype
from training.rollout_log.recovery import StreamPosition
from training.takeover import TWIST, twist_name
from training.transport import WeightSlot

# Records of each ring that wait for the logger and the learner: at 900 steps/s, 18 s of steps and of bus ticks at twice the rate.
_STEP_CAPACITY = 16_384
_BUS_CAPACITY = 65_536

# Fields of the shared counters, each written by one process: the supervisor, the logger, the learner, the evaluator.
_RUN_FIELDS = (
    "stop",
    "learner_ready",
    "learner_done",
    "consumed",
    "updates",
    "episodes",
    "falls",
    "offered",
    "evaluated",
    "evaluations",
    "marks",
    "log_error",
    "return",
    "measure",
    "started_s",
)
# ... and for each collector.
_COLLECTOR_FIELDS = ("episode", "stamp_s", "lateness_s", "missed", "lost", "adopted", "refused", "waiting", "held", "box", "bus_errors")


@dataclass(frozen=True)
class LinkShape:
    """Sizes of a link; `prefix` names its pieces in shared memory."""

    prefix: str
    collectors: int
    observation: int
    action: int
    joints: int
    vector: int

    @classmethod
    def of(cls, layout: PolicyLayout, collectors: int) -> LinkShape:
        """Return the sizes for a policy, under the name of this process."""
        sizes = (len(layout.observation_names), len(layout.action_names), len(layout.joint_names), layout.vector_size)
        return cls(f"fetlock-{os.getpid()}", collectors, *sizes)


class Link:
    """All the shared pieces, attached."""

    def __init__(
        self, steps: list[Ring], bus: list[Ring], weights: WeightSlot, candidate: WeightSlot, twist: Latest, counters: Counters
    ) -> None:
        self.steps = steps
        self.bus = bus
        self.weights = weights
        self.candidate = candidate
        self.twist = twist
        self.counters = counters

    @classmethod
    def create(cls, shape: LinkShape, starts: list[StreamPosition]) -> Link:
        """Create the pieces, with each collector's streams at its start."""
        step, bus = step_dtype(shape.observation, shape.action), bus_dtype(shape.joints)
        steps = [Ring.create(f"{shape.prefix}-s{i}", step, _STEP_CAPACITY, start=start.step) for i, start in enumerate(starts)]
        ticks = [Ring.create(f"{shape.prefix}-b{i}", bus, _BUS_CAPACITY, start=start.bus) for i, start in enumerate(starts)]
        weights = WeightSlot.create(f"{shape.prefix}-w", shape.vector)
        candidate = WeightSlot.create(f"{shape.prefix}-c", shape.vector)
        twist = Latest.create(twist_name(shape.prefix), TWIST)
        counters = Counters.create(f"{shape.prefix}-n", _fields(shape.collectors))
        for i, start in enumerate(starts):
            counters.set(f"episode_{i}", start.episode)
            counters.set(f"stamp_s_{i}", start.stamp_s)
        return cls(steps, ticks, weights, candidate, twist, counters)

    @classmethod
    def attach(cls, shape: LinkShape) -> Link:
        """Attach to the pieces that `create` made."""
        step, bus = step_dtype(shape.observation, shape.action), bus_dtype(shape.joints)
        return cls(
            [Ring.attach(f"{shape.prefix}-s{i}", step, _STEP_CAPACITY) for i in range(shape.collectors)],
            [Ring.attach(f"{shape.prefix}-b{i}", bus, _BUS_CAPACITY) for i in range(shape.collectors)],
            WeightSlot.attach(f"{shape.prefix}-w", shape.vector),
            WeightSlot.attach(f"{shape.prefix}-c", shape.vector),
            Latest.attach(twist_name(shape.prefix), TWIST),
            Counters.attach(f"{shape.prefix}-n", _fields(shape.collectors)),
        )

    def total(self, field: str) -> int:
        """Return the sum of a collector's counter over all collectors."""
        return sum(int(self.counters.get(f"{field}_{i}")) for i in range(len(self.steps)))

    @property
    def collected(self) -> int:
        """Environment steps that all collectors have taken."""
        return sum(ring.head for ring in self.steps)

    def close(self) -> None:
        """Detach; the pieces live on for the others."""
        for piece in self._pieces():
            piece.close()

    def unlink(self) -> None:
        """Remove the pieces; for the process that created them."""
        for piece in self._pieces():
            piece.unlink()

    def _pieces(self) -> list[Ring | WeightSlot | Latest | Counters]:
        return [*self.steps, *self.bus, self.weights, self.candidate, self.twist, self.counters]


@contextmanager
def linked(layout: PolicyLayout, starts: list[StreamPosition]) -> Iterator[tuple[LinkShape, Link]]:
    """Create the shared memory of a run, remove it at the end, and what dead runs have left.

    Args:
        layout: Of the run's policy.
        starts: Where each collector's streams begin.
    """
    sweep(r"fetlock-([0-9]+)-[a-z0-9]+")
    shape = LinkShape.of(layout, len(starts))
    link = Link.create(shape, starts)
    try:
        yield shape, link
    finally:
        link.close()
        link.unlink()


def _fields(collectors: int) -> tuple[str, ...]:
    return (*_RUN_FIELDS, *(f"{name}_{i}" for i in range(collectors) for name in _COLLECTOR_FIELDS))
