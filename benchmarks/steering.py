"""How well walking policies follow a heading that turns: none of them was trained to.

    ./run bench steering --policies runs/NAME... [--rates 0 10 20 30 45]

Each walks straight on for 2 s, then the heading turns to the left at a rate for 8 s (`fetlock run --steer`), in simulated time, the same
start for all. Reported is how fast it turned, how fast it walked, and whether it fell.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.build import make_env
from fetlock.config import load_config
from fetlock.driving import pilot_of
from fetlock.evaluate import default_config_of
from fetlock.run_policy import STEER_DEG_S
from robot.errors import UsageError
from robot.types import RobotState

_STRAIGHT_S, _TURNING_S = 2.0, 8.0


@dataclass(frozen=True)
class Steered:
    """What a policy made of a turning heading: turned, deg/s; speed, m/s; whether it fell."""

    turned_deg_s: float
    speed_m_s: float
    fell: bool


def steer(policy: Path, rate_deg_s: float) -> Steered:
    """Let a policy follow a heading that turns.

    Raises:
        PolicyError: If it cannot be read.
    """
    steps = round((_STRAIGHT_S + _TURNING_S) * 1000.0)
    config = load_config(["--task.time-limit-steps", str(steps)], default=default_config_of(policy))
    pilot, _ = pilot_of(policy, config)
    pilot.actor.load(pilot.vector)
    env = make_env(config)
    try:
        observation = env.begin(np.random.default_rng(1))
        straight, turning = round(_STRAIGHT_S * config.control_hz), round(_TURNING_S * config.control_hz)
        turned_rad, speeds = 0.0, []
        yaw_rad = _yaw_rad(env.motion.robot.read())
        for step in range(straight + turning):
            if step >= straight:
                env.turn(math.radians(rate_deg_s) / config.control_hz)
            result = env.advance(pilot.actor.act(observation, None, env.image))
            observation, before_rad, yaw_rad = result.observation, yaw_rad, _yaw_rad(env.motion.robot.read())
            if step >= straight:
                turned_rad += (yaw_rad - before_rad + math.pi) % (2.0 * math.pi) - math.pi
                speeds.append(result.measure)
            if result.terminated:
                break
        driven_s = max(1, len(speeds)) / config.control_hz
        return Steered(math.degrees(turned_rad) / driven_s, float(np.mean(speeds or [0.0])), result.terminated)
    finally:
        env.close()


def _yaw_rad(state: RobotState) -> float:
    if state.imu is None:
        raise UsageError("a robot without an IMU has no heading that could be measured")
    rotation = state.imu.rotation_base_to_world
    return math.atan2(rotation[1, 0], rotation[0, 0])


def main(argv: Sequence[str]) -> Report:
    """Steer every policy at every rate."""
    parser = argparse.ArgumentParser(prog="bench steering")
    parser.add_argument("--policies", type=Path, nargs="+", required=True, help="run folders, or folders of policies")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0, 10.0, 20.0, STEER_DEG_S, 45.0], help="deg/s to the left")
    options = parser.parse_args(list(argv))
    details: dict[str, JsonValue] = {}
    shares = []
    for policy in options.policies:
        for rate in options.rates:
            found = steer(policy, rate)
            sys.stderr.write(
                f"{policy}, {rate:g} deg/s: turned {found.turned_deg_s:.1f}, {found.speed_m_s:.2f} m/s{', fell' * found.fell}\n"
            )
            details[f"{policy.name}, {rate:g} deg/s"] = {
                "turned, deg/s": round(found.turned_deg_s, 1),
                "speed, m/s": round(found.speed_m_s, 3),
                "fell": found.fell,
            }
            if rate == STEER_DEG_S:
                shares.append(found.turned_deg_s)
    unit = f"deg/s turned where {STEER_DEG_S:g} was asked for (median over policies)"
    return Report("steering", float(np.median(shares or [math.nan])), STEER_DEG_S, None, unit, [1], details)
