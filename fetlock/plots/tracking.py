"""`fetlock plot tracking`: what each joint was sent, and where it was, from the log alone."""

from __future__ import annotations

import sys

import numpy as np

from fetlock.arguments import VerbParser
from fetlock.plots.episode import Episode, add_episode_options, chosen_episode, joint_names_of, seconds
from fetlock.plots.figure import save_figure
from fetlock.plots.joints import draw_joints, measured, sent
from fetlock.replays.gap import lag_s, rms_by_joint

_NAME = "tracking.png"


def run(argv: list[str]) -> int:
    """Draw the joints of an episode; see `fetlock plot tracking --help`."""
    parser = VerbParser("plot tracking", "Draw what each joint was sent and where it was measured, in one episode.")
    add_episode_options(parser, _NAME)
    episode = chosen_episode(parser.read(argv), _NAME)
    bus = episode.bus
    titles = [f"{name}, {rms:.3f} rad RMS" for name, rms in tracking_rms(episode).items()]
    time_s = seconds(episode.log.bus)[episode.shown]
    figure = draw_joints(time_s, (sent(bus["emission_rad"]), measured(bus["position_rad"])), titles, f"{episode.title}: {behind(episode)}")
    save_figure(figure, episode.out)
    sys.stdout.write(f"{episode.out}\n")
    return 0


def tracking_rms(episode: Episode) -> dict[str, float]:
    """Return how far each joint is from what it was sent one bus tick before, root mean square over what is shown, rad.

    A tick's target cannot be seen in its own measurement (docs/time.md), so that the next one is compared.
    """
    bus = episode.bus
    names = joint_names_of(episode.log)
    if len(bus) < 2:
        return dict.fromkeys(names, float("nan"))
    return dict(zip(names, rms_by_joint(np.asarray(bus["position_rad"][1:] - bus["emission_rad"][:-1])), strict=True))


def tracking_lag_ms(episode: Episode) -> float | None:
    """Return by how much the joints come behind what they are sent, ms; None where nothing moves or too little is shown."""
    bus = episode.bus
    lag = lag_s(bus["position_rad"], bus["emission_rad"], float(bus["period_s"][0]))
    return None if lag is None else 1e3 * lag


def behind(episode: Episode) -> str:
    """Say how well joints follow."""
    lag_ms = tracking_lag_ms(episode)
    return "nothing moves" if lag_ms is None else f"joints come {lag_ms:.0f} ms behind what they are sent"
