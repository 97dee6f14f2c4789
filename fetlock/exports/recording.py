"""The logs of one robot and task as every export reads them: whole episodes, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetlock.build import policy_layout
from fetlock.config import RunConfig, load_config
from fetlock.replays.logs import config_of, find_log, read_whole, some_logs_of
from policy.layout import TRANSITION_FIELDS, PolicyLayout
from robot.errors import LogError
from robot.types import FloatArray
from training.rollout_log import NO_FRAMES, Frames, Records, RolloutLog, read_log


@dataclass(frozen=True)
class Episode:
    """One log.

    Attributes:
        log: Name of its file.
        seed: Of its run.
        complete: It ended by itself; False: it was cut off.
        steps: Step records, shape (k,), k >= 1.
        bus: Bus records, those of the routine in front of it too.
        joints_rad: Joint angles measured at the start of each step, shape (k, n), rad.
        frames: Of the camera; none where there was none, or they were not asked for.
    """

    log: str
    seed: int
    complete: bool
    steps: Records
    bus: Records
    joints_rad: FloatArray
    frames: Frames = NO_FRAMES

    @property
    def collector(self) -> int:
        """Who recorded it."""
        return int(self.steps["collector"][0])

    @property
    def number(self) -> int:
        """Of the collector's episodes."""
        return int(self.steps["episode"][0])


@dataclass(frozen=True)
class Recording:
    """Some logs of one robot and task.

    Attributes:
        paths: The files, by collector and episode.
        config: Of the first one.
        layout: What its numbers mean.
    """

    paths: tuple[Path, ...]
    config: RunConfig
    layout: PolicyLayout

    def episodes(self, *, frames: bool = False) -> Iterator[Episode]:
        """Read the episodes, one at a time, with their frames if asked for; a log without a step is passed over.

        Raises:
            LogError: If a file is unfinished or damaged, is of another robot or task than the first one, or none holds a step.
        """
        known: set[str | None] = set()
        found = False
        for path in self.paths:
            log = read_whole(path, frames=frames)
            if log.metadata.get("config") not in known:
                self._require_same(path, log)
                known.add(log.metadata.get("config"))
            if len(log.steps):
                found = True
                yield self._episode(path, log)
        if not found:
            raise LogError(f"{self.paths[0]}: no log holds a step: choose another run")

    def _require_same(self, path: Path, log: RolloutLog) -> None:
        if difference := self.layout.difference(policy_layout(_config(path, log)), TRANSITION_FIELDS):
            raise LogError(
                f"{path} is of another robot or task than {self.paths[0].name}, which has {difference} there: export them one by one"
            )

    def _episode(self, path: Path, log: RolloutLog) -> Episode:
        for name, expected in (("observation", self.layout.observation_names), ("action", self.layout.action_names)):
            if log.steps[name].shape[1] != len(expected):
                raise LogError(
                    f"{path}: a step has {log.steps[name].shape[1]} numbers of {name}, and its configuration says {len(expected)}: "
                    "put it back into the folder of its run"
                )
        at = np.searchsorted(log.bus["sequence"], log.steps["bus_first"])
        if not len(log.bus) or (log.bus["sequence"][np.minimum(at, len(log.bus) - 1)] != log.steps["bus_first"]).any():
            raise LogError(f"{path}: bus ticks of its steps are missing: `fetlock log verify` says more")
        seed = int(log.metadata.get("seed", self.config.seed))
        return Episode(path.name, seed, log.complete, log.steps, log.bus, log.bus["position_rad"][at], log.frames or NO_FRAMES)


def open_recording(source: Path, collector: int, episode: int | None) -> Recording:
    """Find the logs that are meant.

    Args:
        source: A log, or a run folder.
        collector: Of the episode.
        episode: Of a run folder; None: all of it.

    Raises:
        UsageError: If there is no log, or its configuration cannot be read or has no task.
        LogError: If the first one cannot be read.
    """
    paths = some_logs_of(source) if episode is None else [find_log(source, collector, episode)]
    config = _config(paths[0], read_log(paths[0]))
    return Recording(tuple(paths), config, policy_layout(config))


def _config(path: Path, log: RolloutLog) -> RunConfig:
    with config_of(path, log) as file:
        return load_config([], default=file)
