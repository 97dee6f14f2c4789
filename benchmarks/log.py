"""`./run bench log`: what the rollout log costs the control loop, how large it is, and how long a replay takes to be rebuilt from it.

A collector runs in real time, beside a learner's load at nice 19, twice: with the log and its process, then with no record made at all.
With the log there is a camera: noisy pictures, 60 a second, go through the driver of cameras of metal, and each policy tick gets
the newest, resized. Then an hour of the same records is written through the same writer at full speed, in episodes, flushed as often as in
real time, and read back into a replay, with every frame decoded and compared.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import timeit
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks.log_hour import Records, Stretch, hour
from benchmarks.loop import in_new_process, percentiles_ms, saturating_load
from benchmarks.pictures import coding, usb_camera
from benchmarks.report import Report
from benchmarks.timed_camera import TimedCamera
from fetlock.build import make_env, policy_layout
from fetlock.config import DEFAULT_CONFIG, RunConfig, config_yaml, load_config
from fetlock.machines import HardwareConfig
from fetlock.recording import recording
from policy.acting import NumpyActor
from robot.clock import monotonic_s, request_realtime, set_timer_slack
from robot.errors import RobotError, UsageError
from robot.types import CameraFrame
from safety.motion import BusTick
from training.collector import Collector
from training.config import FramesConfig
from training.env import StepResult
from training.records import pack_bus
from training.rollout_log import log_files, read_log
from training.runs import RunFolder

# Design: what a control loop may spend on handing a policy tick's records over, us, at the 99th percentile.
_TARGET_US = 100.0
_SHARES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}


class TimedCollector(Collector):
    """A collector that takes the time of handing a policy tick's records over; a silent one makes and hands over none."""

    silent = False

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (those of a collector)
        super().__init__(*arguments, **options)
        self.frame_s: list[float] = []
        self.handing_s: list[float] = []
        self.late_s: list[float] = []

    def _append_frame(self, frame: CameraFrame, later: int) -> None:
        start_s = monotonic_s()
        super()._append_frame(frame, later)
        self.frame_s.append(monotonic_s() - start_s)

    def _append(self, *arguments: Any) -> None:  # noqa: ANN401
        if self.silent:
            self.late_s.append(self._env.timing.take_worst_lateness_s())
            return
        start_s = monotonic_s()
        super()._append(*arguments)
        self.handing_s.append(monotonic_s() - start_s)


@dataclass(frozen=True)
class Loop:
    """What a stretch of real time showed.

    Attributes:
        taking_s: What each policy tick spent on taking the newest frame of the camera, s; empty without one.
        frame_s: What it spent on handing that over, s, part of `handing_s`.
        handing_s: What each policy tick spent on handing records over, s; empty without a log.
        late_s: Of each policy tick the worst lateness of its bus ticks, s.
        missed: Bus ticks that were skipped.
        lost: Records for which there was no room.
        records: Of the log.
        frame_bytes: Of the frames in it.
        log_bytes: Size of the log's files.
        fill_s: Of the hand-over what writing one bus tick as a record takes at best, s.
    """

    taking_s: NDArray[np.float64]
    frame_s: NDArray[np.float64]
    handing_s: NDArray[np.float64]
    late_s: NDArray[np.float64]
    missed: int
    lost: int
    records: Stretch
    frame_bytes: int
    log_bytes: int
    fill_s: float


def real_time(config: RunConfig, seconds: float, *, logged: bool) -> Loop:
    """Let a policy that has learned nothing drive the robot of a configuration in real time, in this process, with or without a log.

    Frames, where the configuration wants them, are those of `usb_camera`: a simulated robot would be drawn in the loop, and no robot is.

    Raises:
        RobotError: If a record that was handed over is not in the log in the end.
    """
    layout = policy_layout(config)
    with tempfile.TemporaryDirectory(prefix="fetlock-log-") as name, RunFolder.create(Path(name) / "run", config_yaml(config)) as folder:
        with recording(folder, config, layout) as recorder:
            link = recorder.link
            link.populate(0)
            env = make_env(config.model_copy(update={"camera": None}), realtime=True)
            streams = (link.steps[0], link.bus[0])
            collector = TimedCollector(
                env, NumpyActor(layout), *streams, seed=config.seed, index=0, episode=0, frames=link.frames_of(0) if logged else None
            )
            collector.silent = not logged
            collector.adopt(1, np.zeros(layout.vector_size, np.float32))
            with usb_camera(config, config.camera.width_px) if logged and config.camera is not None else nullcontext() as camera:
                env.eye = timed = None if camera is None else TimedCamera(camera)
                tick = _drive(collector, round(seconds * config.control_hz))
            made = tuple(ring.head for ring in (*streams, *link.frames))
            missed = env.timing.missed
            env.close()
        paths = log_files(folder.path / "rollouts")
        logs = [read_log(path, frames=True) for path in paths]
        size = sum(path.stat().st_size for path in paths)
    kept, kept_bus = _together([log.steps for log in logs]), _together([log.bus for log in logs])
    frames = [log.frames for log in logs if log.frames]
    # Of the observations that a step went on from.
    stepped = [log.frames.of_steps(log.steps) for log in logs if log.frames]
    found = (len(kept), len(kept_bus), sum(map(len, frames)))[: len(made)]
    if found != made:
        raise RobotError(f"{found} steps, bus ticks and frames are in the log, {made} were handed over")
    taking_s = np.array([] if timed is None else timed.taking_s)
    frame_s, handing_s = map(np.array, (collector.frame_s, collector.handing_s))
    late_s = kept["lateness_s"] if logged else np.array(collector.late_s)
    images = np.concatenate([own.images() for own in stepped]) if stepped else None
    frame_bytes = sum(len(png) for own in frames for png in own.pngs)
    records = Stretch(kept, kept_bus, images)
    return Loop(taking_s, frame_s, handing_s, late_s, missed, collector.lost, records, frame_bytes, size, _fill_s(tick))


