"""An hour of the rollout log at full speed: its size, and the time in which a replay, with its frames, is rebuilt from it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from fetlock.build import policy_layout
from fetlock.config import RunConfig
from fetlock.recording import metadata_of
from robot.clock import monotonic_s
from robot.errors import RobotError
from training.learner import Learner
from training.records import frame_dtype
from training.rollout_log import NO_FRAMES, EpisodeWriter, Frames, log_files, read_log, read_run
from training.rollout_log.frames import encode
from training.rollout_log.logger import FLUSH_S

Records = NDArray[np.void]
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Stretch:
    """Records of a stretch of time, to be written again and again.

    Attributes:
        steps: Step records.
        bus: Bus records.
        images: Frames of the steps, shape (k, height, width, 3); None without a camera.
    """

    steps: Records
    bus: Records
    images: Images | None


def hour(config: RunConfig, stretch: Stretch, hours: float) -> dict[str, JsonValue]:
    """Write so many hours of a stretch's records, again and again with new numbers, and read them back; return the figures.

    Raises:
        RobotError: If a step or a frame does not come back, bit for bit.
    """
    wanted = round(hours * 3600.0 * config.control_hz)
    # A logger in real time flushes 50 ms behind the oldest record that waits.
    batch = int(FLUSH_S * config.control_hz) + 1
    with tempfile.TemporaryDirectory(prefix="fetlock-log-") as name:
        folder = Path(name)
        start_s = monotonic_s()
        origins, ticks, frame_bytes = _write_all(folder, config, stretch, wanted, batch)
        wrote_s = monotonic_s() - start_s
        size = sum(path.stat().st_size for path in log_files(folder))
        learner = Learner(policy_layout(config), config.sac, config.train, config.seed, compiled=False)
        start_s = monotonic_s()
        read = read_run(folder)
        read_s = monotonic_s() - start_s
        learner.add(read)
        rebuilt_s = monotonic_s() - start_s
        figures: dict[str, JsonValue] = {
            "hours": hours,
            "steps": wanted,
            "bus ticks": ticks,
            "files": len(log_files(folder)),
            "steps in a flush": batch,
            "MB": round(size / 1e6, 1),
            "bytes per step": round(size / wanted, 1),
            "written in, s": round(wrote_s, 1),
            "read in, s": round(read_s, 2),
            "replay rebuilt in, s": round(rebuilt_s, 2),
            "transitions in the replay": learner.replay.size,
        }
        if stretch.images is not None:
            figures["frames"] = {"bytes per frame": round(frame_bytes / wanted, 1), **_rebuild(folder, stretch.images, origins)}
    if len(read) != wanted or learner.steps != wanted:
        raise RobotError(f"{wanted} steps were written, {len(read)} read and {learner.steps} learned from")
    return figures


def _write_all(folder: Path, config: RunConfig, stretch: Stretch, wanted: int, batch: int) -> tuple[NDArray[np.int64], int, int]:
    """Write; return which step of the stretch each one is, the number of bus ticks, and the bytes of all frames."""
    steps, bus = stretch.steps, stretch.bus
    origins: list[NDArray[np.int64]] = []
    written = episode = ticks = frame_bytes = 0
    while written < wanted:
        for old in np.unique(steps["episode"]):
            own = np.flatnonzero(steps["episode"] == old)[: wanted - written]
            if not len(own):
                break
            more, more_bus = steps[own], bus[int(steps["bus_first"][own[0]]) : int(steps["bus_last"][own[-1]]) + 1].copy()
            _renumber(more, more_bus, written, ticks, episode)
            images = None if stretch.images is None else stretch.images[own]
            frame_bytes += _write(folder, config, Stretch(more, more_bus, images), episode, batch)
            origins.append(own)
            written, ticks, episode = written + len(more), ticks + len(more_bus), episode + 1
    return np.concatenate(origins), ticks, frame_bytes


def _rebuild(folder: Path, images: Images, origins: NDArray[np.int64]) -> dict[str, JsonValue]:
    """Read steps and decoded frames of all files in one pass, as a learner of pixels does, and compare each frame with what was written."""
    start_s = monotonic_s()
    rebuilt = np.empty((len(origins), *images.shape[1:]), np.uint8)
    at = steps = 0
    for path in log_files(folder):
        log = read_log(path, frames=True)
        steps += len(log.steps)
        for image in (log.frames or NO_FRAMES).decoded():
            rebuilt[at] = image
            at += 1
    rebuilt_s = monotonic_s() - start_s
    if (at, steps) != (len(origins), len(origins)):
        raise RobotError(f"{len(origins)} frames were written with their steps: {at} frames and {steps} steps were read")
    wrong = sum(not np.array_equal(image, images[origin]) for image, origin in zip(rebuilt, origins, strict=True))
    if wrong:
        raise RobotError(f"{wrong} of {len(origins)} frames did not come back bit for bit")
    return {"steps and decoded frames rebuilt in, s": round(rebuilt_s, 2), "GB in memory": round(rebuilt.nbytes / 1e9, 2)}


def _renumber(steps: Records, bus: Records, first: int, first_tick: int, episode: int) -> None:
    """Give an episode's records the numbers that they would have at a place in a run; stamps go on without a pause."""
    shift_s = first_tick * float(bus["period_s"][0]) - float(bus["stamp_s"][0])
    bus["sequence"] = first_tick + np.arange(len(bus))
    steps["bus_last"] = steps["bus_last"] - steps["bus_first"][0] + first_tick
    steps["bus_first"] = steps["bus_first"] - steps["bus_first"][0] + first_tick
    steps["sequence"], steps["step"] = first + np.arange(len(steps)), np.arange(len(steps))
    for records in (steps, bus):
        records["episode"] = episode
        records["stamp_s"] += shift_s


def _write(folder: Path, config: RunConfig, stretch: Stretch, episode: int, batch: int) -> int:
    """Write an episode; return the bytes of its frames."""
    steps, bus = stretch.steps, stretch.bus
    writer = EpisodeWriter(folder, 0, episode, steps.dtype, bus.dtype, metadata_of("0", config))
    base = int(bus["sequence"][0])
    frame_bytes = 0
    for start in range(0, len(steps), batch):
        some = steps[start : start + batch]
        frames = NO_FRAMES if stretch.images is None else _encoded(some, stretch.images[start : start + batch])
        frame_bytes += sum(map(len, frames.pngs))
        writer.write(bus[int(some["bus_first"][0]) - base : int(some["bus_last"][-1]) + 1 - base], some, frames)
        writer.flush()
    writer.finish(complete=True)
    return frame_bytes


def _encoded(steps: Records, images: Images) -> Frames:
    records = np.zeros(len(steps), frame_dtype(*images.shape[1:3]))
    for name in ("sequence", "episode", "stamp_s"):
        records[name] = steps[name]
    records["image"] = images
    return encode(records)
