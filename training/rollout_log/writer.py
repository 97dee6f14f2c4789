"""Writes one episode of one collector to an MCAP file, so that what was flushed survives SIGKILL and a standard viewer opens it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import foxglove
import numpy as np
from foxglove import Channel, Context, Schema
from foxglove.mcap import MCAPCompression, MCAPWriteOptions
from numpy.typing import NDArray

from robot.errors import LogError
from robot.files import sync_folder
from training.records import CDR_HEADER, ros2msg
from training.rollout_log.frames import NO_FRAMES, Frames
from training.rollout_log.standard import (
    COMPRESSED_IMAGE,
    COMPRESSED_IMAGE_DEFINITION,
    IMU,
    IMU_DEFINITION,
    JOINT_STATE,
    JOINT_STATE_DEFINITION,
    CompressedImages,
    Imus,
    JointStates,
    with_imu,
)

# A chunk is what a crash can cost before a flush; 64 KiB lost 60 ms in the measurement of docs/learning.md.
_CHUNK_BYTES = 65_536
# Version of the record: grows when a field changes its meaning.
_FORMAT = "2"
PART = ".part"
CAMERA = "/camera"
RUN_METADATA = "fetlock"
END_METADATA = "fetlock.end"


@dataclass(frozen=True)
class RunMetadata:
    """What every log says of its run.

    Attributes:
        config_sha: Of its configuration.
        robot: Kind.
        seed: Of the run.
        revision: Commit of the code.
        config: The configuration itself, YAML: a log that was copied away still says how it was made.
        description: The robot's, YAML; empty where it is not made of described servos.
        joint_names: In the order of all arrays; without them there are no standard messages.
    """

    config_sha: str
    robot: str
    seed: int
    revision: str = "unknown"
    config: str = ""
    description: str = ""
    joint_names: tuple[str, ...] = ()


class _Sink:
    """Where the library writes: memory, which cannot refuse.

    The library panics when its sink falls short of what it was told, as a full disk does; and it goes back to fill in a chunk's header.
    So it gets memory, and whole chunks are moved from there to the disk by `EpisodeWriter`, who sees every error.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._base = 0
        self._position = 0

    def write(self, data: bytes) -> int:
        at = self._position - self._base
        self._buffer[at : at + len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._base + len(self._buffer)}[whence]
        if origin + offset < self._base:
            raise OSError(errno.EINVAL, "these bytes are on the disk already")
        self._position = origin + offset
        return self._position

    def flush(self) -> None:
        """Nothing to do: `take` moves the bytes on."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = bytes(self._buffer)
        self._base += len(taken)
        self._buffer.clear()
        return taken


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
            self._file = self._part.open("xb", buffering=0)
        except OSError as error:
            raise _log_error(self._part, error) from error
        # The channels close when their context is collected: it is kept with them.
        self._context = context = Context()
        options = MCAPWriteOptions(chunk_size=_CHUNK_BYTES, compression=MCAPCompression.Zstd, compression_threads=0, profile="ros2")
        self._sink = _Sink()
        self._writer = foxglove.open_mcap(self._sink, context=context, writer_options=options)  # type: ignore[arg-type]
        self._writer.write_metadata(RUN_METADATA, _entries(metadata, collector, episode))
        # A channel without a message is not in the file.
        self._bus = _channel("/bus", _schema("fetlock/msg/BusTick", bus), context)
        self._standard = _Standard(context, metadata.joint_names) if metadata.joint_names else None
        self._camera = _channel(CAMERA, _ros_schema(COMPRESSED_IMAGE, COMPRESSED_IMAGE_DEFINITION), context)
        self._images = CompressedImages()
        self._step = _channel("/step", _schema("fetlock/msg/Step", step), context)
        self._written = self._safe_records = self._safe_bytes = 0
        self.flush()

    def write(self, bus: NDArray[np.void], steps: NDArray[np.void], frames: Frames = NO_FRAMES) -> None:
        """Append records; they are safe only after `flush`. Steps come last: where a file is cut off, a step has all that it needs."""
        _log_all(self._camera, frames.stamp_s, self._images.encode(frames.stamp_s, frames.pngs))
        for channel, records in ((self._bus, bus), (self._step, steps)):
            _log_all(channel, records["stamp_s"], [CDR_HEADER + record.tobytes() for record in records])
            self._written += len(records)
        if self._standard is not None and len(bus):
            self._standard.write(bus)

    def flush(self) -> None:
        """Hand everything written so far to the kernel.

        Raises:
            LogError: If the disk does not take it (full, read-only, failed); the file is cut back to what was safe and this writer is done.
        """
        self._writer.flush()
        self._store()
        self._safe_records = self._written

    def finish(self, *, complete: bool) -> None:
        """Close the episode: footer, fsync, rename, fsync of the folder.

        Args:
            complete: The episode ended by itself; False where its end was cut off.

        Raises:
            LogError: As `flush`. What was flushed before stays readable in the `.part`.
        """
        self._writer.write_metadata(END_METADATA, {"complete": str(complete).lower()})
        self._writer.close()
        self._store()
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.rename(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise _log_error(self._part, error) from error

    def abandon(self) -> None:
        """Drop what was not flushed; the `.part` stays for recovery, unless it holds no record: retries must not litter a full disk."""
        with contextlib.suppress(OSError):
            self._file.close()
            if self._safe_records == 0:
                self._part.unlink(missing_ok=True)

    def _store(self) -> None:
        view = memoryview(self._sink.take())
        size = self._safe_bytes + len(view)
        try:
            while len(view):
                view = view[self._file.write(view) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._safe_bytes)
            self.abandon()
            raise _log_error(self._part, error) from error
        self._safe_bytes = size


class _Standard:
    """The channels that every viewer knows."""

    def __init__(self, context: Context, joint_names: Sequence[str]) -> None:
        self._joints, self._imus = JointStates(joint_names), Imus()
        self._joint_states = _channel("/joint_states", _ros_schema(JOINT_STATE, JOINT_STATE_DEFINITION), context)
        self._imu = _channel("/imu", _ros_schema(IMU, IMU_DEFINITION), context)

    def write(self, bus: NDArray[np.void]) -> None:
        """Say bus records in standard messages."""
        _log_all(self._joint_states, bus["stamp_s"], self._joints.encode(bus))
        seen = bus[with_imu(bus)]
        _log_all(self._imu, seen["stamp_s"], self._imus.encode(seen))


def _log_all(channel: Channel, stamps_s: NDArray[np.float64], payloads: Sequence[bytes]) -> None:
    for payload, stamp_s in zip(payloads, stamps_s.tolist(), strict=True):
        channel.log(payload, log_time=max(0, round(stamp_s * 1e9)))


def _channel(topic: str, schema: Schema, context: Context) -> Channel:
    return Channel(topic, schema=schema, message_encoding="cdr", context=context)


def _ros_schema(name: str, definition: str) -> Schema:
    return Schema(name=name, encoding="ros2msg", data=definition.encode())


def _schema(name: str, dtype: np.dtype[np.void]) -> Schema:
    return _ros_schema(name, ros2msg(dtype))


def _entries(metadata: RunMetadata, collector: int, episode: int) -> dict[str, str]:
    return {
        "format": _FORMAT,
        "config_sha": metadata.config_sha,
        "robot": metadata.robot,
        "seed": str(metadata.seed),
        "revision": metadata.revision,
        "config": metadata.config,
        "description": metadata.description,
        "joint_names": " ".join(metadata.joint_names),
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
