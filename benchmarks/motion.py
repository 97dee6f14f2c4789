"""How punctual the motion process is beside a saturating learner: SCHED_FIFO against the default scheduler, in one run.

    ./run bench motion [--seconds 60] [--load 2] [--config FILE]

The process serves a simulated robot at its bus rate while a policy in this process drives it, and every core runs matrix products at
nice 19, where the learner runs. Lateness is the process's own, of every bus tick: the distance of its wake-up from the absolute deadline.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks.loop import percentiles_ms, saturating_load
from benchmarks.report import Report
from fetlock.config import DEFAULT_CONFIG, load_config
from fetlock.motion_process import MotionProcess
from robot.clock import TickStatistics, monotonic_s, sleep_s
from robot.errors import UsageError
from robot.types import Command
from safety import MotionClient, MotionClock, Reason, RemoteMotion
from safety.motion_link import About

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


def main(argv: Sequence[str]) -> Report:
    """Measure under the default scheduler and, where granted, SCHED_FIFO.

    Raises:
        UsageError: If an option is out of range.
        RobotError: If a process does not start.
    """
    parser = argparse.ArgumentParser(prog="bench motion")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each measurement; p99.9 needs a thousand ticks")
    parser.add_argument("--load", type=int, default=len(os.sched_getaffinity(0)), help="busy processes beside the motion process")
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="of a simulated robot")
    options = parser.parse_args(list(argv))
    if options.seconds < 1.0 or options.load < 0:
        raise UsageError(f"a measurement takes at least 1 s, and the load is 0 or more: got {options.seconds} s, {options.load} processes")
    details: dict[str, JsonValue] = {"seconds": options.seconds, "load_processes": options.load}
    p999_ms: dict[str, float] = {}
    with saturating_load(options.load):
        for scheduler in ("default", "fifo"):
            driven = drive(options.config, scheduler, options.seconds)
            if scheduler == "fifo" and not any(line.startswith("SCHED_FIFO: granted") for line in driven.about.granted):
                details["fifo"] = "refused"
                continue
            figures = percentiles_ms(driven.lateness_s)
            details[scheduler] = {
                "ticks": driven.lateness_s.size,
                "lateness_ms": figures,
                "missed": driven.missed,
                "held": driven.held,
                "late_policy_ticks": driven.late_policy_ticks,
                "granted": list(driven.about.granted),
            }
            p999_ms[scheduler] = float(np.percentile(driven.lateness_s, 99.9)) * 1e3
            print(f"{scheduler:>7}: late {figures} ms, missed {driven.missed} of {driven.lateness_s.size}, held {driven.held}")
    details["headline"] = "p99.9 lateness of a bus tick; ours under the best scheduler granted, peer under the default one"
    return Report("motion", p999_ms.get("fifo", p999_ms["default"]), p999_ms["default"], None, "ms", details=details)
