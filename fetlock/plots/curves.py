"""`fetlock plot curves`: learning curves of runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fetlock.arguments import VerbParser
from fetlock.plots.figure import COLOURS, PAPER, SOFT, head, new_figure, save_figure
from fetlock.plots.learning import Curves, read_curves
from fetlock.plots.seeds import Floats, Line, repetitions, together
from robot.errors import UsageError
from training.tasks import Measure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A line for a running mean over this many episodes; single episodes are dots behind it. A walking run has about 25: 10 would lag behind.
WINDOW = 5
_SIZE_INCHES = (11.0, 7.0)
# What is drawn: title and unit of each panel.
PANELS = {
    "return": ("Return of an episode", "return"),
    # What the task says of it.
    "measure": ("", ""),
    "falls": ("Failures in training (falls), cumulated", "failures"),
    "length": ("Length of an episode", "policy ticks"),
}


@dataclass(frozen=True)
class Series:
    """One colour of the picture: a run, or a group of runs.

    Attributes:
        label: For the legend.
        lines: By panel: running means over episodes; falls cumulated.
        dots: By panel: single episodes; none for a group.
        evaluations: By panel, for those that are evaluated.
        fell: Shape (k,): in which evaluations the policy fell; None for a group.
        mark: Measure at which the task counts as learned, if the configuration says.
        measure: What it is called.
    """

    label: str
    lines: dict[str, Line]
    dots: dict[str, Line]
    evaluations: dict[str, Line]
    fell: list[bool] | None
    mark: float | None
    measure: Measure


def run(argv: list[str]) -> int:
    """Draw one picture of one run or several; see `fetlock plot curves --help`."""
    parser = VerbParser("plot curves", "Draw return, measure, failures and length over environment steps; several runs in one picture.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--group",
        action="store_true",
        help="runs whose configuration differs in nothing but the seed are one curve: interquartile mean, 95%% bootstrap interval in shade",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="picture to make (.png, .svg, .pdf); by default curves.png in the first run"
    )
    options = parser.read(argv)
    out = options.out or options.runs[0] / "curves.png"
    plot_curves(options.runs, out, group=options.group)
    sys.stdout.write(f"{out}\n")
    return 0


def plot_curves(folders: Sequence[Path], out: Path, *, group: bool = False) -> None:
    """Draw the learning curves of one or several runs into one picture.

    Args:
        folders: Run folders.
        out: File to make; its suffix (.png, .svg, .pdf) decides the format.
        group: Runs that differ in nothing but their seed are one curve.

    Raises:
        UsageError: If a folder holds no run, is given twice, is of another robot or task than the first, or the suffix is unknown.
        FetlockError: If nothing has been recorded yet, or the file cannot be written.
    """
    runs = [read_curves(folder) for folder in folders]
    _require_comparable(folders, runs)
    series = [_of_group(label, members) for label, members in repetitions(runs)] if group else [series_of(run) for run in runs]
    save_figure(_draw(series), out)


def _require_comparable(folders: Sequence[Path], runs: Sequence[Curves]) -> None:
    resolved = [folder.resolve() for folder in folders]
    for index, (folder, run) in enumerate(zip(folders, runs, strict=True)):
        if resolved[index] in resolved[:index]:
            raise UsageError(f"{folder} was given twice: leave one out")
        if run.origin.body != runs[0].origin.body:
            raise UsageError(
                f"{folder} is of another robot or task ({run.origin.body}) than {folders[0]} ({runs[0].origin.body}): "
                "their figures do not compare; draw them apart"
            )


def series_of(run: Curves) -> Series:
    """Return what is drawn of one run."""
    at = run.end_step.astype(np.float64)
    values = {"return": run.episode_return, "measure": run.measure, "length": run.length.astype(np.float64)}
    lines = {name: Line(at, running_mean(value)) for name, value in values.items()}
    lines["falls"] = Line(np.concatenate([[0.0], at]), np.concatenate([[0.0], np.cumsum(run.failed)]))
    steps = np.array([evaluation.steps for evaluation in run.evaluations], np.float64)
    evaluations = {
        "return": Line(steps, np.array([evaluation.mean_return for evaluation in run.evaluations])),
        "measure": Line(steps, np.array([evaluation.mean_measure for evaluation in run.evaluations])),
    }
    dots = {name: Line(at, value) for name, value in values.items()}
    fell = [evaluation.falls > 0 for evaluation in run.evaluations]
    return Series(run.label, lines, dots, evaluations, fell, run.origin.mark, run.origin.measure)


def _of_group(label: str, runs: list[Curves]) -> Series:
    if len(runs) == 1:
        return series_of(runs[0])
    each = [series_of(run) for run in runs]
    lines = {name: together([series.lines[name] for series in each]) for name in PANELS}
    evaluations = {name: together([series.evaluations[name] for series in each]) for name in each[0].evaluations}
    return Series(label, lines, {}, evaluations, None, runs[0].origin.mark, runs[0].origin.measure)


def running_mean(values: Floats) -> Floats:
    """Return the mean of each value and of those before it, five in all, fewer at the beginning. Shape (e,)."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - WINDOW, 0)
    return np.asarray((sums[last] - sums[first]) / (last - first), np.float64)


