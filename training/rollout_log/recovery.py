"""What a run does with logs that a killed process left unfinished, and with those that a deterministic run takes back."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from robot.errors import LogError
from robot.files import sync_folder
from training.rollout_log.frames import NO_FRAMES, Frames
from training.rollout_log.reader import Records, RolloutLog, log_files, place_of, read_log
from training.rollout_log.writer import PART, EpisodeWriter, RunMetadata

_RECOVERING = "recovering"


@dataclass(frozen=True)
class StreamPosition:
    """Where a collector's streams go on: the next step, bus tick and episode, behind the newest step's stamp."""

    step: int = 0
    bus: int = 0
    episode: int = 0
    stamp_s: float = 0.0


def recover(folder: Path) -> list[Path]:
    """Finish every `.part` file: its valid records go into a new file, marked as incomplete; then the old one is removed.

    Can be killed at any point and called again. A leftover without a single record is moved to `empty/`.

    Returns:
        The files that were made.
    """
    workshop = folder / _RECOVERING
    for stale in workshop.glob("*"):
        stale.unlink()
    made = []
    for part in sorted(folder.glob(f"*.mcap{PART}")):
        finished = part.with_name(part.name.removesuffix(PART))
        if finished.exists():
            # Killed between the rename of the recovered file and the removal of the old one: both hold the same records.
            part.unlink()
            continue
        log = _readable(part)
        if log is None or not (len(log.steps) or len(log.bus)):
            _move_aside(part, folder / "empty")
            continue
        workshop.mkdir(exist_ok=True)
        writer = EpisodeWriter(workshop, *place_of(part), log.steps.dtype, log.bus.dtype, _run_metadata(log.metadata))
        # The frame of a step that is not there comes again with it.
        writer.write(log.bus, log.steps, (log.frames or NO_FRAMES).belonging(log.steps))
        writer.finish(complete=False)
        next(workshop.glob("*.mcap")).rename(finished)
        sync_folder(folder)
        part.unlink()
        made.append(finished)
    return made


def copy_log(path: Path, bus: Records, steps: Records, frames: Frames, metadata: dict[str, str], *, complete: bool) -> None:
    """Write records of a log into a new file of any name.

    Args:
        path: The file; must not exist.
        bus: Bus records.
        steps: Step records.
        frames: Of the camera.
        metadata: Of the log that they are from.
        complete: The episode ended by itself.

    Raises:
        LogError: If it cannot be written.
    """
    collector, episode = (int(number) if (number := metadata.get(name, "")).isdecimal() else 0 for name in ("collector", "episode"))
    try:
        with TemporaryDirectory(dir=path.parent, prefix=".fetlock-") as folder:
            writer = EpisodeWriter(Path(folder), collector, episode, steps.dtype, bus.dtype, _run_metadata(metadata))
            writer.write(bus, steps, frames)
            writer.finish(complete=complete)
            # Unlike a rename it replaces nothing.
            os.link(next(Path(folder).glob("*.mcap")), path)
    except OSError as error:
        raise LogError(f"{path}: the log cannot be written ({error.strerror}): choose another name") from error


def stream_positions(folder: Path, collectors: int) -> list[StreamPosition]:
    """Return where each collector's streams go on behind the log in `folder`."""
    positions = [StreamPosition() for _ in range(collectors)]
    for path in log_files(folder):
        log = read_log(path)
        collector, episode = place_of(path)
        if collector >= collectors:
            raise LogError(f"{path} is of collector {collector} and this run has {collectors}: resume it as it was made")
        old = positions[collector]
        stamp_s = float(log.steps["stamp_s"][-1]) if len(log.steps) else 0.0
        positions[collector] = StreamPosition(
            max(old.step, _end(log.steps)), max(old.bus, _end(log.bus)), max(old.episode, episode + 1), max(old.stamp_s, stamp_s)
        )
    return positions


def set_aside(folder: Path, after: dict[int, int]) -> list[Path]:
    """Move the files with steps at or behind a collector's position to `discarded-N/`; nothing is deleted. Return where they went."""
    late = []
    for path in log_files(folder):
        log = read_log(path)
        position = after.get(place_of(path)[0], 0)
        if not len(log.steps) or int(log.steps["sequence"][-1]) >= position:
            late.append(path)
    if not late:
        return []
    number = 0
    while (folder / f"discarded-{number}").exists():
        number += 1
    # The newest first: killed in between, what is left is a run without a gap, and this can be called again.
    return [_move_aside(path, folder / f"discarded-{number}") for path in reversed(late)][::-1]


def _run_metadata(entries: dict[str, str]) -> RunMetadata:
    """Read back what a log says of its run; what is damaged is 'unknown', a seed -1, which no run can have."""
    seed = entries.get("seed", "")
    unknown = "unknown"
    return RunMetadata(
        entries.get("config_sha", unknown),
        entries.get("robot", unknown),
        int(seed) if seed.isdecimal() else -1,
        entries.get("revision", unknown),
        entries.get("config", ""),
        entries.get("description", ""),
        tuple(entries.get("joint_names", "").split()),
    )


def _end(records: Records) -> int:
    return int(records["sequence"].max()) + 1 if len(records) else 0


def _readable(path: Path) -> RolloutLog | None:
    try:
        return read_log(path, frames=True)
    except LogError:
        return None


def _move_aside(path: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    number = 0
    while target.exists():
        number += 1
        target = folder / f"{path.name}.{number}"
    path.rename(target)
    return target
