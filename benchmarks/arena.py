"""`./run bench arena`: robots at the border of their arena, in any heading, turn to the centre behind their guard; how many, how long.

Each start draws where on the border the robot stands and which way it faces (both uniform), and its start pose. One that has enough way
ahead needs no turn and is counted apart. The robot begins where simulations put it, and the arena is laid around it.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from benchmarks.righting import BUS_HZ, Kind, Patient, admit, wilson
from fetlock.guarding import guarded
from fetlock.resets import routine_for
from robot.errors import RobotError, UsageError
from safety import ArenaConfig
from safety.resets import ResetFailedError, run_routine


@dataclass(frozen=True)
class Turn:
    """Of one robot at the border.

    Attributes:
        bearing_rad: Of the centre, from its heading, at the start.
        returned: It faced inwards at the end, far enough inside, standing.
        attempts: How many were made; none where enough way was ahead.
        seconds: Simulated, until the end.
        farthest_m: From the centre on the way.
        off_rad: Bearing of the centre at the end.
    """

    bearing_rad: float
    returned: bool
    attempts: int
    seconds: float
    farthest_m: float
    off_rad: float


def main(argv: Sequence[str]) -> Report:
    """Let each robot turn `--count` times; the headline is the smallest share that faced inwards."""
    parser = argparse.ArgumentParser(prog="bench arena", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="starts of each robot (100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--radius-m", type=float, default=1.5, help="of the arena (1.5)")
    parser.add_argument("--robot", choices=get_args(Kind), nargs="+", default=list(get_args(Kind)))
    parser.add_argument("--randomised", action="store_true", help="draw a machine for each start")
    options = parser.parse_args(list(argv))
    if options.count < 1 or options.seed < 0 or not 0.5 <= options.radius_m <= 1000.0:
        raise UsageError(
            f"--count must be at least 1, --seed not negative and --radius-m 0.5 to 1000: got {options.count}, {options.seed} and "
            f"{options.radius_m}"
        )
    details: dict[str, JsonValue] = {"radius, m": options.radius_m, "randomised": options.randomised}
    shares = []
    for kind in options.robot:
        patient = admit(kind, randomised=options.randomised)
        turns = [turn_around(patient, options.radius_m, np.random.default_rng([options.seed, number])) for number in range(options.count)]
        patient.simulation.robot.close()
        details[kind] = summary(turns)
        shares.append(sum(turn.returned for turn in turns) / options.count)
        print(f"{kind}: {details[kind]}", flush=True)
    return Report("arena", min(shares), None, 1.0, "share of starts at the border after which the robot faces in", (options.seed,), details)


def turn_around(patient: Patient, radius_m: float, rng: np.random.Generator) -> Turn:
    """Put the robot to the border of an arena as `rng` draws it, and let its routine bring it in."""
    robot, clock = patient.simulation.robot, patient.simulation.clock
    robot.reset(rng)
    centre_at = rng.uniform(-math.pi, math.pi)
    arena = ArenaConfig(center_m=(radius_m * math.cos(centre_at), radius_m * math.sin(centre_at)), radius_m=radius_m)
    guard = guarded(robot, patient.robot, patient.guard, bus_hz=BUS_HZ, control_hz=BUS_HZ, now_s=clock.now_s)
    bearing_rad, start_s = arena.bearing_rad(guard.read()), robot.now_s
    steps = routine_for(patient.robot, patient.guard, 1.0 / BUS_HZ, arena)(rng)
    try:
        guard.arm()
        report, returned = run_routine(steps, guard, clock), True
    except ResetFailedError as error:
        report, returned = error.report, False
    except RobotError:
        # Something that only a person ends has stopped it.
        return Turn(bearing_rad, False, 0, robot.now_s - start_s, radius_m, arena.bearing_rad(guard.read()))
    farthest_m = max((arena.distance_m(tick.state) for tick in report.ticks), default=arena.distance_m(guard.read()))
    return Turn(bearing_rad, returned, len(report.attempts), report.seconds, farthest_m, arena.bearing_rad(guard.read()))


def summary(turns: Sequence[Turn]) -> dict[str, JsonValue]:
    """Reduce turns to the figures of one robot."""
    moved = [turn for turn in turns if turn.attempts > 0]
    came = [turn for turn in moved if turn.returned]
    low, high = wilson(sum(turn.returned for turn in turns), len(turns))
    return {
        "starts": len(turns),
        "faced in": sum(turn.returned for turn in turns),
        "95% interval (Wilson)": [round(low, 5), round(high, 5)],
        "enough way ahead at the start": len(turns) - len(moved),
        "seconds to turn and come in, p50 / p99 / max": _percentiles([turn.seconds for turn in came], (50, 99, 100)),
        "off the centre's bearing at the end, degrees, p50 / max": _percentiles(
            [math.degrees(abs(turn.off_rad)) for turn in came], (50, 100)
        ),
        "farthest from the centre, m": round(max(turn.farthest_m for turn in turns), 3),
        "attempts": {str(count): number for count, number in sorted(Counter(turn.attempts for turn in turns).items())},
        "failures (bearing at start, attempts)": [[round(turn.bearing_rad, 3), turn.attempts] for turn in turns if not turn.returned],
    }


def _percentiles(values: Sequence[float], shares: Sequence[float]) -> list[JsonValue]:
    return [round(float(value), 2) for value in np.percentile(values, shares)] if values else []
