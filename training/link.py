"""The shared memory of a run: what its processes say to one another.

    collectors --steps, bus ticks, frames--> rings --acknowledged by the logger--> learner --newest weights--> collectors, evaluator
    a person who drives --newest twist--> collectors

The supervisor creates a link and unlinks it; every other process attaches by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from policy.layout import PolicyLayout
from robot.transport import Counters, Latest, Ring, sweep
from training.records import bus_dtype, frame_dtype, step_dtype
from training.rollout_log.recovery import StreamPosition
from training.takeover import TWIST, twist_name
from training.transport import WeightSlot

# Records of each ring that wait for the logger and the learner: at 900 steps/s, 18 s of steps and of bus ticks at twice the rate.
_STEP_CAPACITY = 16_384
_BUS_CAPACITY = 65_536
# Of a ring of frames, bytes: 63 s of 84 x 84 px at 50 Hz, 6.8 s of the largest, 256 x 256 px, and at most as many frames as steps. A logger
# that was killed again and again took 5.4 s until it acknowledged (docs/results, "A thousand kills").
_FRAME_BYTES = 64 * 2**20

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
    """Sizes of a link; `prefix` names its pieces in shared memory, `frame` is height and width of frames, px, where there are any."""

    prefix: str
    collectors: int
    observation: int
    action: int
    joints: int
    vector: int
    frame: tuple[int, int] | None = None

    @classmethod
    def of(cls, layout: PolicyLayout, collectors: int, frame: tuple[int, int] | None = None) -> LinkShape:
        """Return the sizes for a policy, and for frames, under the name of this process."""
        sizes = (len(layout.observation_names), len(layout.action_names), len(layout.joint_names), layout.vector_size)
        return cls(f"fetlock-{os.getpid()}", collectors, *sizes, frame)


class Link:
    """All the shared pieces, attached."""

    def __init__(
        self,
        steps: list[Ring],
        bus: list[Ring],
        frames: list[Ring],
        weights: WeightSlot,
        candidate: WeightSlot,
        twist: Latest,
        counters: Counters,
    ) -> None:
        self.steps = steps
        self.bus = bus
        self.frames = frames
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
        frames = [Ring.create(*arguments) for arguments in _frame_rings(shape)]
        weights = WeightSlot.create(f"{shape.prefix}-w", shape.vector)
        candidate = WeightSlot.create(f"{shape.prefix}-c", shape.vector)
        twist = Latest.create(twist_name(shape.prefix), TWIST)
        counters = Counters.create(f"{shape.prefix}-n", _fields(shape.collectors))
        for i, start in enumerate(starts):
            counters.set(f"episode_{i}", start.episode)
            counters.set(f"stamp_s_{i}", start.stamp_s)
        return cls(steps, ticks, frames, weights, candidate, twist, counters)

    @classmethod
    def attach(cls, shape: LinkShape) -> Link:
        """Attach to the pieces that `create` made."""
        step, bus = step_dtype(shape.observation, shape.action), bus_dtype(shape.joints)
        return cls(
            [Ring.attach(f"{shape.prefix}-s{i}", step, _STEP_CAPACITY) for i in range(shape.collectors)],
            [Ring.attach(f"{shape.prefix}-b{i}", bus, _BUS_CAPACITY) for i in range(shape.collectors)],
            [Ring.attach(*arguments) for arguments in _frame_rings(shape)],
            WeightSlot.attach(f"{shape.prefix}-w", shape.vector),
            WeightSlot.attach(f"{shape.prefix}-c", shape.vector),
            Latest.attach(twist_name(shape.prefix), TWIST),
            Counters.attach(f"{shape.prefix}-n", _fields(shape.collectors)),
        )

    def frames_of(self, index: int) -> Ring | None:
        """Return a collector's ring of frames; None where there is no camera."""
        return self.frames[index] if self.frames else None

    def populate(self, index: int) -> None:
        """Map all that a collector in real time writes to into this process."""
        for rings in (self.steps, self.bus, self.frames):
            for ring in rings[index : index + 1]:
                ring.populate()

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
        return [*self.steps, *self.bus, *self.frames, self.weights, self.candidate, self.twist, self.counters]


@contextmanager
def linked(layout: PolicyLayout, starts: list[StreamPosition], frame: tuple[int, int] | None = None) -> Iterator[tuple[LinkShape, Link]]:
    """Create the shared memory of a run, remove it at the end, and what dead runs have left.

    Args:
        layout: Of the run's policy.
        starts: Where each collector's streams begin.
        frame: Height and width of the camera's frames, px; None without a camera.
    """
    sweep(r"fetlock-([0-9]+)-[a-z0-9]+")
    shape = LinkShape.of(layout, len(starts), frame)
    link = Link.create(shape, starts)
    try:
        yield shape, link
    finally:
        link.close()
        link.unlink()


def _frame_rings(shape: LinkShape) -> Iterator[tuple[str, np.dtype[np.void], int]]:
    """Yield name, record and capacity of each ring of frames."""
    if shape.frame is not None:
        dtype = frame_dtype(*shape.frame)
        capacity = min(_STEP_CAPACITY, _FRAME_BYTES // dtype.itemsize)
        yield from ((f"{shape.prefix}-f{i}", dtype, capacity) for i in range(shape.collectors))


def _fields(collectors: int) -> tuple[str, ...]:
    return (*_RUN_FIELDS, *(f"{name}_{i}" for i in range(collectors) for name in _COLLECTOR_FIELDS))
