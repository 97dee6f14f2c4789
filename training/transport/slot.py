"""The newest weights in shared memory: one writer, any readers; who reads gets the newest set or none, never a mixture."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot.errors import PolicyError
from robot.transport.memory import Block

# Words of a buffer's header: seqlock, version, steps, updates, CRC-32.
_WORDS = 5
# Bytes before the buffers: the newest version, padded to a cache line.
_HEADER = 64


@dataclass(frozen=True, slots=True)
class Weights:
    """A version of the policy: its vector, shape (n,), float32, with the environment steps and updates that made it."""

    version: int
    vector: NDArray[np.float32]
    steps: int
    updates: int


class WeightSlot(Block):
    """Two buffers, each behind a seqlock (odd while it is written) and a checksum; the newest version's is never the one written to."""

    def __init__(self, name: str, size: int, *, create: bool) -> None:
        stride = -(-(_WORDS * 8 + size * 4) // 64) * 64
        super().__init__(name, _HEADER + 2 * stride, create=create)
        self._size = size
        self._newest = self.array(np.uint64, 1, 0)
        self._words = [self.array(np.uint64, _WORDS, _HEADER + i * stride) for i in range(2)]
        self._vectors = [self.array(np.float32, size, _HEADER + i * stride + _WORDS * 8) for i in range(2)]

    @classmethod
    def create(cls, name: str, size: int) -> Self:
        """Create an empty slot for vectors of `size` elements."""
        return cls(name, size, create=True)

    @classmethod
    def attach(cls, name: str, size: int) -> Self:
        """Attach to a slot."""
        return cls(name, size, create=False)

    @property
    def version(self) -> int:
        """Newest version published; 0 before the first."""
        return int(self._newest[0])

    def publish(self, version: int, vector: NDArray[np.float32], steps: int, updates: int) -> None:
        """Replace the older of the two buffers, then announce it.

        Raises:
            PolicyError: If the vector has another size, a number in it is not finite, or the version does not grow; the old weights stay.
        """
        if vector.shape != (self._size,):
            raise PolicyError(f"weights of shape {vector.shape} were published to a slot of {self._size}: they belong to another network")
        if not np.isfinite(vector).all():
            raise PolicyError(f"weights of version {version} are not finite: learning has diverged; the last good set is kept")
        if version <= self.version:
            raise PolicyError(f"version {version} was published after version {self.version}: versions must grow")
        index = 1 - self._holder(self.version)
        words, target = self._words[index], self._vectors[index]
        lock = int(words[0]) | 1
        words[0] = lock
        target[:] = vector
        words[1:] = (version, steps, updates, zlib.crc32(vector.tobytes()))
        words[0] = lock + 1
        self._newest[0] = version

    def newest(self, after_version: int) -> Weights | None:
        """Return the newest weights if they are newer than `after_version`; None if not, or if they are being written or damaged."""
        version = self.version
        if version <= after_version:
            return None
        index = self._holder(version)
        words, source = self._words[index], self._vectors[index]
        before = int(words[0])
        vector = source.copy()
        held, steps, updates, checksum = (int(word) for word in words[1:])
        if before % 2 or int(words[0]) != before or held != version or zlib.crc32(vector.tobytes()) != checksum:
            return None
        return Weights(version, np.asarray(vector, dtype=np.float32), steps, updates)

    def _holder(self, version: int) -> int:
        """Return the buffer that holds the newest version."""
        return 0 if int(self._words[0][1]) == version else 1
