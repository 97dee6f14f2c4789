"""The newest record of one writer in shared memory: who reads gets it whole or not at all, never a mixture."""

from __future__ import annotations

import zlib
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot.transport.memory import Block

# Words of the header: seqlock (odd while the record is written, 0 before the first) and CRC-32; padded to a cache line.
_WORDS = 2
_HEADER = 64


class Latest(Block):
    """A record behind a seqlock and a checksum. A writer that was killed in mid-write leaves none; the next publication heals it."""

    def __init__(self, name: str, dtype: np.dtype[np.void], *, create: bool) -> None:
        super().__init__(name, _HEADER + dtype.itemsize, create=create)
        self._words = self.array(np.uint64, _WORDS, 0)
        self._record = self.array(dtype, 1, _HEADER)
        self.dtype = dtype

    @classmethod
    def create(cls, name: str, dtype: np.dtype[np.void]) -> Self:
        """Create a block that holds no record yet."""
        return cls(name, dtype, create=True)

    @classmethod
    def attach(cls, name: str, dtype: np.dtype[np.void]) -> Self:
        """Attach to a block."""
        return cls(name, dtype, create=False)

    def publish(self, record: NDArray[np.void]) -> None:
        """Replace the record by this one, shape (1,)."""
        words = self._words
        lock = int(words[0]) | 1
        words[0] = lock
        self._record[0] = record[0]
        words[1] = zlib.crc32(record.tobytes())
        words[0] = lock + 1

    def read(self) -> NDArray[np.void] | None:
        """Return a copy of the newest record, shape (1,); None before the first, while one is written, or if it is damaged."""
        before = int(self._words[0])
        if before == 0 or before % 2:
            return None
        record = self._record.copy()
        checksum = int(self._words[1])
        if int(self._words[0]) != before or zlib.crc32(record.tobytes()) != checksum:
            return None
        return record
