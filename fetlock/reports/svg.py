"""Pictures as SVG inside a page: no file of their own, no address, and the page's colours, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from fetlock.plots.figure import GRID, PALE, PAPER, SOFT, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Greys of a picture, and the variables of the page that stand for them. The palette itself reads on both grounds.
_VARIABLES = {"#000000": "var(--ink)", SOFT: "var(--soft)", PALE: "var(--pale)", GRID: "var(--grid)", PAPER: "var(--paper)"}


def svg(draw: Callable[[Axes], None], width_inches: float, height_inches: float, title: str) -> str:
    """Draw one panel as an SVG element.

    Args:
        draw: Draws into the panel.
        width_inches: At which text has its true size.
        height_inches: Same.
        title: For those who cannot see it, and different for each picture of a page.
    """
    from matplotlib import rc_context

    figure = new_figure(width_inches, height_inches)
    draw(figure.subplots())
    buffer = io.StringIO()
    # Text stays text; the salt keeps the names of one picture apart from those of the others.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inlined(buffer.getvalue(), title)


def _inlined(text: str, title: str) -> str:
    """Take out what only a file needs: heading, metadata, namespaces, names that nothing refers to."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    referred = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in referred else "", text)
    text = re.sub(r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif", text)
    for grey, variable in _VARIABLES.items():
        text = text.replace(grey, variable)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1).strip()
