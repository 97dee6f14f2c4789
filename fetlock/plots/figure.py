"""What all pictures share: colours, frame, and how a file is written."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from robot.errors import FetlockError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette (jfly.uni-koeln.de/color), whose hues stay apart for colour-blind readers; without its yellow, pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# Greys: of text beside the data, of what is only a background to them, and of the grid.
SOFT, PALE, GRID, PAPER = "#4d4d4d", "#a6a6a6", "#e5e5e5", "#ffffff"
_DPI = 110


def new_figure(width_inches: float, height_inches: float) -> Figure:
    """Return an empty figure that needs no display."""
    # Imported where something is drawn: the trainer imports this module at its start and draws at its end.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_inches, height_inches), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


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
        with contextlib.suppress(OSError):
            part.unlink()
        raise FetlockError(f"{out}: the picture cannot be written ({error.strerror}): choose another place") from error


def head(axes: Axes, title: str, unit: str) -> None:
    """Give a panel its title and the unit of what goes up."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel(unit, fontsize=9)
    plain(axes)


def plain(axes: Axes) -> None:
    """Leave of the frame what is read: a pale grid, two sides, small figures."""
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.margins(x=0.01)
