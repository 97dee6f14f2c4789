"""Named blocks of shared memory, created and unlinked by one process, attached by its children.

Payload is written before the cursor that announces it. x86-64 keeps the order of stores and of loads; every test ran there.
ARM keeps neither and Python has no fence: there `WeightSlot` is safe by its checksum, `Ring` is unproven.
"""

from __future__ import annotations

import os
import re
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from robot.errors import FetlockError

# Where Linux keeps POSIX shared memory (shm_overview(7)).
_SHARED = Path("/dev/shm")

_Element = TypeVar("_Element", bound=np.generic)


def sweep(pattern: str) -> None:
    """Remove the blocks whose name matches `pattern` and whose creator is dead; a group in the pattern gives its process id.

    The resource tracker cleans up behind a killed process, but not when it is killed as well.
    """
    for path in _SHARED.glob("*") if _SHARED.is_dir() else ():
        match = re.fullmatch(pattern, path.name)
        if match is not None and (int(match[1]) == os.getpid() or not _alive(int(match[1]))):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
