"""Learning curves of runs, drawn from what they left on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from numpy.typing import NDArray

from robot.errors import FetlockError, UsageError
from training.evaluation import Evaluation, read_evaluations
from training.rollout_log import read_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette (jfly.uni-koeln.de/color), whose hues stay apart for colour-blind readers; without its yellow, pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# A line for a running mean over this many episodes; single episodes are dots behind it. A walking run has about 25: 10 would lag behind.
_WINDOW = 5
_SIZE_INCHES = (11.0, 7.0)
_DPI = 110


@dataclass(frozen=True)
class Curves:
    """What is drawn of one run.

    Attributes:
        label: Name of the run and its seed.
        end_step: Shape (e,): environment steps of all collectors at the end of each episode.
        episode_return: Shape (e,): sum of rewards.
        measure: Shape (e,): mean of the task's measure, for walking the forward speed in m/s.
        length: Shape (e,): policy ticks.
        failed: Shape (e,): the episode was terminated, for walking by a fall.
        evaluations: Oldest first.
        mark: Measure at which the task counts as learned, if the run says.
    """

    label: str
    end_step: NDArray[np.int64]
    episode_return: NDArray[np.float64]
    measure: NDArray[np.float64]
    length: NDArray[np.int64]
    failed: NDArray[np.bool_]
    evaluations: list[Evaluation]
    mark: float | None


def plot_runs(folders: Sequence[Path], out: Path) -> None:
    """Draw the learning curves of one or several runs into one picture.

    Args:
        folders: Run folders.
        out: File to make; its suffix (.png, .svg, .pdf) decides the format.

    Raises:
        UsageError: If a folder holds no run, or the suffix is unknown.
        FetlockError: If nothing has been recorded yet, or the file cannot be written.
    """
    save_figure(_draw([read_curves(folder) for folder in folders]), out)


def save_figure(figure: Figure, out: Path) -> None:
    """Write a figure in one piece.

    Raises:
        UsageError: If the suffix is unknown.
        FetlockError: If the file cannot be written.
    """
    formats = figure.canvas.get_supported_filetypes()
    if out.suffix[1:] not in formats:
        raise UsageError(f"{out}: {out.suffix or 'no suffix'} is no picture format: end the name in .png, .svg or .pdf")
    part = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(part, dpi=_DPI)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FetlockError(f"{out}: the picture cannot be written ({error.strerror}): choose another place") from error


def read_curves(folder: Path) -> Curves:
    """Reduce a run's log and evaluations to its curves.

    Raises:
        UsageError: If the folder holds no run.
        FetlockError: If nothing has been recorded yet.
        LogError: If the log is damaged.
    """
    if not (folder / "rollouts").is_dir():
        raise UsageError(f"{folder} holds no run (rollouts/ is missing): give a folder that `fetlock train` made, such as runs/NAME")
    steps = read_run(folder / "rollouts")
    evaluations = read_evaluations(folder / "evaluations.jsonl")
    if not len(steps):
        raise FetlockError(f"{folder} has no recorded step yet: wait for its first episode")
    seed, mark = _settings(folder)
    label = folder.resolve().name + ("" if seed is None else f" (seed {seed})")
    # Several collectors take turns; their clocks cannot order them, since a restarted one begins anew.
    steps = steps[np.lexsort((steps["collector"], steps["sequence"]))]
    _, episode = np.unique(np.stack([steps["collector"], steps["episode"]]), axis=1, return_inverse=True)
    episode = episode.reshape(-1)
    length = np.bincount(episode)
    # The number of the last step of each episode among all steps.
    end_step = np.zeros(len(length), np.int64)
    np.maximum.at(end_step, episode, np.arange(1, len(steps) + 1))
    ended = np.bincount(episode, steps["terminated"] | steps["truncated"]) > 0
    # An episode that is under way or was cut off would look like a fall in length and return.
    order = np.argsort(end_step)[ended[np.argsort(end_step)]]
    return Curves(
        label,
        end_step[order],
        np.bincount(episode, steps["reward"]).astype(np.float64)[order],
        (np.bincount(episode, steps["measure"]) / length)[order],
        length[order],
        (np.bincount(episode, steps["terminated"]) > 0)[order],
        evaluations,
        mark,
    )


def _settings(folder: Path) -> tuple[int | None, float | None]:
    """Return seed and mark of a run; None for what its configuration does not say."""
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        return int(config["seed"]), float(config["task"]["mark_speed_m_s"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError):
        return None, None


def _draw(runs: list[Curves]) -> Figure:
    # Imported here: the trainer imports this module at its start and draws at its end.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    (returns, speed), (falls, length) = figure.subplots(2, 2, sharex=True)
    for index, run in enumerate(runs):
        colour = COLOURS[index % len(COLOURS)]
        _episodes(returns, run, run.episode_return, colour)
        _episodes(speed, run, run.measure, colour)
        _episodes(length, run, run.length.astype(np.float64), colour)
        falls.step(
            np.concatenate([[0], run.end_step]), np.concatenate([[0], np.cumsum(run.failed)]), where="post", color=colour, label=run.label
        )
        _evaluations(returns, run, [evaluation.mean_return for evaluation in run.evaluations], colour)
        _evaluations(speed, run, [evaluation.mean_measure for evaluation in run.evaluations], colour)
    for mark in sorted({run.mark for run in runs if run.mark is not None}):
        speed.axhline(mark, color="0.3", linewidth=1.0, linestyle="--", zorder=1)
        speed.annotate(f"mark {mark:g} m/s", (0.01, mark), xycoords=("axes fraction", "data"), va="bottom", color="0.3", fontsize=8)
    _label(returns, "Return of an episode", "return")
    _label(speed, "Forward speed, mean of an episode", "m/s")
    _label(falls, "Falls in training, cumulated", "falls")
    _label(length, "Length of an episode", "policy ticks")
    for axes in (falls, length):
        axes.set_xlabel("environment steps")
        axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1]))
    falls.yaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure, falls, any(run.evaluations for run in runs))
    return figure


def _episodes(axes: Axes, run: Curves, values: NDArray[np.float64], colour: str) -> None:
    """Draw single episodes as pale dots and their running mean as a line."""
    axes.plot(run.end_step, values, ".", color=colour, alpha=0.4, markersize=6, markeredgewidth=0)
    if len(values):
        sums = np.cumsum(np.concatenate([[0.0], values]))
        first = np.maximum(np.arange(1, len(values) + 1) - _WINDOW, 0)
        last = np.arange(1, len(values) + 1)
        axes.plot(run.end_step, (sums[last] - sums[first]) / (last - first), color=colour, linewidth=1.6)


def _evaluations(axes: Axes, run: Curves, values: list[float], colour: str) -> None:
    """Draw evaluations as squares, hollow where the policy fell."""
    faces = ["white" if evaluation.falls else colour for evaluation in run.evaluations]
    at = [evaluation.steps for evaluation in run.evaluations]
    axes.plot(at, values, "-", color=colour, linewidth=0.7, alpha=0.6)
    axes.scatter(at, values, marker="s", s=22, c=faces, edgecolors=colour, linewidths=1.2, zorder=3)


def _label(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(unit, fontsize=9)
    plain(axes)


def plain(axes: Axes) -> None:
    """Leave of the frame what is read: a pale grid, two sides, small figures."""
    axes.grid(color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.01)


def _legend(figure: Figure, axes: Axes, evaluated: bool) -> None:
    """Name runs and marks above the panels."""
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    handles.append(Line2D([], [], color="0.4", marker=".", alpha=0.5, linestyle="-"))
    labels.append(f"training episode, mean of {_WINDOW}")
    if evaluated:
        handles.append(Line2D([], [], color="0.4", marker="s", markersize=5, linewidth=0.7))
        labels.append("evaluation (hollow: with falls)")
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)), fontsize=8, frameon=False)
