"""`fetlock plot interventions`: how often each stage of the guard changed a command, episode by episode."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fetlock.arguments import VerbParser
from fetlock.plots.figure import COLOURS, head, new_figure, save_figure
from fetlock.replays.logs import some_logs_of
from robot.errors import FetlockError
from safety.types import INTERVENTIONS, Mode, Reason
from training.rollout_log import RolloutLog, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIZE_INCHES = (11.0, 5.6)


@dataclass(frozen=True)
class EpisodeStages:
    """What the guard did in one log.

    Attributes:
        place: Number of its last step in its collector, and the collector: orders logs by their ends.
        steps: Policy ticks.
        ticks: Bus ticks in which a policy drove, or was to.
        changed: Of them, those that each stage changed; only stages that did.
        overridden: Of them, those that any stage changed which overrides the policy.
    """

    place: tuple[int, int]
    steps: int
    ticks: int
    changed: dict[Reason, int]
    overridden: int


def run(argv: list[str]) -> int:
    """Draw the interventions of a run; see `fetlock plot interventions --help`."""
    parser = VerbParser("plot interventions", "Draw the share of bus ticks in which each stage of the guard changed a command.")
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="picture to make (.png, .svg, .pdf); by default interventions.png in the run"
    )
    options = parser.read(argv)
    out = options.out or (options.run if options.run.is_dir() else options.run.parent) / "interventions.png"
    episodes = [stages_of(log) for log in map(read_log, some_logs_of(options.run))]
    if not any(episode.ticks for episode in episodes):
        raise FetlockError(f"{options.run} has no recorded step yet: wait for its first episode")
    figure = new_figure(*_SIZE_INCHES)
    for axes, overrides in zip(figure.subplots(2, 1, sharex=True), (True, False), strict=True):
        draw_stages(axes, episodes, overrides=overrides)
    figure.axes[-1].set_xlabel("environment steps", fontsize=9)
    save_figure(figure, out)
    sys.stdout.write(f"{out}\n")
    return 0


def stages_of(log: RolloutLog) -> EpisodeStages:
    """Count what the guard did in the bus ticks of one log; those of a routine in front of an episode are not a policy's."""
    steps, bus = log.steps, log.bus
    place = (int(steps["sequence"][-1]), int(steps["collector"][-1])) if len(steps) else (0, 0)
    if not len(bus):
        return EpisodeStages(place, len(steps), 0, {}, 0)
    masks = bus["filter_mask"][bus["mode"] != Mode.RESETTING]
    changed = {stage: int(np.count_nonzero(masks & int(stage))) for stage in Reason if stage}
    overridden = int(np.count_nonzero(masks & int(INTERVENTIONS)))
    return EpisodeStages(place, len(steps), len(masks), {stage: count for stage, count in changed.items() if count}, overridden)


def name_of(stage: Reason) -> str:
    """Return the name of a stage of the guard, for people."""
    return str(stage.name).lower().replace("_", " ")


def draw_stages(axes: Axes, episodes: Sequence[EpisodeStages], *, overrides: bool) -> None:
    """Draw the share of ticks that each stage changed, in percent, over environment steps.

    Args:
        axes: To draw into.
        episodes: In any order.
        overrides: Stages that override the policy, with all of them together; else those that shape every command.
    """
    told = [episode for episode in sorted(episodes, key=lambda episode: episode.place) if episode.ticks]
    at = np.cumsum([episode.steps for episode in told])
    lines = {name_of(stage): _percent(told, stage) for stage in Reason if stage and bool(stage & INTERVENTIONS) == overrides}
    lines = {name: line for name, line in lines.items() if line.any()}
    if overrides and len(lines) > 1:
        lines["any of them"] = np.array([100.0 * episode.overridden / episode.ticks for episode in told])
    for index, (name, line) in enumerate(lines.items()):
        style = "--" if name == "any of them" else "-"
        colour = COLOURS[-1] if name == "any of them" else COLOURS[index % (len(COLOURS) - 1)]
        axes.plot(at, line, style, color=colour, linewidth=1.4, marker=".", markersize=4, label=name)
    head(axes, "Stages that overrode the policy" if overrides else "Stages that shape commands", "% of bus ticks")
    axes.set_ylim(bottom=0.0)
    if lines:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
    else:
        axes.set_ylim(top=1.0)
        axes.set_xlim(0, int(at[-1]) if len(at) else 1)
        axes.annotate("none in any tick", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", fontsize=9)


def _percent(episodes: Sequence[EpisodeStages], stage: Reason) -> NDArray[np.float64]:
    return np.array([100.0 * episode.changed.get(stage, 0) / episode.ticks for episode in episodes])
