"""Runs the safety chain again over recorded ticks: what was sent must come out bit for bit, whatever was logged where and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetlock.config import RunConfig
from fetlock.guarding import emitter_of
from fetlock.machines import names_of_joints
from fetlock.replays.logs import another_robot, read_whole
from robot.errors import LogError
from safety.modes import sentences
from safety.rerun import Difference, Rerun
from safety.tick_records import bus_tick_of
from safety.types import Reason
from training.rollout_log import RolloutLog

# Fields without which a tick cannot be decided again; older logs lack them.
_NEEDED = ("notes", "heating_a2", "has")


@dataclass(frozen=True, slots=True)
class ChainComparison:
    """How far the chain agrees with its record.

    Attributes:
        logs: Number of files.
        ticks: Bus ticks in them.
        repeated: Ticks that were decided again.
        skipped: Ticks in which nothing was decided, or in front of the first beginning.
        different: Ticks that came out otherwise.
        max_rad: Largest difference of an emission, rad.
        first: Where the first difference is.
        exact: Every decided tick came out bit for bit, and there was one.
    """

    logs: int
    ticks: int
    repeated: int
    skipped: int
    different: int
    max_rad: float
    first: str
    exact: bool


def compare_chain(paths: Sequence[Path], config: RunConfig) -> ChainComparison:
    """Decide every tick of some logs again.

    Args:
        paths: The files.
        config: With which they were made, or another one, to see what it would have changed.

    Raises:
        LogError: If a file is no log, is damaged, or does not hold what the guard knew.
        UsageError: If a log is of another robot.
    """
    ticks = repeated = skipped = different = 0
    largest_rad, first = 0.0, ""
    for path in paths:
        log = read_whole(path)
        _require_complete(path, log, config)
        # A file begins where an episode does: what the chain remembers of the one before is forgotten there.
        chain = Rerun(emitter_of(config))
        for row in log.bus:
            found = chain.tick(bus_tick_of(row))
            if found is not None:
                different += 1
                largest_rad = max(largest_rad, found.largest_rad)
                first = first or f"{path.name}, bus tick {row['sequence']}: {_told(found)}"
        ticks, repeated, skipped = ticks + len(log.bus), repeated + chain.repeated, skipped + chain.skipped
    return ChainComparison(len(paths), ticks, repeated, skipped, different, largest_rad, first, repeated > 0 and not different)


def sentence(comparison: ChainComparison) -> str:
    """Say a comparison in words."""
    counted = f"{comparison.logs} logs, {comparison.ticks} bus ticks: {comparison.repeated} decided again, {comparison.skipped} not decided"
    if comparison.exact:
        return f"{counted}; every emission is the recorded one, bit for bit\n"
    if not comparison.repeated:
        return f"{counted}; nothing to compare\n"
    return f"{counted}; {comparison.different} differ, by at most {comparison.max_rad:.3g} rad; first {comparison.first}\n"


def _told(found: Difference) -> str:
    joint = int(np.abs(found.recorded_rad - found.found_rad).argmax())
    told = [f"joint {joint} was sent {float(found.recorded_rad[joint])!r} rad, now {float(found.found_rad[joint])!r}"]
    told += [f"because of {_names(found.recorded)}, now {_names(found.found)}"] if found.recorded != found.found else []
    told += ["motors were not as warm"] if found.warmer else []
    told += [f"now it would stop because {sentences(found.unseen)}"] if found.unseen else []
    return "; ".join(told)


def _names(reasons: Reason) -> str:
    return reasons.name or "nothing"


def _require_complete(path: Path, log: RolloutLog, config: RunConfig) -> None:
    names = log.bus.dtype.names or ()
    if missing := [name for name in _NEEDED if name not in names]:
        raise LogError(f"{path} does not hold what the guard knew ({', '.join(missing)}): an older Fetlock made it, or it has no tick")
    joints = len(names_of_joints(config.robot))
    if log.metadata.get("robot") != config.robot.kind or log.bus["position_rad"].shape[1] != joints:
        raise another_robot(path, log, config)
