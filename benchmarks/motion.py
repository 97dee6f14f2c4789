"""How punctual the motion process is beside a saturating learner: SCHED_FIFO against the default scheduler, in one run.

    ./run bench motion [--seconds 60] [--load 2] [--config FILE] [--policy RUN] [--learner]

The process serves the robot of a configuration at its bus rate while this process drives it, standing or by a policy. Beside them every
core runs matrix products at nice 19, where the learner runs, or with --learner a SAC learner as fast as it can at the common priority.
Lateness is the process's own, of every bus tick: the distance of its wake-up from the absolute deadline.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks.loop import percentiles_ms, saturating_load
from benchmarks.report import Report
from fetlock.config import DEFAULT_CONFIG, config_yaml, load_config
from fetlock.driving import pilot_of, run_realtime
from fetlock.motion_process import MotionProcess
from robot.clock import TickStatistics, monotonic_s, sleep_s
from robot.errors import RobotError, UsageError
from robot.types import Command
from safety import MotionClient, MotionClock, Reason, RemoteMotion
from safety.motion_link import About
from training.runs import RunFolder

# Of a state, s: beside the load the policy of the default scheduler may itself be late by more than ten bus periods.
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Drive:
    """What one motion process did.

    Attributes:
        lateness_s: Of every bus tick, s.
        missed: Bus ticks that the process skipped.
        held: Bus ticks in which it held the robot, for want of a command.
        late_policy_ticks: Policy ticks that this process was too late for.
        about: Who served, and what it was granted.
    """

    lateness_s: NDArray[np.float64]
    missed: int
    held: int
    late_policy_ticks: int
    about: About


def drive(config: Path, scheduler: str, seconds: float) -> Drive:
    """Keep the robot of a configuration standing for so long.

    Raises:
        RobotError: If the process does not start.
    """
    settings = load_config(["--config", str(config)])
    name = f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--config", str(config), "--scheduler", scheduler]
        with MotionProcess(name, arguments, Path(folder) / "motion.log"):
            client = MotionClient(name, monotonic_s, sleep_s, _PATIENCE_S)
            try:
                return _stand(client, round(settings.bus_hz / settings.control_hz), round(seconds * settings.control_hz))
            finally:
                client.close()


def _stand(client: MotionClient, ticks: int, policy_ticks: int) -> Drive:
    motion = RemoteMotion(client, MotionClock(client), ticks, TickStatistics())
    client.release(seed=0)
    state = client.read()
    target = Command(state.joints.position_rad)
    first = client.position
    missed = held = 0
    lateness_s: list[float] = []
    before = int(client.rows(first, first + 1)[0]["missed"][0])
    for _ in range(policy_ticks):
        start = client.position
        state, _ = motion.advance(target, state)
        rows, _ = client.rows(start, client.position)
        lateness_s += rows["lateness_s"].tolist()
        held += int((rows["filter_mask"] & int(Reason.HOLD) != 0).sum())
        missed = int(rows["missed"][-1]) - before
        if held and int(rows["filter_mask"][-1]) & int(Reason.HOLD):
            client.release(seed=0)
            state = client.read()
    return Drive(np.array(lateness_s), missed, held, motion.missed, client.about)


def by_policy(config: Path, policy: Path, scheduler: str, seconds: float) -> dict[str, JsonValue]:
    """Let a policy drive the robot of a configuration for so long; return what `fetlock run` reports."""
    settings = load_config(["--config", str(config)])
    pilot, _ = pilot_of(policy, settings)
    with (
        tempfile.TemporaryDirectory(prefix="fetlock-bench-") as place,
        RunFolder.create(Path(place) / "run", config_yaml(settings)) as folder,
    ):
        report = run_realtime(folder, pilot, settings, seconds, scheduler=scheduler)
    return {
        "ticks": report.bus_ticks,
        "lateness_ms": dict(report.lateness_ms or {}),
        "missed": report.missed,
        "held": report.held,
        "stolen_s": report.stolen_s,
        "falls": report.falls,
        "measure": report.measure,
        "granted": list(report.granted),
        "said": list(report.said),
    }


def standing(config: Path, scheduler: str, seconds: float) -> dict[str, JsonValue]:
    """Keep the robot of a configuration standing for so long; return the figures."""
    driven = drive(config, scheduler, seconds)
    return {
        "ticks": driven.lateness_s.size,
        "lateness_ms": percentiles_ms(driven.lateness_s),
        "missed": driven.missed,
        "held": driven.held,
        "late_policy_ticks": driven.late_policy_ticks,
        "granted": list(driven.about.granted),
    }


def _learn(ready: Event, stop: Event) -> None:
    """Be a learner as fast as it goes until `stop`: eager updates on one thread."""
    import torch

    from benchmarks.updates import learner_call

    torch.set_num_threads(1)
    call = learner_call(compiled=False, precision="float32", actor_every=2, layer_norm=True)
    ready.set()
    while not stop.is_set():
        call()


@contextmanager
def beside_learner() -> Iterator[None]:
    """Run a SAC learner in a process of its own for the length of the block.

    Raises:
        RobotError: If it does not start within a minute.
    """
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    worker = context.Process(target=_learn, args=(ready, stop), daemon=True)
    worker.start()
    try:
        if not ready.wait(60.0):
            raise RobotError("the learner was not ready within a minute: close other programs and run again")
        yield
    finally:
        stop.set()
        worker.join()


def main(argv: Sequence[str]) -> Report:
    """Measure under the default scheduler and, where granted, SCHED_FIFO.

    Raises:
        UsageError: If an option is out of range.
        RobotError: If a process does not start.
    """
    parser = argparse.ArgumentParser(prog="bench motion")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each measurement; p99.9 needs a thousand ticks")
    parser.add_argument("--load", type=int, default=len(os.sched_getaffinity(0)), help="busy processes beside the motion process")
    parser.add_argument("--learner", action="store_true", help="a SAC learner beside it in place of the busy processes")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="of the robot; an emulated one runs in real time")
    parser.add_argument("--policy", type=Path, help="run folder of a policy that drives it; by default it stands")
    options = parser.parse_args(list(argv))
    if options.seconds < 1.0 or options.load < 0:
        raise UsageError(f"a measurement takes at least 1 s, and the load is 0 or more: got {options.seconds} s, {options.load} processes")
    load: JsonValue = "a SAC learner" if options.learner else options.load
    details: dict[str, JsonValue] = {"seconds": options.seconds, "load": load, "config": options.config.name}
    p999_ms: dict[str, float] = {}
    with beside_learner() if options.learner else saturating_load(options.load):
        for scheduler in ("default", "fifo"):
            if options.policy is None:
                figures = standing(options.config, scheduler, options.seconds)
            else:
                figures = by_policy(options.config, options.policy, scheduler, options.seconds)
            granted = cast("list[str]", figures["granted"])
            if scheduler == "fifo" and not any(line.startswith("SCHED_FIFO: granted") for line in granted):
                details["fifo"] = "refused"
                continue
            details[scheduler] = figures
            late = cast("dict[str, float]", figures["lateness_ms"])
            p999_ms[scheduler] = late["p99.9"]
            print(f"{scheduler:>7}: late {late} ms, missed {figures['missed']} of {figures['ticks']}, held {figures['held']}")
    details["headline"] = "p99.9 lateness of a bus tick; ours under the best scheduler granted, peer under the default one"
    return Report("motion", p999_ms.get("fifo", p999_ms["default"]), p999_ms["default"], None, "ms", details=details)
