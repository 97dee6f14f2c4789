"""Named blocks of shared memory, created and unlinked by one process, attached by its children.

Payload is written before the cursor that announces it. x86-64 keeps the order of stores and of loads; every test ran there.
ARM keeps neither and Python has no fence: there `WeightSlot` is safe by its checksum, `Ring` is unproven.
"""

from __future__ import annotations

from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from robot.errors import FetlockError

_Element = TypeVar("_Element", bound=np.generic)


class Block:
    """A block of `size` bytes; the base of everything that is shared.

    Raises:
        FetlockError: If the block cannot be created, or is not there to attach to.
    """

    def __init__(self, name: str, size: int, *, create: bool) -> None:
        try:
            self._memory = SharedMemory(name, create=create, size=size)
        except OSError as error:
            verb = "created" if create else "attached to"
            raise FetlockError(f"shared memory {name} ({size} bytes) cannot be {verb}: {error.strerror}; see 'df -h /dev/shm'") from error
        if self._memory.size < size:
            self._memory.close()
            raise FetlockError(
                f"shared memory {name} has {self._memory.size} bytes, {size} were expected: the processes run different configurations"
            )
        self.name = name

    def array(self, dtype: np.dtype[_Element] | type[_Element], count: int, offset: int) -> NDArray[_Element]:
        """Return `count` elements at `offset` as a view."""
        return np.ndarray((count,), dtype, self._memory.buf, offset)

    def close(self) -> None:
        """Detach. Views must not be used afterwards."""
        try:
            self._memory.close()
        except BufferError:
            # NumPy views still point into the block: the mapping goes with the process.
            return

    def unlink(self) -> None:
        """Remove the block from the system; those attached keep it until they close."""
        self._memory.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
