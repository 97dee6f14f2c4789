"""`./run bench log`: what the rollout log costs the control loop, how large it is, and how long a replay takes to be rebuilt from it.

A collector runs in real time, beside a learner's load at nice 19, twice: with the log and its process, then with no record made at all.
Then an hour of the same records is written through the same writer at full speed, in episodes, flushed as often as in real time, and read
back into a replay. The frames of a camera are not in the log yet, and not in these figures.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import timeit
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks.loop import in_new_process, percentiles_ms, saturating_load
from benchmarks.report import Report
from fetlock.build import make_env, policy_layout
from fetlock.config import DEFAULT_CONFIG, RunConfig, config_yaml, load_config
from fetlock.machines import HardwareConfig
from fetlock.recording import metadata_of, recording
from policy.acting import NumpyActor
from robot.clock import monotonic_s, request_realtime, set_timer_slack
from robot.errors import RobotError, UsageError
from safety.motion import BusTick
from safety.tick_records import columns_of, fill_tick
from training.collector import Collector
from training.env import StepResult
from training.learner import Learner
from training.records import bus_dtype
from training.rollout_log import EpisodeWriter, log_files, read_log, read_run
from training.rollout_log.logger import FLUSH_S
from training.runs import RunFolder

# Design: what a control loop may spend on handing a policy tick's records over, us, at the 99th percentile.
_TARGET_US = 100.0
_SHARES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}

Records = NDArray[np.void]


class TimedCollector(Collector):
    """A collector that takes the time of handing a policy tick's records over; a silent one makes and hands over none."""

    silent = False

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (those of a collector)
        super().__init__(*arguments, **options)
        self.handing_s: list[float] = []
        self.late_s: list[float] = []

    def _append(self, *arguments: Any) -> None:  # noqa: ANN401
        if self.silent:
            self.late_s.append(self._env.timing.take_worst_lateness_s())
            return
        start_s = monotonic_s()
        super()._append(*arguments)
        self.handing_s.append(monotonic_s() - start_s)
        self.late_s.append(float(self._record["lateness_s"][0]))


@dataclass(frozen=True)
class Stretch:
    """What a stretch of real time showed.

    Attributes:
        handing_s: What each policy tick spent on handing records over, s; empty without a log.
        late_s: Of each policy tick the worst lateness of its bus ticks, s.
        missed: Bus ticks that were skipped.
        lost: Records for which there was no room.
        steps: Step records of the log.
        bus: Bus records of the log.
        log_bytes: Size of the log's files.
        fill_s: Of the hand-over what writing one bus tick as a record takes at best, s.
    """

    handing_s: NDArray[np.float64]
    late_s: NDArray[np.float64]
    missed: int
    lost: int
    steps: Records
    bus: Records
    log_bytes: int
    fill_s: float


def real_time(config: RunConfig, seconds: float, *, logged: bool) -> Stretch:
    """Let a policy that has learned nothing drive the robot of a configuration in real time, in this process, with or without a log.

    Raises:
        RobotError: If a record that was handed over is not in the log in the end.
    """
    layout = policy_layout(config)
    with tempfile.TemporaryDirectory(prefix="fetlock-log-") as name, RunFolder.create(Path(name) / "run", config_yaml(config)) as folder:
        with recording(folder, config, layout) as recorder:
            steps, bus = recorder.link.steps[0], recorder.link.bus[0]
            env = make_env(config, realtime=True)
            collector = TimedCollector(env, NumpyActor(layout), steps, bus, seed=config.seed, index=0, episode=0)
            collector.silent = not logged
            collector.adopt(1, np.zeros(layout.vector_size, np.float32))
            tick = _drive(collector, round(seconds * config.control_hz))
            made = (steps.head, bus.head)
            missed = env.timing.missed
            env.close()
        paths = log_files(folder.path / "rollouts")
        logs = [read_log(path) for path in paths]
        size = sum(path.stat().st_size for path in paths)
    kept, kept_bus = _together([log.steps for log in logs]), _together([log.bus for log in logs])
    if (len(kept), len(kept_bus)) != made:
        raise RobotError(f"{len(kept)} steps and {len(kept_bus)} bus ticks are in the log, {made[0]} and {made[1]} were handed over")
    late_s = np.array(collector.late_s)
    return Stretch(np.array(collector.handing_s), late_s, missed, collector.lost, kept, kept_bus, size, _fill_s(tick))


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
    record = np.zeros(1, bus_dtype(len(tick.state.joints.position_rad)))
    columns = columns_of(record)
    return min(timeit.repeat(lambda: fill_tick(columns, tick), number=1000, repeat=20)) / 1000.0


