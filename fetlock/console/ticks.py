"""Bus ticks, of a motion process or of a run, reduced to what the page shows of them."""

from __future__ import annotations

import math

import numpy as np

from fetlock.console.state import RobotView
from fetlock.plots.interventions import name_of
from robot.transport import OverrunError, Ring
from safety.tick_records import Record, applied_of, state_of
from safety.types import INTERVENTIONS, Reason

# Of robot time over which lateness and interventions are taken, s: long enough to be read, short enough to follow what an operator does.
WINDOW_S = 5.0


class Progress:
    """Tells how long a cursor has stood still."""

    def __init__(self) -> None:
        self._head = -1
        self._moved_s = math.nan

    def silent_s(self, head: int, now_s: float) -> float:
        """Return the time since the cursor moved, s; of the first look 0."""
        if head != self._head:
            self._head, self._moved_s = head, now_s
        return now_s - self._moved_s


def newest(ring: Ring, count: float) -> Record:
    """Return the newest records of a ring, up to so many; none if the writer overtook this reader."""
    head = ring.head
    # Two places are left to the writer.
    wanted = min(round(count), head, ring.capacity - 2)
    try:
        rows = ring.read(head - wanted, wanted)
    except OverrunError:
        return ring.read(head, 0)
    # Positions from before a resumed run's start were never written.
    written: Record = rows[rows["sequence"] == np.arange(head - wanted, head - wanted + len(rows))]
    return written


def lateness_ms(rows: Record) -> tuple[float, float, float]:
    """Return p50, p99 and most of the field `lateness_s` of some records, ms."""
    p50, p99, most = (float(value) for value in np.percentile(rows["lateness_s"], (50, 99, 100)) * 1e3)
    return p50, p99, most


def robot_view(rows: Record, joint_names: tuple[str, ...], silent_s: float) -> RobotView:
    """Return what the newest of some ticks says, and what the guard did in all of them.

    Args:
        rows: Tick records, shape (n,), at least one.
        joint_names: Of the robot.
        silent_s: Time since the newest came, s.
    """
    last = rows[-1]
    state, applied = state_of(last), applied_of(last)
    masks = rows["filter_mask"]
    shares = {"": float(np.mean((masks & int(INTERVENTIONS)) != 0))}
    for reason in Reason:
        if reason in INTERVENTIONS and (share := float(np.mean((masks & int(reason)) != 0))):
            shares[name_of(reason)] = share
    return RobotView(
        mode=applied.mode,
        causes=applied.causes,
        joint_names=joint_names,
        position_rad=state.joints.position_rad,
        target_rad=applied.position_rad,
        temperature_c=state.joints.temperature_c,
        voltage_v=state.voltage_v,
        interventions=shares,
        window_s=float(rows["period_s"].sum()),
        silent_s=silent_s,
    )
