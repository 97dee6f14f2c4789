"""The logger: moves records from the rings to the log, and acknowledges them once they are in the kernel's hands."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot.clock import monotonic_s
from robot.errors import LogError
from robot.transport import Counters, Ring
from training.rollout_log.frames import NO_FRAMES, Frames, encode
from training.rollout_log.reader import Records
from training.rollout_log.recovery import recover, stream_positions
from training.rollout_log.writer import EpisodeWriter, RunMetadata

# Flush at least this often: an acknowledgement is at most this late, in records and in seconds.
_FLUSH_RECORDS = 64
FLUSH_S = 0.05
# Steps moved at a time.
_LIMIT = 512
# Frames taken off a ring at a time: 1.4 MB of those of 84 x 84.
_FRAMES = 64
# How long to wait after the disk refused a write.
_RETRY_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Stream:
    """One collector: its rings, the next records to write, and the open file."""

    steps: Ring
    bus: Ring
    frames: Ring | None
    next_step: int
    next_bus: int
    next_frame: int
    writer: EpisodeWriter | None = None


class Logger:
    """The only writer of a run's log.

    Leftovers of a killed logger are recovered first, and each stream goes on behind both what was acknowledged and what the files hold,
    so that no record is lost or doubled. When the disk refuses a write, nothing is acknowledged, the records stay in the rings, and the
    logger tries again every second in a new file.

    Args:
        folder: `rollouts/` of the run; made if missing.
        steps: Each collector's ring of step records.
        bus: Each collector's ring of bus records.
        counters: Gets `log_error` 1 while the disk refuses.
        metadata: Of the run.
        frames: Each collector's ring of frames; none where there is no camera.

    Raises:
        LogError: If the folder cannot be made or read.
    """

    def __init__(
        self,
        folder: Path,
        steps: list[Ring],
        bus: list[Ring],
        counters: Counters,
        metadata: RunMetadata,
        frames: Sequence[Ring] = (),
    ) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LogError(f"{folder}: the rollout log cannot be made ({error.strerror}): choose another --runs-dir or fix it") from error
        for path in recover(folder):
            _log.info("recovered %s", path)
        seen: Sequence[Ring | None] = frames or [None] * len(steps)
        positions = stream_positions(folder, len(steps))
        self._streams = [
            _Stream(s, b, f, max(s.acknowledged, p.step), max(b.acknowledged, p.bus), 0 if f is None else f.acknowledged)
            for s, b, f, p in zip(steps, bus, seen, positions, strict=True)
        ]
        self._folder = folder
        self._counters = counters
        self._metadata = metadata
        self._pending = 0
        self._oldest_s = 0.0
        self._refused_s: float | None = None
        for stream in self._streams:
            _acknowledge(stream)

    def drain(self, *, flush: bool = False) -> int:
        """Move what is new, flush and acknowledge if it is time or asked for; return the number of steps moved."""
        retrying = self._refused_s is not None
        if self._refused_s is not None and monotonic_s() - self._refused_s < _RETRY_S:
            return 0
        try:
            moved = sum(self._move(stream) for stream in self._streams)
            if moved and not self._pending:
                self._oldest_s = monotonic_s()
            self._pending += moved
            if self._pending and (flush or retrying or self._pending >= _FLUSH_RECORDS or monotonic_s() - self._oldest_s >= FLUSH_S):
                self._flush()
        except LogError as error:
            self._refuse(error)
            return 0
        if retrying and moved:
            self._refused_s = None
            self._counters.set("log_error", 0)
            _log.warning("recording goes on")
        return moved

    def close(self) -> None:
        """Write what is left and finish the open files as cut-off episodes. Idempotent."""
        while self.drain(flush=True):
            pass
        left = sum(max(0, stream.steps.head - stream.steps.acknowledged) for stream in self._streams)
        if left:
            _log.error("%d steps were not recorded: %s did not take them; they were never acknowledged", left, self._folder)
        for stream in self._streams:
            if stream.writer is not None:
                writer, stream.writer = stream.writer, None
                try:
                    writer.finish(complete=False)
                except LogError as error:
                    _log.error("%s", error)

    def _move(self, stream: _Stream) -> int:
        """Write the new steps of one collector, each behind its bus ticks, episode by episode."""
        steps = stream.steps.read(stream.next_step, _LIMIT)
        start = 0
        while start < len(steps):
            episode = int(steps["episode"][start])
            same = steps["episode"][start:] == episode
            ends = (steps["terminated"][start:] | steps["truncated"][start:]).astype(bool)
            count = int(np.argmin(same)) if not same.all() else len(same)
            ended = bool(ends[:count].any())
            if ended:
                count = int(np.argmax(ends)) + 1
            self._write(stream, steps[start : start + count], episode)
            if ended:
                self._finish(stream, complete=True)
            start += count
        return len(steps)

    def _write(self, stream: _Stream, steps: Records, episode: int) -> None:
        last = int(steps["bus_last"][-1])
        bus = stream.bus.read(stream.next_bus, last + 1 - stream.next_bus)
        if stream.writer is not None and stream.writer.episode != episode:
            # The collector died in the middle of an episode: its last bus ticks belong to the old file.
            orphans = bus[bus["episode"] != episode]
            stream.writer.write(orphans, steps[:0])
            bus = bus[len(orphans) :]
            stream.next_bus += len(orphans)
            self._finish(stream, complete=False)
        if stream.writer is None:
            collector = int(steps["collector"][0])
            stream.writer = EpisodeWriter(self._folder, collector, episode, stream.steps.dtype, stream.bus.dtype, self._metadata)
        stream.writer.write(bus, steps, _frames_of(stream, steps, episode))
        stream.next_step = int(steps["sequence"][-1]) + 1
        # Not `last + 1`: a collector whose ring was full named ticks that were never written.
        stream.next_bus += len(bus)

    def _finish(self, stream: _Stream, *, complete: bool) -> None:
        if stream.writer is not None:
            stream.writer.flush()
            # Before the footer, which the disk may refuse: what was flushed and not acknowledged would be written twice.
            _acknowledge(stream)
            stream.writer.finish(complete=complete)
            stream.writer = None

    def _flush(self) -> None:
        for stream in self._streams:
            if stream.writer is not None:
                stream.writer.flush()
            _acknowledge(stream)
        self._pending = 0

    def _refuse(self, error: LogError) -> None:
        """Give up the open files, go back to what was acknowledged, and say so once."""
        if self._refused_s is None:
            _log.error("%s", error)
            self._counters.set("log_error", 1)
        self._refused_s = monotonic_s()
        self._pending = 0
        for stream in self._streams:
            if stream.writer is not None:
                stream.writer.abandon()
            stream.writer = None
            stream.next_step, stream.next_bus = stream.steps.acknowledged, stream.bus.acknowledged
            stream.next_frame = 0 if stream.frames is None else stream.frames.acknowledged


def _frames_of(stream: _Stream, steps: Records, episode: int) -> Frames:
    """Take the frames of the next steps, all of one episode, off their ring.

    Left out are those of steps that are in the log already, which a killed logger had written and not acknowledged, and of a tick that a
    killed collector did not finish: the step of its number came in a later episode.
    """
    if stream.frames is None:
        return NO_FRAMES
    first, last = steps["sequence"][0], steps["sequence"][-1]
    if steps["terminated"][-1] or steps["truncated"][-1]:
        # The last observation of the episode.
        last = last + 1
    parts = []
    more = True
    while more:
        waiting = stream.frames.read(stream.next_frame, _FRAMES)
        # Both numbers only grow, the one within the other: what is due comes first.
        due = waiting[(waiting["episode"] < episode) | ((waiting["episode"] == episode) & (waiting["sequence"] <= last))]
        parts.append(due[(due["sequence"] >= first) & (due["episode"] == episode)])
        stream.next_frame += len(due)
        more = len(due) == _FRAMES
    return encode(np.concatenate(parts))


def _acknowledge(stream: _Stream) -> None:
    stream.bus.acknowledge(stream.next_bus)
    # Before the steps: who learns from one finds its frame safe.
    if stream.frames is not None:
        stream.frames.acknowledge(stream.next_frame)
    stream.steps.acknowledge(stream.next_step)
