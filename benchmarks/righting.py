"""`./run bench righting`: robots fall anyhow and get up by themselves, behind their guard; how many do, and how long it takes.

A fall draws the orientation (uniform over all rotations), the joint angles (over the whole mechanical range) and, with `--randomised`,
the machine. The routine sees what a robot of metal reports: IMU and joints. A robot that does not stand after its attempts is a failure,
as is one with a motor that overheated.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.guarding import guarded, read_limits
from fetlock.resets import routine_for
from robot.errors import RobotError, UsageError
from robot.types import RobotState
from safety import GuardConfig
from safety.resets import ResetFailedError, ResetStep, run_routine
from sim import (
    DynamixelMinitaurConfig,
    KittyConfig,
    MinitaurConfig,
    RandomisationConfig,
    ServoRandomisationConfig,
    SimulatedConfig,
    SimulatedMinitaur,
    SimulatedServoRobot,
    Simulation,
    simulate_minitaur,
    simulate_servos,
)

BUS_HZ = 100.0
# Of the normal distribution, for an interval of 95%.
_Z = 1.959963984540054
Kind = Literal["kitty", "minitaur", "minitaur_dynamixel"]


@dataclass(frozen=True)
class Patient:
    """A robot that falls and gets up.

    Attributes:
        simulation: Of it.
        robot: Its configuration.
        guard: Limits.
        steps: Its routine.
    """

    simulation: Simulation[SimulatedMinitaur] | Simulation[SimulatedServoRobot]
    robot: SimulatedConfig
    guard: GuardConfig
    steps: Sequence[ResetStep]


@dataclass(frozen=True)
class Outcome:
    """Of one fall.

    Attributes:
        start_up: World's vertical in the base's frame as it lay. Shape (3,).
        stands: It stood at the end, with all motors on.
        seconds: Simulated, until then.
        attempts: How many were made.
        overheated: A motor had shut off.
        cosine: Of the tilt at the end, by the exact orientation.
    """

    start_up: tuple[float, ...]
    stands: bool
    seconds: float
    attempts: int
    overheated: bool
    cosine: float


def main(argv: Sequence[str]) -> Report:
    """Let each robot fall `--count` times; the headline is the smallest share that stood up."""
    parser = argparse.ArgumentParser(prog="bench righting", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="falls of each robot (1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--robot", choices=get_args(Kind), nargs="+", default=list(get_args(Kind)))
    parser.add_argument("--randomised", action="store_true", help="draw a machine for each fall")
    parser.add_argument("--self-collision", action="store_true", help="let the robot's own links touch each other")
    options = parser.parse_args(list(argv))
    if options.count < 1 or options.seed < 0:
        raise UsageError(f"--count must be at least 1 and --seed not negative: got {options.count} and {options.seed}")
    details: dict[str, JsonValue] = {"randomised": options.randomised, "self collision": options.self_collision}
    shares = []
    for kind in options.robot:
        patient = admit(kind, randomised=options.randomised, self_collision=options.self_collision)
        outcomes = [fall_and_rise(patient, np.random.default_rng([options.seed, number])) for number in range(options.count)]
        patient.simulation.robot.close()
        details[kind] = summary(outcomes)
        shares.append(sum(outcome.stands for outcome in outcomes) / options.count)
        print(f"{kind}: {details[kind]}", flush=True)
    return Report("righting", min(shares), None, 1.0, "share of falls after which the robot stands", (options.seed,), details)


def admit(kind: Kind, *, randomised: bool = False, self_collision: bool = False) -> Patient:
    """Build a robot with its guard and its routine."""
    guard = GuardConfig.model_validate(read_limits(kind))
    simulation: Simulation[SimulatedMinitaur] | Simulation[SimulatedServoRobot]
    robot: SimulatedConfig
    if kind == "minitaur":
        robot = MinitaurConfig(self_collision=self_collision, randomise=RandomisationConfig(enabled=randomised))
        simulation = simulate_minitaur(robot, BUS_HZ)
    else:
        make = KittyConfig if kind == "kitty" else DynamixelMinitaurConfig
        robot = make(self_collision=self_collision, randomise=ServoRandomisationConfig(enabled=randomised))
        simulation = simulate_servos(robot, BUS_HZ)
    return Patient(simulation, robot, guard, routine_for(robot, guard, 1.0 / BUS_HZ)(np.random.default_rng(0)))


def fall_and_rise(patient: Patient, rng: np.random.Generator) -> Outcome:
    """Let the robot fall as `rng` draws it, and get up."""
    robot, clock = patient.simulation.robot, patient.simulation.clock
    robot.drop(rng)
    guard = guarded(robot, patient.robot, patient.guard, bus_hz=BUS_HZ, control_hz=BUS_HZ, now_s=clock.now_s)
    state, start_s = guard.read(), robot.now_s
    try:
        guard.arm()
        attempts, stands = len(run_routine(patient.steps, guard, clock).attempts), True
    except ResetFailedError as error:
        attempts, stands = len(error.report.attempts), False
    except RobotError:
        # A joint was pushed out of the range in which its motor may be armed: a person would have to move it.
        attempts, stands = 0, False
    overheated = isinstance(robot, SimulatedMinitaur) and not all(robot.motors_enabled)
    start, end = _vertical(state), _vertical(guard.read())
    return Outcome(start, stands and not overheated, robot.now_s - start_s, attempts, overheated, end[2])


def _vertical(state: RobotState) -> tuple[float, ...]:
    if state.imu is None:
        raise TypeError("simulated robots have an IMU")
    return tuple(round(float(part), 3) for part in state.imu.rotation_base_to_world[2])


def summary(outcomes: Sequence[Outcome]) -> dict[str, JsonValue]:
    """Reduce outcomes to the figures of one robot."""
    stood = [outcome for outcome in outcomes if outcome.stands]
    seconds = [outcome.seconds for outcome in stood]
    low, high = wilson(len(stood), len(outcomes))
    times: list[JsonValue] = [round(float(value), 2) for value in np.percentile(seconds, (50, 99, 100))] if seconds else []
    attempts = sorted(Counter(outcome.attempts for outcome in outcomes).items())
    return {
        "falls": len(outcomes),
        "stood up": len(stood),
        "share": len(stood) / len(outcomes),
        "95% interval (Wilson)": [round(low, 5), round(high, 5)],
        "seconds to stand, p50 / p99 / max": times,
        "attempts": {str(count): times_ for count, times_ in attempts},
        "fell upright (cosine at least 0.9)": sum(outcome.start_up[2] >= 0.9 for outcome in outcomes),
        "fell on the back (at most -0.9)": sum(outcome.start_up[2] <= -0.9 for outcome in outcomes),
        "overheated": sum(outcome.overheated for outcome in outcomes),
        "failures (vertical in the base at start, number, cosine at end)": [
            [*outcome.start_up, number, outcome.cosine] for number, outcome in enumerate(outcomes) if not outcome.stands
        ],
    }


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's interval of a share, for 95% (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    share, z2 = successes / trials, _Z * _Z
    middle = (share + z2 / (2.0 * trials)) / (1.0 + z2 / trials)
    half = _Z / (1.0 + z2 / trials) * math.sqrt(share * (1.0 - share) / trials + z2 / (4.0 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)
