"""`fetlock plot gait`: a gait diagram after Hildebrand (*Symmetrical Gaits of Horses*, Science 150, 1965): bars where a foot stands.

No robot here has sensors in its feet, and no log holds contacts. An episode of a simulation is played again, and its contacts are those
of the recorded motion where every joint comes back bit for bit; anything else is refused.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fetlock.arguments import VerbParser
from fetlock.config import load_config
from fetlock.machines import simulated
from fetlock.plots.episode import Episode, add_episode_options, chosen_episode, seconds
from fetlock.plots.figure import COLOURS, new_figure, plain, save_figure
from fetlock.plots.stepping import Stepping, stepping
from fetlock.replays import simulation
from fetlock.replays.logs import config_of
from robot.errors import LogError, UsageError
from sim import LegsConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAME = "gait.png"
# Hildebrand's order, from the top: left hind, left fore, right fore, right hind. Feet of other names keep their own order.
_ORDER = ("back_left", "front_left", "front_right", "back_right")
# Feet across from each other have one colour: a trot shows as bars of one colour at a time.
_PAIR = {"back_left": 0, "front_right": 0, "front_left": 1, "back_right": 1}
_SIZE_INCHES = (11.0, 2.9)
_BAR = 0.62


@dataclass(frozen=True)
class Gait:
    """What a gait diagram shows.

    Attributes:
        names: f feet, from the top.
        time_s: Shape (ticks,): since the log's first bus tick.
        down: Shape (ticks, f): whether the ground carries each foot.
        period_s: Of a tick.
        stepping: How they step.
    """

    names: tuple[str, ...]
    time_s: NDArray[np.float64]
    down: NDArray[np.bool_]
    period_s: float
    stepping: Stepping


def run(argv: list[str]) -> int:
    """Draw the gait diagram of an episode; see `fetlock plot gait --help`."""
    parser = VerbParser("plot gait", "Draw when each foot stood on the ground in an episode of a simulation, which is played again for it.")
    add_episode_options(parser, _NAME)
    episode = chosen_episode(parser.read(argv), _NAME)
    gait = gait_of(episode)
    figure = new_figure(*_SIZE_INCHES)
    axes = figure.subplots()
    draw_gait(axes, gait)
    axes.set_title(f"Feet on the ground: {episode.title}, {pace(gait)}", fontsize=10, loc="left")
    save_figure(figure, episode.out)
    sys.stdout.write(f"{episode.out}\n")
    return 0


def gait_of(episode: Episode) -> Gait:
    """Play an episode again in the simulation that made it, and see how its feet step in the part that is shown.

    Raises:
        UsageError: If it was no simulation.
        LogError: If it cannot be played, or does not come back bit for bit.
    """
    path, log = episode.path, episode.log
    with config_of(path, log) as default:
        config = load_config([], default=default)
    if not isinstance(simulated(config.robot), LegsConfig):
        raise UsageError(
            f"{path} is of robot.kind {config.robot.kind}, which has no sensors in its feet and no simulation to play it again: "
            "gait diagrams are for episodes of simulated and emulated robots on legs"
        )
    played = simulation.play(path, log, config)
    if not played.exact:
        apart_rad = float(np.abs(played.position_rad - log.bus["position_rad"]).max())
        raise LogError(
            f"{path} does not come back bit for bit in this simulation (joints up to {apart_rad:.2g} rad apart), so that its contacts are "
            "not known: a routine prepared it, or the code has changed since; train or run again"
        )
    order = _ORDER if set(_ORDER) == set(played.feet) else played.feet
    period_s = float(log.bus["period_s"][0])
    down = played.feet_down[:, [played.feet.index(name) for name in order]][episode.shown]
    return Gait(order, seconds(log.bus)[episode.shown], down, period_s, stepping(down, period_s, order))


def draw_gait(axes: Axes, gait: Gait) -> None:
    """Draw a bar for each time a foot stands, and how it steps at the right."""
    for row, name in enumerate(gait.names):
        colour = COLOURS[_PAIR.get(name, row) % len(COLOURS)]
        axes.broken_barh(_bars(gait, row), (row - _BAR / 2, _BAR), color=colour, linewidth=0)
    axes.set_xlim(gait.time_s[0], gait.time_s[-1] + gait.period_s)
    axes.set_ylim(len(gait.names) - 0.5, -0.5)
    axes.set_yticks(range(len(gait.names)), [name.replace("_", " ") for name in gait.names])
    axes.set_xlabel("s", fontsize=9)
    plain(axes)
    axes.grid(visible=False, axis="y")
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(gait.names)), words(gait), fontsize=8)
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)


def words(gait: Gait) -> list[str]:
    """Say how each foot steps."""
    said = [
        f"duty factor {foot.duty_factor:.2f}" + ("" if foot.phase is None else f", phase {foot.phase:.2f}") for foot in gait.stepping.feet
    ]
    return said or ["" for _ in gait.names]


def pace(gait: Gait) -> str:
    """Say how many strides it takes in a second."""
    return "nothing repeats" if gait.stepping.stride_hz is None else f"{gait.stepping.stride_hz:.2f} strides/s"


def _bars(gait: Gait, foot: int) -> list[tuple[float, float]]:
    """Return start and length of each stance, s."""
    column = np.concatenate([[False], gait.down[:, foot], [False]]).astype(np.int8)
    begins, ends = np.flatnonzero(np.diff(column) == 1), np.flatnonzero(np.diff(column) == -1)
    start_s = float(gait.time_s[0])
    return [
        (start_s + begin * gait.period_s, (end - begin) * gait.period_s) for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
