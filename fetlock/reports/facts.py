"""The figures of a run: those of its logs counted here, those that only the trainer knew read from its summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from fetlock.log.summary import LogSummary, summarise
from fetlock.log.verify import complaints
from fetlock.plots.interventions import EpisodeStages, stages_of
from fetlock.plots.learning import Curves, read_curves
from robot.errors import LogError, UsageError
from safety.modes import needs_person
from safety.types import STOPPED, Cause, Mode, Reason
from training.rollout_log import PART, RolloutLog, log_files, read_log

# Of the lateness of policy ticks.
PERCENTILES = (50.0, 99.0, 100.0)


@dataclass(frozen=True)
class Facts:
    """What a report says.

    Attributes:
        folder: Of the run.
        curves: Its learning curve.
        logs: One for each file that can be read.
        episodes: What the guard did in each.
        metadata: Of the newest log.
        revisions: Commits that wrote logs, in order.
        stops: How often each cause stopped the robot.
        persons: How often a person was needed to go on.
        routine_s: Robot time in which a routine drove, s.
        lateness_ms: Of policy ticks: p50, p99, largest; None where time is simulated.
        temperature_c: Of the hottest motor; None where none is measured.
        wrong: What the check of the logs found.
        summary: What the trainer wrote at the end; empty while it runs, and for runs that learn nothing.
        config: The configuration, YAML.
    """

    folder: Path
    curves: Curves
    logs: list[LogSummary]
    episodes: list[EpisodeStages]
    metadata: dict[str, str]
    revisions: list[str]
    stops: dict[Cause, int]
    persons: int
    routine_s: float
    lateness_ms: tuple[float, ...] | None
    temperature_c: float | None
    wrong: list[str]
    summary: dict[str, JsonValue]
    config: str

    @property
    def steps(self) -> int:
        """Policy ticks in the logs."""
        return sum(log.steps for log in self.logs)

    @property
    def ticks(self) -> int:
        """Bus ticks in which a policy drove, or was to."""
        return sum(episode.ticks for episode in self.episodes)

    @property
    def stages(self) -> dict[Reason, int]:
        """Bus ticks that each stage changed, the most frequent first."""
        total: Counter[Reason] = Counter()
        for episode in self.episodes:
            total.update(episode.changed)
        return dict(total.most_common())

    @property
    def best_log(self) -> LogSummary | None:
        """The episode of the highest return that ended by itself; None where none has."""
        ended = [log for log in self.logs if log.ended != "cut off" and log.state == "whole" and np.isfinite(log.episode_return)]
        return max(ended, key=lambda log: log.episode_return, default=None)


@dataclass
class _Counts:
    """What is added up over logs."""

    stops: Counter[Cause]
    lateness_s: list[NDArray[np.float64]]
    persons: int = 0
    routine_s: float = 0.0
    temperature_c: float = -np.inf

    def add(self, log: RolloutLog) -> None:
        """Take one log."""
        steps, bus = log.steps, log.bus
        if len(steps):
            self.lateness_s.append(steps["lateness_s"])
        if not len(bus):
            return
        for cause, times in stops_of(bus["mode"], bus["causes"] if "causes" in (bus.dtype.names or ()) else np.zeros(len(bus), np.uint32)):
            self.stops[cause] += times
            self.persons += times * needs_person(cause)
        self.routine_s += float(bus["period_s"][bus["mode"] == Mode.RESETTING].sum())
        if np.isfinite(bus["temperature_c"]).any():
            self.temperature_c = max(self.temperature_c, float(np.nanmax(bus["temperature_c"])))


def stops_of(modes: NDArray[np.integer], causes: NDArray[np.integer]) -> Iterable[tuple[Cause, int]]:
    """Yield how often each cause stopped the robot: ticks that are stopped by it behind one that was not.

    Args:
        modes: Of the guard, shape (ticks,).
        causes: Of each tick, shape (ticks,).
    """
    stopped = np.isin(modes, [int(mode) for mode in STOPPED])
    for cause in Cause:
        if not cause:
            continue
        by = stopped & ((causes & int(cause)) != 0)
        if times := int(by[0]) + int(np.count_nonzero(by[1:] & ~by[:-1])):
            yield cause, times


def read_facts(folder: Path) -> Facts:
    """Read all of a run: every byte of its logs, and what stands beside them.

    Raises:
        UsageError: If the folder holds no run.
        FetlockError: If nothing has been recorded yet.
        LogError: If a log is so damaged that no curve can be drawn.
    """
    curves = read_curves(folder)
    counts = _Counts(Counter(), [])
    logs: list[LogSummary] = []
    episodes: list[EpisodeStages] = []
    metadata: dict[str, str] = {}
    revisions: list[str] = []
    wrong: list[str] = []
    for path in log_files(folder / "rollouts"):
        try:
            log = read_log(path)
        except LogError as error:
            wrong.append(str(error))
            continue
        logs.append(summarise(path, log))
        episodes.append(stages_of(log))
        counts.add(log)
        metadata = log.metadata or metadata
        revisions.append(log.metadata.get("revision", "unknown"))
        # One that is being written is not wrong.
        wrong += [f"{path.name}: {complaint}" for complaint in complaints(path, log)] if path.suffix != PART else []
    return Facts(
        folder,
        curves,
        logs,
        episodes,
        metadata,
        list(dict.fromkeys(revisions)),
        dict(counts.stops.most_common()),
        counts.persons,
        counts.routine_s,
        _percentiles_ms(counts.lateness_s),
        counts.temperature_c if np.isfinite(counts.temperature_c) else None,
        wrong,
        _summary(folder / "summary.json"),
        (folder / "config.yaml").read_text(),
    )


def _percentiles_ms(lateness_s: Sequence[NDArray[np.float64]]) -> tuple[float, ...] | None:
    """Return the percentiles of the lateness, ms; a simulated clock is never late, not by a nanosecond."""
    every = np.concatenate(lateness_s) if lateness_s else np.zeros(0)
    return tuple((1e3 * np.percentile(every, PERCENTILES)).tolist()) if every.any() else None


def _summary(path: Path) -> dict[str, JsonValue]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no summary of a run ({error}): restore it or move it away") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no summary of a run (it holds no mapping): restore it or move it away")
    return found
