"""A block of shared memory that outlives every process: made by whoever comes first, removed by nobody."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from pathlib import Path

from robot.errors import FetlockError

# Where Linux keeps POSIX shared memory (shm_overview(7)).
_SHARED = Path("/dev/shm")
# struct flock of fcntl(2) on 64-bit Linux: type, whence, start, length, process id (0 for locks of an open file description).
_FLOCK = struct.Struct("hhqqi4x")


class StandingBlock:
    """A block that is created if absent and attached to otherwise; new bytes are 0. multiprocessing's resource tracker never hears of it.

    Two processes may create it at once: creating is opening and setting the size, and both may do both.

    Args:
        name: Of the block, a file name.
        size: Bytes.

    Raises:
        FetlockError: If it cannot be created, is another user's, or has another size.
    """

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        path = _SHARED / name
        try:
            # Who may write here may stop and release a robot: nobody but this user.
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise FetlockError(
                f"shared memory {name} cannot be opened: {error.strerror}; see 'ls -l {path}' and 'df -h {_SHARED}'"
            ) from error
        try:
            self._require_mine(path, size)
            self.memory = mmap.mmap(self._descriptor, size)
        except OSError as error:
            os.close(self._descriptor)
            raise FetlockError(f"shared memory {name} ({size} bytes) cannot be made: {error.strerror}; see 'df -h {_SHARED}'") from error
        except FetlockError:
            os.close(self._descriptor)
            raise

    @property
    def removed(self) -> bool:
        """Whether somebody removed the name: who opens it now gets another block, and what is written there does not reach this one."""
        return os.fstat(self._descriptor).st_nlink == 0

    def lock(self, position: int) -> int | None:
        """Lock one place of the block without waiting; return what `unlock` takes, None if it is locked or the kernel refuses.

        The lock ends with `unlock` or with the process. Threads and forked children exclude one another too: each lock is of an open file
        description of its own (fcntl(2)). A place is a number, not a byte that must exist.
        """
        try:
            descriptor = os.open(f"/proc/self/fd/{self._descriptor}", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, position, 1, 0))
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def unlock(self, lock: int) -> None:
        """Give a lock back."""
        os.close(lock)

    def close(self) -> None:
        """Detach; the block stays. Idempotent."""
        if self.memory.closed:
            return
        # A view of the memory keeps the mapping until it goes.
        with contextlib.suppress(BufferError):
            self.memory.close()
        os.close(self._descriptor)

    def _require_mine(self, path: Path, size: int) -> None:
        found = os.fstat(self._descriptor)
        if found.st_uid != os.getuid():
            raise FetlockError(f"shared memory {path} belongs to user {found.st_uid}, this one is {os.getuid()}: remove it as that user")
        if found.st_size == 0:
            # Growing from nothing fills with 0; a second process that does it as well changes nothing.
            os.ftruncate(self._descriptor, size)
        elif found.st_size != size:
            raise FetlockError(
                f"shared memory {path} has {found.st_size} bytes, {size} were expected: another version made it; "
                "end all processes of that version, then remove the file"
            )