def _together(parts: list[Records]) -> Records:
    return np.concatenate(parts) if parts else np.zeros(0, [("sequence", "<u8")])


def _drive(collector: TimedCollector, ticks: int) -> BusTick:
    """Run so many policy ticks as a collector in real time does: SCHED_FIFO where it is granted, no garbage collection in an episode.

    Returns:
        The last bus tick.
    """
    set_timer_slack()
    request_realtime()
    gc.freeze()
    gc.disable()
    result: StepResult | None = None
    for _ in range(ticks):
        if collector.between_episodes:
            gc.collect()
        result = collector.collect(explore=False)
    if result is None:
        raise RobotError("the simulated robot failed in its last tick")
    return result.ticks[-1]


def _fill_s(tick: BusTick) -> float:
    return min(timeit.repeat(lambda: pack_bus(0, 0, 0, tick), number=1000, repeat=20)) / 1000.0


def _percentiles_us(values_s: NDArray[np.float64]) -> dict[str, float]:
    return {name: round(1e6 * float(np.percentile(values_s, share)), 1) for name, share in _SHARES.items()}


def main(argv: Sequence[str]) -> Report:
    """Measure the loop with and without its log, then an hour of it.

    Raises:
        UsageError: If an option is out of range.
        RobotError: If a record is missing.
    """
    parser = argparse.ArgumentParser(prog="bench log")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="of a simulated robot (the walking Minitaur)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of real time, with the log and without each (60)")
    parser.add_argument("--hours", type=float, default=1.0, help="of robot time in the file that is written at full speed (1)")
    parser.add_argument("--camera", type=int, default=84, metavar="PX", help="side of the frames of a camera, 16 to 256; 0: none (84)")
    parser.add_argument("--load", type=int, default=len(os.sched_getaffinity(0)), help="busy processes at nice 19 beside the loop")
    options = parser.parse_args(list(argv))
    if options.seconds < 1.0 or not 0.0 < options.hours <= 24.0 or options.load < 0:
        raise UsageError(
            f"give at least 1 s, up to 24 hours, and a load of 0 or more: got {options.seconds}, {options.hours}, {options.load}"
        )
    if options.camera != 0 and not 16 <= options.camera <= 256:
        raise UsageError(f"--camera {options.camera}: give the side of frames, 16 to 256 px, or 0 for none")
    config = load_config(["--config", str(options.config)])
    if isinstance(config.robot, HardwareConfig):
        raise UsageError(f"{options.config} is a robot of metal: random actions move no motor; give the configuration of a simulated one")
    if options.camera:
        config = config.model_copy(update={"camera": FramesConfig(width_px=options.camera, height_px=options.camera)})
    details: dict[str, JsonValue] = {"config": options.config.name, "load_processes": options.load, "control_hz": config.control_hz}
    with saturating_load(options.load):
        logged = in_new_process(real_time, config, options.seconds, logged=True)
        silent = in_new_process(real_time, config, options.seconds, logged=False)
    handing_us = _percentiles_us(logged.handing_s)
    details["handing over, us per policy tick"] = cast("JsonValue", handing_us)
    details["of it writing one bus tick, at best, us"] = round(1e6 * logged.fill_s, 1)
    if len(logged.frame_s):
        details["of it handing a frame over, us"] = cast("JsonValue", _percentiles_us(logged.frame_s))
        details["taking a frame, us, before the action"] = cast("JsonValue", _percentiles_us(logged.taking_s))
    for name, stretch in (("with the log", logged), ("without", silent)):
        details[name] = {"lateness_ms": percentiles_ms(stretch.late_s), "missed": stretch.missed, "dropped": stretch.lost}
        print(f"{name}: {details[name]}", flush=True)
    steps = len(logged.records.steps)
    rate = logged.log_bytes / steps
    projected_mb = rate * 3600.0 * config.control_hz / 1e6
    details["in real time"] = {
        "steps": steps,
        "bytes per step": round(rate, 1),
        "of it the frame, before chunks are compressed": round(logged.frame_bytes / steps, 1),
        "MB an hour, projected": round(projected_mb, 1),
    }
    print(f"handing over: {handing_us} us; in real time: {details['in real time']}", flush=True)
    details["at full speed"] = hour(config, logged.records, options.hours)
    side = f"camera frames, {options.camera} x {options.camera}"
    details[side] = cast("JsonValue", coding(config, options.camera)) if options.camera else None
    details["target"] = (
        f"p99 below {_TARGET_US:g} us, nothing dropped: {'met' if handing_us['p99'] < _TARGET_US and not logged.lost else 'missed'}"
    )
    return Report("log", handing_us["p99"], None, None, "us per policy tick to hand its records over, p99", [config.seed], details)
