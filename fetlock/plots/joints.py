"""Joints over time, one panel each: what was sent, where they were, where a simulation had them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fetlock.plots.figure import COLOURS, PALE, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A row for each leg of three joints, or for two legs of two.
_COLUMNS = (3, 4)
_WIDTH_INCHES, _ROW_INCHES = 12.0, 2.1


@dataclass(frozen=True)
class Trace:
    """A line in the panel of every joint.

    Attributes:
        label: For the legend.
        position_rad: Shape (ticks, n), rad.
        colour: Of the line.
        width: Of the line, points.
        dashed: Whether it is dashed.
    """

    label: str
    position_rad: NDArray[np.float64]
    colour: str
    width: float
    dashed: bool = False


def sent(position_rad: NDArray[np.float64]) -> Trace:
    """Return the trace of what the joints were sent."""
    return Trace("sent", position_rad, PALE, 0.8)


def measured(position_rad: NDArray[np.float64]) -> Trace:
    """Return the trace of where the robot said that they were."""
    return Trace("measured", position_rad, COLOURS[1], 1.1)


def simulated(position_rad: NDArray[np.float64]) -> Trace:
    """Return the trace of where a simulation had them."""
    return Trace("simulated", position_rad, COLOURS[0], 0.9, dashed=True)


def draw_joint(axes: Axes, time_s: NDArray[np.float64], traces: Sequence[Trace], joint: int, title: str) -> None:
    """Draw one joint."""
    for trace in traces:
        style = "--" if trace.dashed else "-"
        axes.plot(time_s, trace.position_rad[:, joint], color=trace.colour, linewidth=trace.width, linestyle=style, label=trace.label)
    axes.set_title(title, fontsize=9, loc="left")
    plain(axes)


def draw_joints(time_s: NDArray[np.float64], traces: Sequence[Trace], titles: Sequence[str], heading: str = "") -> Figure:
    """Draw all joints, each in its panel.

    Args:
        time_s: Shape (ticks,).
        traces: Shown in all of them.
        titles: Of the n panels.
        heading: Above all; none if empty.
    """
    columns = next((columns for columns in _COLUMNS if len(titles) % columns == 0), _COLUMNS[0])
    rows = -(-len(titles) // columns)
    figure = new_figure(_WIDTH_INCHES, _ROW_INCHES * rows + 0.6)
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for joint, axes in enumerate(panels.ravel()):
        if joint >= len(titles):
            axes.set_visible(False)
            panels.ravel()[joint - columns].tick_params(labelbottom=True)
            continue
        draw_joint(axes, time_s, traces, joint, titles[joint])
    figure.supylabel("rad", fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("s", fontsize=8)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    if heading:
        figure.suptitle(heading, fontsize=10, x=0.01, ha="left")
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), fontsize=8, frameon=False)
    return figure
