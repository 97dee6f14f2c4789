"""A Rerun recording with its panels: the MCAP logs open in Rerun too, but their records of steps and bus ticks are then tables, not curves.

One recording holds all episodes, on the robot's own clock; what a collector recorded lies below /c<collector>.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from fetlock.exports.recording import Episode, Recording
from fetlock.exports.report import Exported, exported
from fetlock.log.summary import end_of
from policy.layout import PolicyLayout
from robot.errors import LogError
from robot.files import made_whole
from safety.tick_records import Has
from safety.types import Cause, Mode
from training.rollout_log import Records
from training.rollout_log.standard import quaternions

_TIMELINE = "robot_time"
# What is drawn of each bus tick: field of the record, and its place.
_JOINTS = {
    "position_rad": "joints/position",
    "target_rad": "joints/target",
    "emission_rad": "joints/emission",
    "velocity_rad_s": "joints/velocity",
    "torque_nm": "joints/torque",
    "current_a": "joints/current",
    "temperature_c": "joints/temperature",
}
# Panels: title, what they show.
_PANELS = {
    "Joints: position and emission, rad": ("joints/position", "joints/emission"),
    "Joints: velocity, rad/s": ("joints/velocity",),
    "Action: proposed and applied": ("action/proposed", "action/applied"),
    "Reward and the task's measure": ("reward", "measure"),
    "Guard: mode and stages": ("guard/mode", "guard/filter_mask"),
    "Joints: torque, N m; current, A; temperature, deg C": ("joints/torque", "joints/current", "joints/temperature"),
}
# Of the axes that show where the base is, m: about the length of a leg of the robots here.
_AXES_M = 0.2


def export_rrd(recording: Recording, out: Path) -> Exported:
    """Write logs as a recording.

    Args:
        recording: The logs.
        out: File to make.

    Raises:
        LogError: If the logs cannot be read.
        OSError: If the file cannot be written.
    """
    layout = recording.layout
    stream = rr.RecordingStream("fetlock", recording_id=out.stem)
    # Kept in memory and written here: the library's own file sink does not say when a disk is full.
    held = rr.binary_stream(recording=stream)
    stream.send_recording_name(out.stem)
    collectors: set[str] = set()
    episodes = steps = ticks = frames = 0
    for episode in recording.episodes(frames=True):
        root = f"c{episode.collector}"
        if root not in collectors:
            collectors.add(root)
            _name(stream, root, layout)
        _send(stream, root, episode)
        episodes, steps, ticks = episodes + 1, steps + len(episode.steps), ticks + len(episode.bus)
        frames += len(episode.frames)
    stream.send_blueprint(_blueprint(sorted(collectors), seen=bool(frames)))
    content = held.read(flush=True)
    if content is None:
        raise LogError(f"{out}: Rerun gave nothing to write")
    with made_whole(out) as temporary:
        temporary.write_bytes(content)
    counts = {"episodes": episodes, "steps": steps, "bus_ticks": ticks} | ({"frames": frames} if frames else {})
    return exported(out, **counts)


def _name(stream: rr.RecordingStream, root: str, layout: PolicyLayout) -> None:
    """Name the curves of a collector, and give its base axes."""
    named = dict.fromkeys(_JOINTS.values(), layout.joint_names)
    named |= {f"action/{kind}": layout.action_names for kind in ("proposed", "applied")}
    for place, names in named.items():
        kind = place.rpartition("/")[2]
        stream.log(f"{root}/{place}", rr.SeriesLines(names=[f"{name} {kind}" for name in names]), static=True)
    stream.log(f"{root}/base", rr.TransformAxes3D(_AXES_M), static=True)


def _send(stream: rr.RecordingStream, root: str, episode: Episode) -> None:
    """Send the curves of an episode."""
    steps, bus = episode.steps, episode.bus
    for field, place in _JOINTS.items():
        measured = bus[np.isfinite(bus[field]).any(axis=1)]
        _curve(stream, f"{root}/{place}", measured["stamp_s"], measured[field])
    for field in ("mode", "filter_mask"):
        _curve(stream, f"{root}/guard/{field}", bus["stamp_s"], bus[field])
    for field, place in {"action": "action/proposed", "applied_action": "action/applied", "reward": "reward", "measure": "measure"}.items():
        _curve(stream, f"{root}/{place}", steps["stamp_s"], steps[field])
    frames = episode.frames
    if len(frames):
        images = rr.EncodedImage.columns(blob=list(frames.pngs), media_type=["image/png"] * len(frames))
        stream.send_columns(f"{root}/camera", [_times(frames.stamp_s)], images)
    both = int(Has.IMU | Has.BASE)
    seen = bus[(bus["has"] & both) == both]
    if len(seen):
        pose = rr.Transform3D.columns(
            translation=seen["base_position_world_m"], quaternion=quaternions(seen["rotation_base_to_world"].reshape(-1, 3, 3))
        )
        stream.send_columns(f"{root}/base", [_times(seen["stamp_s"])], pose)
    stamps, lines = zip(*_events(episode), strict=True)
    stream.send_columns(f"{root}/events", [_times(np.array(stamps))], rr.TextLog.columns(text=lines))


def _curve(stream: rr.RecordingStream, place: str, stamp_s: NDArray[np.float64], values: NDArray[np.generic]) -> None:
    """Send one curve for each element of the rows of `values`, shape (k,) or (k, d)."""
    if len(values):
        stream.send_columns(place, [_times(stamp_s)], rr.Scalars.columns(scalars=values.astype(np.float64)))


def _times(stamp_s: NDArray[np.float64]) -> rr.TimeColumn:
    return rr.TimeColumn(_TIMELINE, duration=np.rint(stamp_s * 1e9).astype("timedelta64[ns]"))


def _events(episode: Episode) -> Iterable[tuple[float, str]]:
    """Say in words when the episode began, how it ended, and each change of the guard's mode."""
    steps, bus = episode.steps, episode.bus
    yield float(steps["stamp_s"][0]), f"{episode.log}: episode {episode.number} begins"
    for at in (np.flatnonzero(np.diff(bus["mode"])) + 1).tolist():
        yield float(bus["stamp_s"][at]), _mode(bus, at)
    yield float(steps["stamp_s"][-1]), f"{episode.log}: {end_of(steps)} after {len(steps)} steps, return {steps['reward'].sum():.2f}"