def hour(config: RunConfig, stretch: Stretch, hours: float) -> dict[str, JsonValue]:
    """Write so many hours of a stretch's records, again and again with new numbers, and read them back; return the figures."""
    steps, bus = stretch.steps, stretch.bus
    wanted = round(hours * 3600.0 * config.control_hz)
    # A logger in real time flushes 50 ms behind the oldest record that waits.
    batch = int(FLUSH_S * config.control_hz) + 1
    with tempfile.TemporaryDirectory(prefix="fetlock-log-") as name:
        folder = Path(name)
        start_s, written, episode, ticks = monotonic_s(), 0, 0, 0
        while written < wanted:
            for old in np.unique(steps["episode"]):
                own = np.flatnonzero(steps["episode"] == old)[: wanted - written]
                if not len(own):
                    break
                more, more_bus = steps[own], bus[int(steps["bus_first"][own[0]]) : int(steps["bus_last"][own[-1]]) + 1].copy()
                _renumber(more, more_bus, written, ticks, episode)
                _write(folder, config, more, more_bus, episode, batch)
                written, ticks, episode = written + len(more), ticks + len(more_bus), episode + 1
        wrote_s = monotonic_s() - start_s
        size = sum(path.stat().st_size for path in log_files(folder))
        learner = Learner(policy_layout(config), config.sac, config.train, config.seed, compiled=False)
        start_s = monotonic_s()
        read = read_run(folder)
        read_s = monotonic_s() - start_s
        learner.add(read)
        rebuilt_s = monotonic_s() - start_s
    if len(read) != wanted or learner.steps != wanted:
        raise RobotError(f"{wanted} steps were written, {len(read)} read and {learner.steps} learned from")
    return {
        "hours": hours,
        "steps": wanted,
        "bus ticks": ticks,
        "files": episode,
        "steps in a flush": batch,
        "MB": round(size / 1e6, 1),
        "bytes per step": round(size / wanted, 1),
        "written in, s": round(wrote_s, 1),
        "read in, s": round(read_s, 2),
        "replay rebuilt in, s": round(rebuilt_s, 2),
        "transitions in the replay": learner.replay.size,
    }


def _renumber(steps: Records, bus: Records, first: int, first_tick: int, episode: int) -> None:
    """Give an episode's records the numbers that they would have at a place in a run; stamps go on without a pause."""
    shift_s = first_tick * float(bus["period_s"][0]) - float(bus["stamp_s"][0])
    bus["sequence"] = first_tick + np.arange(len(bus))
    steps["bus_last"] = steps["bus_last"] - steps["bus_first"][0] + first_tick
    steps["bus_first"] = steps["bus_first"] - steps["bus_first"][0] + first_tick
    steps["sequence"], steps["step"] = first + np.arange(len(steps)), np.arange(len(steps))
    for records in (steps, bus):
        records["episode"] = episode
        records["stamp_s"] += shift_s


def _write(folder: Path, config: RunConfig, steps: Records, bus: Records, episode: int, batch: int) -> None:
    writer = EpisodeWriter(folder, 0, episode, steps.dtype, bus.dtype, metadata_of("0", config))
    base = int(bus["sequence"][0])
    for start in range(0, len(steps), batch):
        some = steps[start : start + batch]
        writer.write(bus[int(some["bus_first"][0]) - base : int(some["bus_last"][-1]) + 1 - base], some)
        writer.flush()
    writer.finish(complete=True)


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
    parser.add_argument("--load", type=int, default=len(os.sched_getaffinity(0)), help="busy processes at nice 19 beside the loop")
    options = parser.parse_args(list(argv))
    if options.seconds < 1.0 or not 0.0 < options.hours <= 24.0 or options.load < 0:
        raise UsageError(
            f"give at least 1 s, up to 24 hours, and a load of 0 or more: got {options.seconds}, {options.hours}, {options.load}"
        )
    config = load_config(["--config", str(options.config)])
    if isinstance(config.robot, HardwareConfig):
        raise UsageError(f"{options.config} is a robot of metal: random actions move no motor; give the configuration of a simulated one")
    details: dict[str, JsonValue] = {"config": options.config.name, "load_processes": options.load, "control_hz": config.control_hz}
    with saturating_load(options.load):
        logged = in_new_process(real_time, config, options.seconds, logged=True)
        silent = in_new_process(real_time, config, options.seconds, logged=False)
    handing_us = {name: round(1e6 * float(np.percentile(logged.handing_s, share)), 1) for name, share in _SHARES.items()}
    details["handing over, us per policy tick"] = cast("JsonValue", handing_us)
    details["of it writing one bus tick, at best, us"] = round(1e6 * logged.fill_s, 1)
    for name, stretch in (("with the log", logged), ("without", silent)):
        details[name] = {"lateness_ms": percentiles_ms(stretch.late_s), "missed": stretch.missed, "dropped": stretch.lost}
        print(f"{name}: {details[name]}", flush=True)
    rate = logged.log_bytes / len(logged.steps)
    projected_mb = rate * 3600.0 * config.control_hz / 1e6
    details["in real time"] = {
        "steps": len(logged.steps),
        "bytes per step": round(rate, 1),
        "MB an hour, projected": round(projected_mb, 1),
    }
    print(f"handing over: {handing_us} us; in real time: {details['in real time']}", flush=True)
    details["at full speed"] = hour(config, logged, options.hours)
    details["camera frames, 84 x 84"] = None
    details["target"] = (
        f"p99 below {_TARGET_US:g} us, nothing dropped: {'met' if handing_us['p99'] < _TARGET_US and not logged.lost else 'missed'}"
    )
    return Report("log", handing_us["p99"], None, None, "us per policy tick to hand its records over, p99", [config.seed], details)
