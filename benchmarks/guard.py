"""`./run bench guard`: how long a tick of the filter chain, and of the whole guard around a robot that costs nothing, takes."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable, Sequence

import numpy as np
from pydantic import JsonValue

from benchmarks.guarded_plant import ROBOTS, H, make_guard
from benchmarks.report import Report
from fetlock.guarding import read_limits
from robot.clock import monotonic_s
from robot.errors import UsageError
from robot.realtime import become_realtime
from robot.types import Command, frozen_array
from safety import GuardConfig
from safety.filters import filter_command, seeded

_WARM = 500
# At 12 joints, 99.9% of the ticks.
_TARGET_US = 200.0


def main(argv: Sequence[str]) -> Report:
    """Time random commands; 10,000 of each take some seconds."""
    parser = argparse.ArgumentParser(prog="bench guard", description=__doc__)
    parser.add_argument("--ticks", type=int, default=20_000, help="of each (20000)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(list(argv))
    if options.ticks < 1000:
        raise UsageError(f"--ticks {options.ticks}: a share of a thousandth needs at least 1000")
    # As the motion process runs it.
    grants = become_realtime("fifo")
    details: dict[str, JsonValue] = {"granted": "; ".join(grant.line() for grant in grants)}
    worst = 0.0
    for robot in ROBOTS:
        chain, whole = _chain(robot, options.seed), _whole(robot, options.seed)
        for name, tick in ((f"{robot}: chain", chain), (f"{robot}: guard", whole)):
            row = _timed(tick, options.ticks)
            details[name] = row
            print(f"{name}: {row}", flush=True)
            if name == "kitty: chain":
                worst = float(str(row["p99.9 us"]))
    return Report("guard", worst, None, _TARGET_US, "us per tick of the chain at 12 joints, p99.9", [options.seed], details)


def _timed(tick: Callable[[], None], ticks: int) -> dict[str, JsonValue]:
    gc.collect()
    gc.disable()
    try:
        for _ in range(_WARM):
            tick()
        taken = np.empty(ticks)
        for index in range(ticks):
            start_s = monotonic_s()
            tick()
            taken[index] = monotonic_s() - start_s
    finally:
        gc.enable()
    p50, p99, p999 = np.percentile(taken * 1e6, (50, 99, 99.9))
    return {"p50 us": round(float(p50), 1), "p99 us": round(float(p99), 1), "p99.9 us": round(float(p999), 1)}


def _chain(robot: str, seed: int) -> Callable[[], None]:
    """Return a tick of the chain with a new random command every fourth."""
    guard, _, limits = make_guard(robot)
    limits = GuardConfig.model_validate(read_limits(robot)).limits(guard.joint_names)
    rng = np.random.default_rng(seed)
    commands = rng.uniform(limits.position_min_rad, limits.position_max_rad, (997, len(guard.joint_names)))
    memory, count = seeded(0.5 * (limits.position_min_rad + limits.position_max_rad)), 0

    def tick() -> None:
        nonlocal memory, count
        _, memory, _ = filter_command(commands[count // 4 % len(commands)], memory, limits, H, 4)
        count += 1

    return tick


def _whole(robot: str, seed: int) -> Callable[[], None]:
    """Return a tick of the guard, the plant's included: some microseconds."""
    guard, plant, limits = make_guard(robot)
    guard.engage()
    rng = np.random.default_rng(seed)
    commands = [
        Command(frozen_array(row)) for row in rng.uniform(limits.position_min_rad, limits.position_max_rad, (997, len(guard.joint_names)))
    ]
    count = 0

    def tick() -> None:
        nonlocal count
        guard.write(commands[count // 4 % len(commands)])
        plant.wait()
        guard.read()
        count += 1

    return tick