def _mode(bus: Records, at: int) -> str:
    causes = Cause(int(bus["causes"][at])) if "causes" in (bus.dtype.names or ()) else Cause.NONE
    return f"guard: {Mode(bus['mode'][at]).name}" + (f" because of {causes.name}" if causes else "")


def _blueprint(collectors: list[str], *, seen: bool) -> rrb.Blueprint:
    """Arrange the panels: one tab for each collector, with what its camera saw if there are frames."""
    return rrb.Blueprint(rrb.Tabs(*(_tab(root, seen=seen) for root in collectors)), collapse_panels=True)


def _tab(root: str, *, seen: bool) -> rrb.Horizontal:
    plots = [
        rrb.TimeSeriesView(name=title, origin=f"/{root}", contents=[f"/{root}/{place}" for place in places])
        for title, places in _PANELS.items()
    ]
    half = len(plots) // 2
    right = rrb.Vertical(
        *([rrb.Spatial2DView(name="Camera", origin=f"/{root}/camera")] if seen else []),
        rrb.Spatial3DView(name="Base", origin=f"/{root}", contents=[f"/{root}/base"]),
        rrb.TextLogView(name="Events", origin=f"/{root}", contents=[f"/{root}/events"]),
    )
    return rrb.Horizontal(rrb.Vertical(*plots[:half]), rrb.Vertical(*plots[half:]), right, name=root)
