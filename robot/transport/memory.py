"""Named blocks of shared memory, created and unlinked by one process, attached by others.

Payload is written before the cursor that announces it. x86-64 keeps the order of stores and of loads; every test ran there.
ARM keeps neither and Python has no fence: there `Latest` is safe by its checksum, `Ring` is unproven.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
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
        if match is not None and (int(match[1]) == os.getpid() or not alive(int(match[1]))):
            path.unlink(missing_ok=True)


def find(pattern: str) -> list[str]:
    """Return the first group of `pattern` of each block whose name matches it, in order."""
    names = sorted(path.name for path in _SHARED.glob("*")) if _SHARED.is_dir() else []
    return [match[1] for name in names if (match := re.fullmatch(pattern, name)) is not None]


def lock_holder(name: str) -> int | None:
    """Return the process that holds the lock of a block; None if none does, or none that this one may see (proc(5), /proc/locks)."""
    try:
        found = (_SHARED / name).stat()
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in lines:
        # 1: FLOCK ADVISORY WRITE pid major:minor:inode start end
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5] == wanted:
            return int(fields[4])
    return None


def alive(pid: int) -> bool:
    """Tell whether a process of this number exists; one that ended and was not waited for still does."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class _Attached:
    """A block that another process made. multiprocessing's own class would unlink it when the attaching program ends (CPython 82300)."""

    def __init__(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self.size = os.fstat(descriptor).st_size
            self.buf = mmap.mmap(descriptor, self.size)
        finally:
            os.close(descriptor)
        self._path = path

    def close(self) -> None:
        self.buf.close()

    def unlink(self) -> None:
        self._path.unlink(missing_ok=True)


class Block:
    """A block of `size` bytes; the base of everything that is shared.

    Raises:
        FetlockError: If the block cannot be created, or is not there to attach to.
    """

    def __init__(self, name: str, size: int, *, create: bool) -> None:
        try:
            named = create or not _SHARED.is_dir()
            self._memory = SharedMemory(name, create=create, size=size) if named else _Attached(_SHARED / name)
        except (OSError, ValueError) as error:
            verb = "created" if create else "attached to"
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise FetlockError(f"shared memory {name} ({size} bytes) cannot be {verb}: {reason}; see 'df -h /dev/shm'") from error
        if self._memory.size < size:
            self._memory.close()
            raise FetlockError(
                f"shared memory {name} has {self._memory.size} bytes, {size} were expected: the processes run different configurations"
            )
        self.name = name
        self._lock: int | None = None

    def array(self, dtype: np.dtype[_Element] | type[_Element], count: int, offset: int) -> NDArray[_Element]:
        """Return `count` elements at `offset` as a view."""
        if isinstance(self._memory, _Attached):
            # Such a view keeps the mapping alive: a read after `close` is old data, not a crash.
            return np.frombuffer(self._memory.buf, dtype, count, offset)
        return np.ndarray((count,), dtype, self._memory.buf, offset)

    def lock(self) -> bool:
        """Become the only holder of this block's lock, until `close` or death (flock(2)); False if another process holds it.

        Raises:
            FetlockError: If the block was removed from the system since it was attached.
        """
        if self._lock is None:
            try:
                descriptor = os.open(_SHARED / self.name, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise FetlockError(f"shared memory {self.name} was removed: its process has ended") from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

    def close(self) -> None:
        """Detach and give the lock back. Views must not be used afterwards."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        # Views of an attached block still point into it: the mapping goes with the last of them.
        with contextlib.suppress(BufferError):
            self._memory.close()

    def unlink(self) -> None:
        """Remove the block from the system; those attached keep it until they close."""
        self._memory.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
