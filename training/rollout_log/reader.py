"""Reads rollout logs: whole files, files whose writer was killed, and all the files of a run."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard
from mcap.exceptions import McapError
from mcap.records import Channel, Header, McapRecord, Message, Metadata, Schema
from mcap.stream_reader import StreamReader
from numpy.typing import NDArray

from robot.errors import LogError
from training.records import CDR_HEADER, dtype_of
from training.rollout_log.frames import NO_FRAMES, Frames, tag_of
from training.rollout_log.standard import CompressedImages
from training.rollout_log.writer import CAMERA, END_METADATA, PART, RUN_METADATA

# What a reader meets at the end of a file whose writer was killed, or at a damaged byte.
_DAMAGE = (McapError, struct.error, zstandard.ZstdError, RuntimeError, ValueError, KeyError, EOFError, MemoryError, OverflowError)

_NAME = re.compile(rf"^c([0-9]+)-e([0-9]+)(?:-([0-9]+))?\.mcap(?:{re.escape(PART)})?$")

Records = NDArray[np.void]


@dataclass(frozen=True)
class RolloutLog:
    """One file.

    Attributes:
        steps: Step records, in order.
        bus: Bus records, in order.
        metadata: Of the run, as text.
        complete: The episode ended by itself.
        intact: The file was read to its end; False: these are the records before the damage.
        frames: Of the camera, in order; None where they were not asked for.
    """

    steps: Records
    bus: Records
    metadata: dict[str, str]
    complete: bool
    intact: bool
    frames: Frames | None = None

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints, in the order of every (n,) field; none where the log does not say them (format 1)."""
        return tuple(self.metadata.get("joint_names", "").split())


def read_log(path: Path, *, frames: bool = False) -> RolloutLog:
    """Read one file up to its end or its damage.

    Args:
        path: The file.
        frames: Keep the frames of the camera too, encoded; otherwise they are passed over, which costs neither memory nor much time.

    Raises:
        LogError: If it cannot be opened, or is no MCAP file of ours.
    """
    found = _Found(frames=frames)
    started = intact = False
    try:
        with path.open("rb") as file:
            try:
                for record in _records(StreamReader(file, validate_crcs=True)):
                    started = started or isinstance(record, Header)
                    found.take(record)
                intact = True
            except _DAMAGE:
                intact = False
    except OSError as error:
        raise LogError(f"{path}: the log cannot be read ({error.strerror})") from error
    if not started:
        raise LogError(f"{path} is no rollout log: an MCAP file of `fetlock train` was expected, under rollouts/ in a run's folder")
    (steps, steps_whole), (bus, bus_whole) = found.stacked("/step"), found.stacked("/bus")
    seen, seen_whole = found.seen() if frames else (None, True)
    if seen is not None and not steps_whole:
        # What lies behind a gap is not believed, though a frame has its number in it.
        seen = seen.where(seen.sequence <= steps["sequence"][-1])
    return RolloutLog(steps, bus, found.metadata, found.complete, intact and steps_whole and bus_whole and seen_whole, seen)


class _Found:
    """What the records of a file say, as far as it is ours."""

    def __init__(self, *, frames: bool) -> None:
        self.metadata: dict[str, str] = {}
        self.complete = False
        self._payloads: dict[str, list[bytes]] = {"/step": [], "/bus": []}
        self._images = CompressedImages() if frames else None
        self._tags: list[tuple[int, float]] = []
        self._pngs: list[bytes] = []
        self._dtypes: dict[str, np.dtype[np.void]] = {}
        self._topics: dict[int, str] = {}
        self._schemas: dict[int, Schema] = {}

    def take(self, record: McapRecord) -> None:
        """Look at the next record; raises one of `_DAMAGE` if it cannot be."""
        if isinstance(record, Message):
            # The other channels say the same again, for viewers.
            if (topic := self._topics[record.channel_id]) in self._payloads:
                self._payloads[topic].append(record.data)
            elif topic == CAMERA and self._images is not None:
                png = self._images.decode(record.data)
                self._tags.append(tag_of(png))
                self._pngs.append(png)
        elif isinstance(record, Schema):
            # The first counts: the copies behind the data section have no checksum of their own.
            self._schemas.setdefault(record.id, record)
        elif isinstance(record, Channel) and record.id not in self._topics:
            self._topics[record.id] = record.topic
            if record.topic in self._payloads:
                self._dtypes[record.topic] = dtype_of(self._schemas[record.schema_id].data.decode())
        elif isinstance(record, Metadata) and record.name == RUN_METADATA:
            self.metadata = dict(record.metadata)
        elif isinstance(record, Metadata) and record.name == END_METADATA:
            self.complete = record.metadata.get("complete") == "true"

    def stacked(self, topic: str) -> tuple[Records, bool]:
        """Return the records of a channel up to the first that is missing, and whether none is."""
        dtype = self._dtypes.get(topic)
        if dtype is None:
            return np.zeros(0, [("sequence", "<u8"), ("stamp_s", "<f8"), ("collector", "<u4")]), True
        size = len(CDR_HEADER) + dtype.itemsize
        whole = [payload[len(CDR_HEADER) :] for payload in self._payloads[topic] if len(payload) == size and payload.startswith(CDR_HEADER)]
        records = np.frombuffer(b"".join(whole), dtype)
        if "sequence" not in (dtype.names or ()):
            raise LogError(f"the channel {topic} has records without a number: another program made this file")
        # A chunk whose kind cannot be read any more is passed over in silence.
        gaps = np.flatnonzero(np.diff(records["sequence"].astype(np.int64)) != 1)
        return (records[: int(gaps[0]) + 1], False) if len(gaps) else (records, True)

    def seen(self) -> tuple[Frames, bool]:
        """Return the frames up to the first that is out of order, and whether none is."""
        frames = Frames.of(self._tags, self._pngs)
        wrong = np.flatnonzero(np.diff(frames.sequence.astype(np.int64)) <= 0)
        return (frames.where(np.arange(len(frames)) <= wrong[0]), False) if len(wrong) else (frames, True)


