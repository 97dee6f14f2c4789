"""`./run bench righting`: robots fall anyhow and get up by themselves, behind their guard; how many do, and how long it takes.

A fall draws the orientation (uniform over all rotations), the joint angles (over the whole mechanical range) and, with `--randomised`,
the machine. The routine sees what a robot of metal reports: IMU and joints. A robot that does not stand after its attempts is a failure,
as is one with a motor that overheated.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from robot.description import RobotDescription
from robot.errors import UsageError
from robot.types import RobotState
from safety import GuardConfig, GuardedRobot
from safety.resets import Righting, perform, right_kitty, right_minitaur, right_servo_minitaur
from sim import (
    DynamixelMinitaurConfig,
    KittyConfig,
    MinitaurConfig,
    RandomisationConfig,
    ServoConfig,
    ServoRandomisationConfig,
    SimulatedMinitaur,
    SimulatedServoRobot,
    Simulation,
    describe,
    simulate_minitaur,
    simulate_servos,
)

_BUS_HZ = 100.0
# Of the normal distribution, for an interval of 95%.
_Z = 1.959963984540054
# Kitty: the no-load speed of the XM430-W210 at 12 V (ROBOTIS e-manual).
_KITTY_RAD_S = 8.06
# Same of the XM430-W350.
_SERVO_MINITAUR_RAD_S = 4.82
# The Minitaur's guard in `configs/minitaur_walk.yaml`; motors that may turn over the back, within bullet3's range of the swing.
_MINITAUR_RAD_S, _MINITAUR_MIN_RAD, _MINITAUR_MAX_RAD = 100.0, -3.2, 6.3

Kind = Literal["kitty", "minitaur", "minitaur_dynamixel"]


@dataclass(frozen=True)
class Patient:
    """A robot that falls and gets up.

    Attributes:
        simulation: Of it.
        guard: Wide enough for its routine.
        right: Its routine.
    """

    simulation: Simulation[SimulatedMinitaur] | Simulation[SimulatedServoRobot]
    guard: GuardConfig
    right: Callable[[RobotState, float], Righting]


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
    if kind == "minitaur":
        stock = MinitaurConfig(self_collision=self_collision, randomise=RandomisationConfig(enabled=randomised))
        guard = GuardConfig(
            position_min_rad=_MINITAUR_MIN_RAD, position_max_rad=_MINITAUR_MAX_RAD, velocity_max_rad_s=_MINITAUR_RAD_S, low_pass_hz=None
        )
        return Patient(simulate_minitaur(stock, _BUS_HZ), guard, right_minitaur)
    config: ServoConfig
    randomise = ServoRandomisationConfig(enabled=randomised)
    if kind == "kitty":
        config = KittyConfig(self_collision=self_collision, randomise=randomise)
        return Patient(simulate_servos(config, _BUS_HZ), _whole_range(describe(config), _KITTY_RAD_S), right_kitty)
    config = DynamixelMinitaurConfig(self_collision=self_collision, randomise=randomise)
    return Patient(simulate_servos(config, _BUS_HZ), _whole_range(describe(config), _SERVO_MINITAUR_RAD_S), right_servo_minitaur)


def _whole_range(description: RobotDescription, velocity_rad_s: float) -> GuardConfig:
    return GuardConfig(
        position_min_rad=tuple(joint.lower_rad for joint in description.joints),
        position_max_rad=tuple(joint.upper_rad for joint in description.joints),
        velocity_max_rad_s=velocity_rad_s,
    )


def fall_and_rise(patient: Patient, rng: np.random.Generator) -> Outcome:
    """Let the robot fall as `rng` draws it, and get up."""
    robot, clock = patient.simulation.robot, patient.simulation.clock
    robot.drop(rng)
    guarded = GuardedRobot(robot, patient.guard, clock.period_s)
    state = guarded.read()
    start_s = robot.now_s
    righted = perform(patient.right(state, clock.period_s), guarded, clock)
    overheated = isinstance(robot, SimulatedMinitaur) and not all(robot.motors_enabled)
    start, end = _vertical(state), _vertical(righted.state)
    return Outcome(start, righted.stands and not overheated, robot.now_s - start_s, len(righted.attempts), overheated, end[2])


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