def heading(name: str, measure: Measure) -> tuple[str, str]:
    """Return title and unit of one of `PANELS`."""
    return (measure.title, measure.unit) if name == "measure" else PANELS[name]


def draw_panel(axes: Axes, name: str, series: Sequence[Series]) -> None:
    """Draw one of `PANELS`."""
    from matplotlib.ticker import MaxNLocator

    for index, one in enumerate(series):
        _draw_series(axes, name, one, COLOURS[index % len(COLOURS)])
    measure = series[0].measure
    head(axes, *heading(name, measure))
    if name == "measure":
        for mark in sorted({one.mark for one in series if one.mark is not None}):
            axes.axhline(mark, color=SOFT, linewidth=1.0, linestyle="--", zorder=1)
            axes.annotate(
                f"mark {mark:g} {measure.unit}", (0.01, mark), xycoords=("axes fraction", "data"), va="bottom", color=SOFT, fontsize=8
            )
    if name in ("falls", "length"):
        axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1]))
    if name == "falls":
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_series(axes: Axes, name: str, one: Series, colour: str) -> None:
    """Draw single episodes as pale dots, means as lines, spreads as shades, evaluations as squares, hollow where the policy fell."""
    line = one.lines[name]
    if name in one.dots:
        dots = one.dots[name]
        axes.plot(dots.x, dots.y, ".", color=colour, alpha=0.4, markersize=6, markeredgewidth=0)
    # A count stays until the next fall, a mean over runs moves on between them.
    stays = name == "falls" and line.low is None
    axes.plot(line.x, line.y, color=colour, linewidth=1.6, drawstyle="steps-post" if stays else "default", label=one.label)
    _shade(axes, line, colour)
    evaluated = one.evaluations.get(name)
    if evaluated is None or not len(evaluated.x):
        return
    _shade(axes, evaluated, colour)
    if one.fell is None:
        axes.plot(evaluated.x, evaluated.y, color=colour, linewidth=1.2, linestyle=":")
        return
    axes.plot(evaluated.x, evaluated.y, "-", color=colour, linewidth=0.7, alpha=0.6)
    faces = [PAPER if fell else colour for fell in one.fell]
    axes.scatter(evaluated.x, evaluated.y, marker="s", s=22, c=faces, edgecolors=colour, linewidths=1.2, zorder=3)


def _shade(axes: Axes, line: Line, colour: str) -> None:
    if line.low is not None and line.high is not None:
        axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.15, linewidth=0)


def _draw(series: list[Series]) -> Figure:
    figure = new_figure(*_SIZE_INCHES)
    panels = figure.subplots(2, 2, sharex=True)
    for axes, name in zip(panels.ravel(), PANELS, strict=True):
        draw_panel(axes, name, series)
    for axes in panels[-1]:
        axes.set_xlabel("environment steps", fontsize=9)
    _legend(figure, panels[0, 0], series)
    return figure


def _legend(figure: Figure, axes: Axes, series: list[Series]) -> None:
    """Name runs, lines and marks above the panels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles, labels = axes.get_legend_handles_labels()
    single, grouped = any(one.dots for one in series), any(one.fell is None for one in series)
    evaluated = any(len(line.x) for one in series for line in one.evaluations.values())
    if single:
        handles.append(Line2D([], [], color=SOFT, marker=".", alpha=0.5, linestyle="-"))
        labels.append(f"training episode, mean of {WINDOW}")
    if single and evaluated:
        handles.append(Line2D([], [], color=SOFT, marker="s", markersize=5, linewidth=0.7))
        labels.append("evaluation (hollow: with falls)")
    if grouped:
        handles.append(Patch(color=SOFT, alpha=0.3))
        labels.append("interquartile mean over runs, 95% bootstrap interval")
    if grouped and evaluated:
        handles.append(Line2D([], [], color=SOFT, linestyle=":"))
        labels.append("evaluations, the same")
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)), fontsize=8, frameon=False)
