"""The curves of a run: return and measure of each episode, over environment steps."""

from __future__ import annotations

from typing import Any

import numpy as np
from nicegui import ui

from fetlock.console.state import Curve
from fetlock.plots.curves import WINDOW, running_mean

# Points drawn: the chart is some 500 px wide.
_POINTS = 600
# Readable on both grounds; the dots are lighter by their opacity.
_LINE, _JUDGED, _TEXT, _GRID = "#2f7fd6", "#e07b28", "#8a93a0", "rgba(138,147,160,0.25)"


class Chart:
    """One curve in the page.

    Args:
        empty: Said while there is nothing to draw.
    """

    def __init__(self, empty: str) -> None:
        self._drawn: Curve | None = None
        with ui.element("section").classes("card chart"):
            with ui.element("h2"):
                self._title = ui.label()
            self._empty = ui.label(empty).classes("empty")
            self._chart = ui.echart(_options()).classes("plot unseen")

    def show(self, curve: Curve) -> None:
        """Draw a curve, if it is another one than before."""
        if curve == self._drawn:
            return
        self._drawn = curve
        self._title.set_text(curve.title)
        empty = not (curve.episodes or curve.evaluations)
        self._empty.set_visibility(empty)
        self._chart.classes(replace="plot unseen" if empty else "plot")
        episodes = [[step, round(value, 4)] for step, value in curve.episodes[-_POINTS:]]
        series: list[dict[str, Any]] = self._chart.options["series"]
        series[0]["data"] = episodes
        series[1]["data"] = _mean(episodes)
        series[2]["data"] = [[step, round(value, 4)] for step, value in curve.evaluations[-_POINTS:]]
        self._chart.update()


def _mean(points: list[list[float]]) -> list[list[float]]:
    """Return the running mean of the curves that a run leaves."""
    means = running_mean(np.array([value for _, value in points])).round(4).tolist()
    return [[step, mean] for (step, _), mean in zip(points, means, strict=True)]


def _options() -> dict[str, Any]:
    axis = {"axisLabel": {"color": _TEXT, "hideOverlap": True}, "splitLine": {"lineStyle": {"color": _GRID}}, "splitNumber": 3}
    return {
        "animation": False,
        "grid": {"left": 46, "right": 14, "top": 26, "bottom": 22},
        "legend": {"top": 0, "right": 8, "itemHeight": 8, "textStyle": {"color": _TEXT, "fontSize": 11}},
        "xAxis": {"type": "value", "min": "dataMin", "max": "dataMax", **axis},
        "yAxis": {"type": "value", **axis},
        "series": [
            {"name": "episode", "type": "scatter", "symbolSize": 4, "itemStyle": {"color": _LINE, "opacity": 0.45}, "data": []},
            {
                "name": f"mean of {WINDOW}",
                "type": "line",
                "symbol": "none",
                "itemStyle": {"color": _LINE},
                "lineStyle": {"width": 2},
                "data": [],
            },
            {
                "name": "evaluation",
                "type": "line",
                "symbol": "rect",
                "symbolSize": 6,
                "lineStyle": {"color": _JUDGED, "width": 1},
                "data": [],
            },
        ],
    }
