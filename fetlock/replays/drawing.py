"""Recorded and simulated joints in one picture."""

from __future__ import annotations

from pathlib import Path

from fetlock.plots import COLOURS, plain, save_figure
from fetlock.replays.gap import rms_by_joint
from fetlock.replays.simulation import Played

_COLUMNS = 3
_WIDTH_INCHES, _ROW_INCHES = 12.0, 2.1
_SIMULATED, _RECORDED, _SENT = *COLOURS[:2], "0.7"


def plot_tracking(played: Played, out: Path) -> None:
    """Draw every joint: what was sent, what was recorded, and what the simulation did.

    Raises:
        UsageError: If the suffix is unknown.
        FetlockError: If the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bus, names = played.log.bus, played.joint_names
    rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(_WIDTH_INCHES, _ROW_INCHES * rows + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False)
    rms = rms_by_joint(bus["position_rad"] - played.position_rad)
    time_s = bus["stamp_s"] - bus["stamp_s"][0]
    for joint, axes in enumerate(panels.ravel()):
        if joint >= len(names):
            axes.set_visible(False)
            continue
        axes.plot(time_s, bus["emission_rad"][:, joint], color=_SENT, linewidth=0.8, label="sent")
        axes.plot(time_s, bus["position_rad"][:, joint], color=_RECORDED, linewidth=1.1, label="recorded")
        axes.plot(time_s, played.position_rad[:, joint], color=_SIMULATED, linewidth=0.9, linestyle="--", label="simulated")
        axes.set_title(f"{names[joint]}, {rms[joint]:.4f} rad RMS apart", fontsize=9, loc="left")
        plain(axes)
    for axes in panels[:, 0]:
        axes.set_ylabel("rad", fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("s", fontsize=8)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    save_figure(figure, out)
