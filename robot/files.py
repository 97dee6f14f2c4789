"""Files that are there whole or not at all, whatever moment a process or the power dies at."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, sync, rename, sync the folder. Raises OSError where the disk refuses; what was at `path` then stays."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


@contextmanager
def made_whole(path: Path) -> Iterator[Path]:
    """Yield a place beside `path` for a file or a folder; it is synced and renamed to `path` at the end, and removed after an error.

    Raises:
        OSError: Where the disk refuses; FileExistsError if something is at `path`, which stays.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        for made in (temporary, *temporary.rglob("*")):
            _sync(made)
        temporary.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    _sync(folder)


def _sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
