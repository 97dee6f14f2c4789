"""The pictures of a report, each an SVG element; a picture that cannot be made says why in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fetlock.plots.curves import PANELS, Series, draw_panel, heading, series_of
from fetlock.plots.episode import Episode, joint_names_of, read_episode, seconds
from fetlock.plots.gait import draw_gait, gait_of, pace
from fetlock.plots.interventions import draw_stages
from fetlock.plots.joints import draw_joint, measured, sent
from fetlock.plots.tracking import behind, tracking_rms
from fetlock.reports.facts import Facts
from fetlock.reports.svg import svg
from robot.errors import FetlockError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# At these sizes text of 8 and 9 points is read on a phone as on a wide screen.
_PANEL_INCHES, _JOINT_INCHES, _WIDE_INCHES = (4.6, 2.7), (4.6, 1.55), (8.6, 2.5)
# So much of an episode is drawn, s: about ten strides of a trot.
_SHOWN_S = 3.0


@dataclass(frozen=True)
class Drawings:
    """SVG elements, and what is said of them.

    Attributes:
        curves: One for each panel of the learning curve.
        episode: Which one gait and joints are of, and which part of it; empty without one.
        gait: None where there is no gait diagram.
        gait_said: Its pace, or why there is none.
        joints: One for each.
        joints_said: How they follow.
        stages: Of the guard.
    """

    curves: list[str]
    episode: str
    gait: str | None
    gait_said: str
    joints: list[str]
    joints_said: str
    stages: list[str]


def draw(facts: Facts) -> Drawings:
    """Draw everything that the run has.

    Raises:
        LogError: If a log is damaged.
    """
    series = [series_of(facts.curves)]
    curves = [
        svg(partial(_panel, name=name, series=series), *_PANEL_INCHES, heading(name, facts.curves.origin.measure)[0]) for name in PANELS
    ]
    stages = [svg(partial(_stages, facts=facts, overrides=overrides), *_PANEL_INCHES, f"stages {overrides}") for overrides in (True, False)]
    best = facts.best_log
    if best is None:
        return Drawings(curves, "", None, "No episode has ended yet.", [], "", stages)
    episode = _middle(read_episode(facts.folder / "rollouts" / best.file, facts.folder / "unused"))
    said = f"Episode {best.episode} of collector {best.collector}, the one of the highest return ({best.episode_return:.1f})"
    times_s = seconds(episode.log.bus)[episode.shown]
    gait, gait_said = _gait(episode)
    return Drawings(
        curves,
        f"{said}, {times_s[0]:.1f} to {times_s[-1]:.1f} s.",
        gait,
        gait_said,
        _joints(episode),
        behind(episode),
        stages,
    )


def _middle(episode: Episode) -> Episode:
    """Return the part of an episode around its middle."""
    length_s = float(seconds(episode.log.bus)[-1])
    start_s = max(0.0, (length_s - _SHOWN_S) / 2.0)
    return episode.between(start_s, start_s + _SHOWN_S)


def _panel(axes: Axes, name: str, series: Sequence[Series]) -> None:
    draw_panel(axes, name, series)
    axes.set_xlabel("environment steps", fontsize=8)


def _stages(axes: Axes, facts: Facts, *, overrides: bool) -> None:
    draw_stages(axes, facts.episodes, overrides=overrides)
    axes.set_xlabel("environment steps", fontsize=8)


def _gait(episode: Episode) -> tuple[str | None, str]:
    try:
        gait = gait_of(episode)
    except FetlockError as error:
        return None, str(error)
    return svg(partial(draw_gait, gait=gait), *_WIDE_INCHES, "feet on the ground"), pace(gait)


def _joints(episode: Episode) -> list[str]:
    time_s = seconds(episode.log.bus)[episode.shown]
    traces = (sent(np.asarray(episode.bus["emission_rad"])), measured(np.asarray(episode.bus["position_rad"])))
    rms = tracking_rms(episode)

    def one(axes: Axes, joint: int) -> None:
        name = joint_names_of(episode.log)[joint]
        draw_joint(axes, time_s, traces, joint, f"{name}, {rms[name]:.3f} rad RMS")
        axes.set_ylabel("rad", fontsize=8)

    return [svg(partial(one, joint=joint), *_JOINT_INCHES, f"joint {joint}") for joint in range(len(rms))]
