"""Recorded and simulated joints in one picture."""

from __future__ import annotations

from pathlib import Path

from fetlock.plots.episode import seconds
from fetlock.plots.figure import save_figure
from fetlock.plots.joints import draw_joints, measured, sent, simulated
from fetlock.replays.gap import rms_by_joint
from fetlock.replays.simulation import Played


def plot_tracking(played: Played, out: Path) -> None:
    """Draw every joint: what was sent, what was measured, and what the simulation did.

    Raises:
        UsageError: If the suffix is unknown.
        FetlockError: If the file cannot be written.
    """
    bus = played.log.bus
    rms = rms_by_joint(bus["position_rad"] - played.position_rad)
    titles = [f"{name}, {apart:.4f} rad RMS apart" for name, apart in zip(played.joint_names, rms, strict=True)]
    traces = (sent(bus["emission_rad"]), measured(bus["position_rad"]), simulated(played.position_rad))
    save_figure(draw_joints(seconds(bus), traces, titles), out)