def log_files(folder: Path) -> list[Path]:
    """Return the finished and unfinished logs of a rollouts folder, by collector and episode.

    A leftover beside its recovered file is left out: recovery was killed before removing it, and both hold the same records.
    """
    # Unfinished ones first: one that is finished between the two looks is then listed, not missed.
    parts = list(folder.glob(f"c*-e*.mcap{PART}"))
    finished = set(folder.glob("c*-e*.mcap"))
    return sorted([*finished, *(part for part in parts if part.with_suffix("") not in finished)], key=_order)


def read_run(folder: Path) -> Records:
    """Return the step records of all files, sorted by collector and sequence; an empty array if there are none.

    Raises:
        LogError: If a finished file is damaged, a sequence number occurs twice, or one is missing in between: with the file's name.
    """
    parts: list[tuple[Path, Records]] = []
    for path in log_files(folder):
        log = _read_listed(path)
        if log is not None and len(log.steps):
            parts.append((path, log.steps))
    if not parts:
        return np.zeros(0, [("sequence", "<u8"), ("collector", "<u4")])
    steps = np.concatenate([records for _, records in parts])
    files = np.repeat(np.arange(len(parts)), [len(records) for _, records in parts])
    order = np.lexsort((steps["sequence"], steps["collector"]))
    _require_contiguous(steps[order], [parts[i][0] for i in files[order]])
    return steps[order]


def read_seen(folder: Path, collector: int | None = None, start: int = 0) -> Iterator[tuple[int, Records, Records]]:
    """Yield collector, steps and decoded frames, records of `training.records`, of one file after the other.

    Args:
        folder: `rollouts/` of a run.
        collector: Only of this one; None: of all.
        start: Only files with steps from this one on, and of those these steps.

    Raises:
        LogError: If a finished file is damaged, or a frame cannot be decoded: with the file's name.
    """
    for path in log_files(folder):
        own, episode = place_of(path)
        if collector is not None and own != collector:
            continue
        log = _read_listed(path, frames=True)
        if log is None or not len(log.steps) or int(log.steps["sequence"][-1]) < start:
            continue
        yield own, log.steps[log.steps["sequence"] >= start], (log.frames or NO_FRAMES).belonging(log.steps).records(episode)


def _read_listed(path: Path, *, frames: bool = False) -> RolloutLog | None:
    """Read a file that was there a moment ago; None if it holds nothing yet: a live logger makes and renames each `.part`.

    Raises:
        LogError: If it is finished and damaged.
    """
    try:
        log = read_log(path, frames=frames)
    except LogError as error:
        missing = isinstance(error.__cause__, FileNotFoundError)
        if path.suffix != PART or not (missing or error.__cause__ is None):
            raise
        finished = path.with_suffix("")
        return read_log(finished, frames=frames) if missing and finished.exists() else None
    if not log.intact and path.suffix != PART:
        raise LogError(f"{path} is damaged after {len(log.steps)} steps: restore it from a copy, or move it and all later files away")
    return log


def _require_contiguous(steps: Records, files: list[Path]) -> None:
    """Each collector's sequence must begin at 0 and grow by one."""
    same = steps["collector"][1:] == steps["collector"][:-1]
    expected = np.concatenate([[0], np.where(same, steps["sequence"][:-1] + 1, 0)])
    wrong = np.flatnonzero(steps["sequence"] != expected)
    if len(wrong):
        at = int(wrong[0])
        found, wanted = int(steps["sequence"][at]), int(expected[at])
        kind = "occurs twice" if found < wanted else f"follows {wanted - 1}"
        collector = int(steps["collector"][at])
        raise LogError(f"{files[at]}: step {found} of collector {collector} {kind}: a file was copied, edited or is missing")


def _records(reader: StreamReader) -> Iterator[McapRecord]:
    yield from reader.records


def place_of(path: Path) -> tuple[int, int]:
    """Return the collector and the episode that a file's name gives: its metadata has no checksum.

    Raises:
        LogError: If the name is not one that `EpisodeWriter` gives.
    """
    return _order(path)[:2]


def _order(path: Path) -> tuple[int, int, int, str]:
    match = _NAME.match(path.name)
    if match is None:
        raise LogError(f"{path} has no name of a log (c<collector>-e<episode>.mcap): if it is a copy, move it out of the run's folder")
    return int(match[1]), int(match[2]), int(match[3] or 0), path.name
