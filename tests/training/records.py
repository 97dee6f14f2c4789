"""Made-up records for tests of ring, log and replay."""

from __future__ import annotations

import numpy as np

from training.records import bus_dtype, step_dtype

STEP = step_dtype(5, 2)
BUS = bus_dtype(3)


class Stream(list[bytes]):
    """Implements the collector's Stream of records of one type, as a list of their bytes."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        super().__init__()
        self.dtype = dtype

    @property
    def head(self) -> int:
        """Number of records."""
        return len(self)

    def append(self, *parts: bytes | np.ndarray) -> bool:  # type: ignore[override]
        """Keep a record."""
        record = b"".join(map(bytes, parts))
        assert len(record) == self.dtype.itemsize
        super().append(record)
        return True

    @property
    def array(self) -> np.ndarray:
        """All records, shape (k,)."""
        return np.frombuffer(b"".join(self), self.dtype)


def walking_streams() -> tuple[Stream, Stream]:
    """Streams of steps and bus ticks of the walking Minitaur."""
    return Stream(step_dtype(36, 8)), Stream(bus_dtype(8))


def step_records(first: int, count: int, *, episode: int = 0, collector: int = 0, end: bool = False) -> np.ndarray:
    """`count` steps from sequence `first` on, each spanning two bus ticks; the last one ends the episode if `end`."""
    rng = np.random.default_rng([first, count])
    records = np.zeros(count, STEP)
    sequence = np.arange(first, first + count)
    records["sequence"] = sequence
    records["bus_first"], records["bus_last"] = 2 * sequence, 2 * sequence + 1
    records["episode"], records["collector"], records["step"] = episode, collector, np.arange(count)
    records["stamp_s"] = sequence * 0.02
    records["mode"] = 3
    for name in ("observation", "action", "applied_action", "next_observation"):
        records[name] = rng.standard_normal(records[name].shape)
    records["reward"], records["measure"] = rng.standard_normal(count), rng.standard_normal(count)
    if end:
        records["truncated"][-1] = 1
    return records


def bus_records(first: int, count: int, *, episode: int = 0, collector: int = 0) -> np.ndarray:
    """`count` bus ticks from sequence `first` on."""
    records = np.zeros(count, BUS)
    records["sequence"] = np.arange(first, first + count)
    records["episode"], records["collector"] = episode, collector
    records["stamp_s"] = records["sequence"] * 0.01
    records["target_rad"] = np.random.default_rng(first).standard_normal((count, 3))
    records["torque_nm"] = np.nan
    return records
