"""Writes one episode of one collector to an MCAP file, so that what was flushed survives SIGKILL and a standard viewer opens it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import foxglove
import numpy as np
from foxglove import Channel, Context, Schema
from foxglove.mcap import MCAPCompression, MCAPWriteOptions
from numpy.typing import NDArray

from robot.errors import LogError
from training.records import CDR_HEADER, ros2msg

# A chunk is what a crash can cost before a flush; 64 KiB lost 60 ms in the measurement of docs/learning.md.
_CHUNK_BYTES = 65_536
# Version of the record: grows when a field changes its meaning.
_FORMAT = "1"
PART = ".part"
RUN_METADATA = "fetlock"
END_METADATA = "fetlock.end"


@dataclass(frozen=True)
class RunMetadata:
    """What every log says of its run."""

    config_sha: str
    robot: str
    seed: int
    revision: str = "unknown"


class _File:
    """An unbuffered file for the writer's library, which hides the errors of its sink: they are kept here."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("xb", buffering=0)
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                view = memoryview(data)
                while len(view):
                    view = view[self._file.write(view) :]
            except OSError as error:
                self.error = error
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def flush(self) -> None:
        """Nothing is buffered."""

    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def sync(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class EpisodeWriter:
    """One file `c{collector}-e{episode}.mcap`, named `.part` until it is finished.

    Args:
        folder: Of the run's rollouts.
        collector: Index.
        episode: Number; a second file of one episode (after a restart of the logger) gets a suffix.
        step: dtype of step records.
        bus: dtype of bus records.
        metadata: Of the run.

    Raises:
        LogError: If the file cannot be made.
    """

    def __init__(
        self, folder: Path, collector: int, episode: int, step: np.dtype[np.void], bus: np.dtype[np.void], metadata: RunMetadata
    ) -> None:
        self.episode = episode
        self._path = _unused(folder, f"c{collector}-e{episode:06d}")
        self._part = self._path.with_name(self._path.name + PART)
        try:
            self._file = _File(self._part)
        except OSError as error:
            raise _log_error(self._part, error) from error
        # The channels close when their context is collected: it is kept with them.
        self._context = context = Context()
        options = MCAPWriteOptions(chunk_size=_CHUNK_BYTES, compression=MCAPCompression.Zstd, compression_threads=0, profile="ros2")
        self._writer = foxglove.open_mcap(self._file, context=context, writer_options=options)  # type: ignore[arg-type]
        self._writer.write_metadata(RUN_METADATA, _entries(metadata, collector, episode))
        self._bus = Channel("/bus", schema=_schema("fetlock/msg/BusTick", bus), message_encoding="cdr", context=context)
        self._step = Channel("/step", schema=_schema("fetlock/msg/Step", step), message_encoding="cdr", context=context)
        self._safe_bytes = 0
        self.flush()

    def write(self, bus: NDArray[np.void], steps: NDArray[np.void]) -> None:
        """Append records; they are safe only after `flush`."""
        for channel, records in ((self._bus, bus), (self._step, steps)):
            for record, stamp_s in zip(records, records["stamp_s"].tolist(), strict=True):
                channel.log(CDR_HEADER + record.tobytes(), log_time=max(0, round(stamp_s * 1e9)))

    def flush(self) -> None:
        """Hand everything written so far to the kernel.

        Raises:
            LogError: If the disk does not take it (full, read-only, failed); the file is cut back to what was safe and this writer is done.
        """
        self._writer.flush()
        self._check()
        self._safe_bytes = self._file.size()

    def finish(self, *, complete: bool) -> None:
        """Close the episode: footer, fsync, rename, fsync of the folder.

        Args:
            complete: The episode ended by itself; False where its end was cut off.

        Raises:
            LogError: As `flush`.
        """
        self._writer.write_metadata(END_METADATA, {"complete": str(complete).lower()})
        self._writer.close()
        self._check()
        try:
            self._file.sync()
            self._file.close()
            self._part.rename(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise _log_error(self._part, error) from error

    def _check(self) -> None:
        error = self._file.error
        if error is not None:
            self._file.truncate(self._safe_bytes)
            self._file.close()
            raise _log_error(self._part, error) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _schema(name: str, dtype: np.dtype[np.void]) -> Schema:
    return Schema(name=name, encoding="ros2msg", data=ros2msg(dtype).encode())


def _entries(metadata: RunMetadata, collector: int, episode: int) -> dict[str, str]:
    return {
        "format": _FORMAT,
        "config_sha": metadata.config_sha,
        "robot": metadata.robot,
        "seed": str(metadata.seed),
        "revision": metadata.revision,
        "collector": str(collector),
        "episode": str(episode),
    }


def _unused(folder: Path, stem: str) -> Path:
    number = 0
    while True:
        path = folder / (f"{stem}.mcap" if number == 0 else f"{stem}-{number}.mcap")
        if not path.exists() and not path.with_name(path.name + PART).exists():
            return path
        number += 1


def _log_error(path: Path, error: OSError) -> LogError:
    fixes = {
        errno.ENOSPC: "free some space: recording goes on by itself",
        errno.EDQUOT: "free some space: recording goes on by itself",
        errno.EFBIG: "raise the limit on file sizes",
        errno.EACCES: "give this user the right to write there",
        errno.EROFS: "mount it writable",
    }
    fix = fixes.get(error.errno or 0, "check the disk")
    return LogError(f"{path}: the rollout log cannot be written ({error.strerror}): {fix}")
