"""Options of a picture of one episode: which log, and which part of it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetlock.arguments import VerbParser
from fetlock.replays.logs import find_log, require_undamaged
from robot.errors import LogError, UsageError
from training.rollout_log import Records, RolloutLog, read_log


@dataclass(frozen=True)
class Episode:
    """A log, and what of it is drawn.

    Attributes:
        path: Of the log.
        log: What it holds.
        shown: Shape (ticks,): which bus ticks are drawn.
        out: Picture to make.
    """

    path: Path
    log: RolloutLog
    shown: NDArray[np.bool_]
    out: Path

    @property
    def title(self) -> str:
        """The run, the log and the part that is drawn."""
        folder = self.path.resolve().parent
        name = folder.parent.name if folder.name == "rollouts" else folder.name
        return f"{name}, {self.path.name.removesuffix('.mcap')}"

    @property
    def bus(self) -> Records:
        """The bus ticks that are drawn."""
        return self.log.bus[self.shown]

    def between(self, first_s: float, last_s: float) -> Episode:
        """Return the same episode with another part of it to draw.

        Raises:
            UsageError: If no bus tick lies there.
        """
        times_s = seconds(self.log.bus)
        shown = (times_s >= first_s) & (times_s <= last_s)
        if not shown.any():
            raise UsageError(f"--from {first_s:g} --to {last_s:g}: {self.path.name} goes from 0 to {times_s[-1]:.2f} s")
        return replace(self, shown=shown)


def seconds(bus: Records) -> NDArray[np.float64]:
    """Return the time of each bus tick since the first one, s."""
    return np.asarray(bus["stamp_s"] - bus["stamp_s"][0], np.float64)


def add_episode_options(parser: VerbParser, name: str) -> None:
    """Add what `chosen_episode` reads; the picture is called `name`."""
    parser.add_argument("log", type=Path, metavar="LOG_OR_RUN", help="an .mcap file, or a run folder")
    parser.add_argument("--episode", type=int, help="episode of a run folder; by default its last complete one")
    parser.add_argument("--collector", type=int, default=0, help="collector of the episode (0)")
    parser.add_argument("--from", dest="first_s", type=float, default=0.0, metavar="S", help="begin so many seconds into the log (0)")
    parser.add_argument("--to", dest="last_s", type=float, default=np.inf, metavar="S", help="end so many seconds into the log (its end)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"picture to make (.png, .svg, .pdf); by default {name} in the run, or beside the log"
    )


def chosen_episode(options: argparse.Namespace, name: str) -> Episode:
    """Read the log that the options mean.

    Raises:
        UsageError: If there is none, or nothing in it between the given seconds.
        LogError: If it is damaged or holds no bus tick.
    """
    folder: Path = options.log if options.log.is_dir() else options.log.parent
    path = find_log(options.log, options.collector, options.episode)
    return read_episode(path, options.out or folder / name).between(options.first_s, options.last_s)


def read_episode(path: Path, out: Path) -> Episode:
    """Read a log to draw all of it into `out`.

    Raises:
        LogError: If it is damaged or holds no bus tick; one that is being written is taken as far as it goes.
    """
    log = read_log(path)
    require_undamaged(path, log)
    if not len(log.bus):
        raise LogError(f"{path} holds no bus tick: choose another episode")
    return Episode(path, log, np.ones(len(log.bus), np.bool_), out)


def joint_names_of(log: RolloutLog) -> tuple[str, ...]:
    """Return the names of a log's joints; numbers where it does not say them."""
    count = log.bus["position_rad"].shape[1]
    return log.joint_names if len(log.joint_names) == count else tuple(f"joint {index}" for index in range(count))
