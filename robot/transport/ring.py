"""A ring of records in shared memory: one producer; the logger acknowledges, the learner consumes.

A position in the stream is a record's sequence number: it grows for ever, whichever end restarts. Cursors: `head` (records written),
`acknowledged` (records flushed by the logger), `consumed` (records that the learner took; for display, it holds nobody up).
"""

from __future__ import annotations

import mmap
import zlib
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from robot.errors import FetlockError
from robot.transport.memory import Block

_CURSORS = 8
_HEADER = _CURSORS * 8


class OverrunError(FetlockError):
    """Records were asked for that newer ones have overwritten; the log still has them."""


class Ring(Block):
    """See the module. `capacity` is the number of records kept; `start` the first position of a new ring."""

    def __init__(self, name: str, dtype: np.dtype[np.void], capacity: int, *, create: bool) -> None:
        super().__init__(name, _HEADER + capacity * dtype.itemsize, create=create)
        # Plain views, whose elements are plain numbers and whose slices are copied as bytes: a third of what arrays of NumPy cost.
        self._cursors = self.array(np.uint64, _CURSORS, 0).data
        self._bytes = self.array(np.uint8, capacity * dtype.itemsize, _HEADER).data
        self._records = self.array(dtype, capacity, _HEADER)
        self.dtype = dtype
        self.capacity = capacity

    @classmethod
    def create(cls, name: str, dtype: np.dtype[np.void], capacity: int, *, start: int = 0) -> Self:
        """Create an empty ring whose next record has position `start`."""
        ring = cls(name, dtype, capacity, create=True)
        for place, number in enumerate((start, start, start, capacity, dtype.itemsize, _fingerprint(dtype))):
            ring._cursors[place] = number
        return ring

    @classmethod
    def attach(cls, name: str, dtype: np.dtype[np.void], capacity: int) -> Self:
        """Attach to a ring.

        Raises:
            FetlockError: If it is not there, or holds other records.
        """
        ring = cls(name, dtype, capacity, create=False)
        found = (ring._cursors[3], ring._cursors[4])
        fields_differ = ring._cursors[5] != _fingerprint(dtype)
        if found != (capacity, dtype.itemsize) or fields_differ:
            ring.close()
            raise FetlockError(
                f"ring {name} holds {found[0]} records of {found[1]} bytes, {capacity} of {dtype.itemsize} were expected"
                f"{', with other fields' if fields_differ else ''}: the processes run different configurations"
            )
        return ring

    @property
    def head(self) -> int:
        """Position of the next record to be written."""
        return self._cursors[0]

    @property
    def acknowledged(self) -> int:
        """Position up to which records are in the kernel's hands."""
        return self._cursors[1]

    @property
    def consumed(self) -> int:
        """Position up to which the learner has digested records."""
        return self._cursors[2]

    @property
    def free(self) -> int:
        """Records that can be appended before the logger has to catch up."""
        return self.capacity - 1 - (self.head - self.acknowledged)

    def populate(self) -> None:
        """Map every page now, so that no `append` of this process waits for one: a first touch took 4 to 8 us (measured)."""
        self.array(np.uint8, _HEADER + self.capacity * self.dtype.itemsize, 0)[:: mmap.PAGESIZE].max()

    def append(self, *parts: bytes | NDArray[Any]) -> bool:
        """Append one record; False, and nothing written, if it would overwrite one not acknowledged. Never blocks.

        Args:
            parts: The record's bytes in order, or arrays that consist of them, such as a record of shape (1,).

        Raises:
            ValueError: If they are not one record; nothing is written.
        """
        head, size = self._cursors[0], self.dtype.itemsize
        # One slot stays free: the one that the next record goes to never holds a record that somebody may still read.
        if head - self._cursors[1] >= self.capacity - 1:
            return False
        rows = [part if isinstance(part, bytes) else part.reshape(-1).view(np.uint8).data for part in parts]
        if sum(map(len, rows)) != size:
            raise ValueError(f"ring {self.name}: a record has {size} bytes, these are {sum(map(len, rows))}")
        start = head % self.capacity * size
        for row in rows:
            end = start + len(row)
            self._bytes[start:end] = row
            start = end
        self._cursors[0] = head + 1
        return True

    def read(self, start: int, limit: int) -> NDArray[np.void]:
        """Return a copy of up to `limit` records from position `start` to the head.

        Raises:
            OverrunError: If some of them have been overwritten.
        """
        count = max(0, min(limit, self.head - start))
        index = (start + np.arange(count)) % self.capacity
        records = self._records[index]
        # The producer may write the slot at `head` at this moment, so that one does not count as kept.
        if count and start <= self.head - self.capacity:
            raise OverrunError(f"records from {start} on were overwritten: the ring keeps {self.capacity}, the log has them all")
        return records

    def acknowledge(self, position: int) -> None:
        """Announce that records before `position` survive the death of every process. For the logger."""
        self._cursors[1] = position

    def consume(self, position: int) -> None:
        """Announce that records before `position` were digested. For the learner."""
        self._cursors[2] = position


def _fingerprint(dtype: np.dtype[np.void]) -> int:
    """Return a checksum of a record's fields, their order and types."""
    return zlib.crc32(repr(dtype.descr).encode())
