"""How fast a bus goes: cycles of one sync write and one sync read, timed where a control loop would wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot.clock import monotonic_s, process_cpu_s
from robot.dynamixel.bus import MotorBus
from robot.dynamixel.timing import CycleTiming

GOAL_ADDRESS, STATE_ADDRESS, STATE_BYTES = 116, 126, 10


@dataclass(frozen=True, slots=True)
class CycleFigures:
    """What cycles took.

    Attributes:
        cycles: How many.
        cycles_per_s: Rate.
        cpu_share: Of one core, that this process used meanwhile.
        p50_ms: Median of one cycle, and percentiles up to the longest.
        p99_ms: Of one cycle.
        p999_ms: Of one cycle.
        max_ms: Of one cycle.
        missed: Answers that did not come.
    """

    cycles: int
    cycles_per_s: float
    cpu_share: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    missed: int


def measure_cycles(bus: MotorBus, ids: Sequence[int], seconds: float, *, write: bool = True) -> CycleFigures:
    """Run cycles as fast as they go.

    Args:
        bus: Open.
        ids: Motors; each is sent its present position, so that none moves.
        seconds: How long.
        write: Send goals too; otherwise only read.
    """
    start = bus.sync_read(ids, 132, 4)
    goals = {motor: start.data[row].tobytes() for row, motor in enumerate(ids) if start.fresh[row]}
    times: list[float] = []
    missed = 0
    begin_s, begin_cpu_s = monotonic_s(), process_cpu_s()
    end_s = begin_s + seconds
    now_s = begin_s
    while now_s < end_s:
        if write and goals:
            bus.sync_write(GOAL_ADDRESS, goals)
        readings = bus.sync_read(ids, STATE_ADDRESS, STATE_BYTES)
        missed += len(ids) - int(readings.fresh.sum())
        later_s = monotonic_s()
        times.append(later_s - now_s)
        now_s = later_s
    cpu_s = process_cpu_s() - begin_cpu_s
    p50, p99, p999, top = (float(value) * 1e3 for value in np.percentile(times, (50, 99, 99.9, 100)))
    elapsed_s = now_s - begin_s
    return CycleFigures(len(times), len(times) / elapsed_s, cpu_s / elapsed_s, p50, p99, p999, top, missed)


def formula(ids: Sequence[int], baud: int, *, write: bool = True, fast: bool = False, latency_s: float = 0.0, delay_raw: int = 0) -> float:
    """Return what a cycle of `measure_cycles` takes at least, ms."""
    timing = CycleTiming(len(ids), baud, 4 if write else 0, STATE_BYTES, fast=fast, return_delay_raw=delay_raw, latency_s=latency_s)
    return timing.cycle_s * 1e3
