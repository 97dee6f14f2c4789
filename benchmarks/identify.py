"""`./run bench identify`: parameters hidden in an emulated kitty, and what system identification finds of them in one log of it.

Each seed draws a machine (uniform in the ranges below), swings its joints through guard, driver and emulated bus as `fetlock run --excite`
does, in simulated time, and fits the simulation of `configs/kitty_emulated.yaml`, which knows nothing of it, as `fetlock identify` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.config import DEFAULT_CONFIG, config_yaml, load_config
from fetlock.excitation import excite
from fetlock.identification.excerpts import excerpts_of
from fetlock.identification.identifying import Identification, identify
from fetlock.identification.machine import Model
from fetlock.identification.parameters import parameters_of
from fetlock.machines import names_of_joints, simulated
from fetlock.replays.logs import logs_of, read_whole
from robot.clock import monotonic_s
from robot.errors import UsageError
from sim import KittyConfig
from training.runs import RunFolder

# Where hidden values are drawn from: a latency of up to four bus ticks, friction from a third of what is assumed to three times it, and
# what randomisation calls a plausible machine.
HIDDEN = {
    "control_latency_s": (0.0, 0.04),
    "gain_scale": (0.7, 1.3),
    "motor_strength": (0.8, 1.2),
    "joint_friction_nm": (0.01, 0.1),
    "armature_kg_m2": (0.0005, 0.002),
}
# What must be found.
LATENCY_WITHIN_S, FRICTION_WITHIN = 2e-3, 0.2


def main(argv: Sequence[str]) -> Report:
    """Hide and identify; the headline is the share of machines whose latency and friction are found."""
    parser = argparse.ArgumentParser(prog="bench identify", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each recording (4)")
    parser.add_argument("--places", nargs="+", choices=("stand", "ground"), default=["stand", "ground"], help="feet in the air or not")
    parser.add_argument("--jobs", type=int, default=2, help="machines that are identified beside each other (2)")
    options = parser.parse_args(list(argv))
    if min(options.seeds) < 0 or not 2.5 <= options.seconds <= 600.0 or options.jobs < 1:
        raise UsageError(
            f"--seeds must not be negative, --seconds 2.5 to 600 and --jobs at least 1: got {options.seeds}, {options.seconds:g} and "
            f"{options.jobs}"
        )
    cases = [(place, seed) for place in options.places for seed in options.seeds]
    found: dict[str, list[Found]] = {place: [] for place in options.places}
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        results = pool.map(hide_and_find, *zip(*cases, strict=True), [options.seconds] * len(cases))
        for (place, seed), result in zip(cases, results, strict=True):
            print(f"{place}, seed {seed}: {result.row}", flush=True)
            found[place].append(result)
    details: dict[str, JsonValue] = {"recorded, s": options.seconds} | {place: summary(rows) for place, rows in found.items()}
    met = [one.met for rows in found.values() for one in rows]
    unit = f"share of machines with latency within {1e3 * LATENCY_WITHIN_S:g} ms and friction within {FRICTION_WITHIN:.0%}"
    return Report("identify", sum(met) / len(met), None, 1.0, unit, options.seeds, details)


@dataclass(frozen=True)
class Found:
    """What was found of a hidden machine.

    Attributes:
        latency_off_s: Found less hidden.
        friction_off: The same of the friction, as a share of the hidden one.
        inside: Number of parameters whose hidden value is in their 95% interval.
        row: Of the table.
    """

    latency_off_s: float
    friction_off: float
    inside: int
    row: dict[str, JsonValue]

    @property
    def met(self) -> bool:
        """Latency and friction are as near as they must be."""
        return abs(self.latency_off_s) <= LATENCY_WITHIN_S and abs(self.friction_off) <= FRICTION_WITHIN


def summary(found: Sequence[Found]) -> dict[str, JsonValue]:
    """Reduce the machines of one place to its figures."""
    return {
        "latency and friction as near as they must be": sum(one.met for one in found),
        "machines": len(found),
        "latency off at most, ms": round(1e3 * max(abs(one.latency_off_s) for one in found), 3),
        "friction off at most, share": round(max(abs(one.friction_off) for one in found), 4),
        "hidden values inside of their 95% intervals": sum(one.inside for one in found),
        "hidden values": len(HIDDEN) * len(found),
        "rows": [one.row for one in found],
    }


def hide_and_find(place: str, seed: int, seconds: float) -> Found:
    """Hide a machine, record it and look for it.

    Args:
        place: stand or ground.
        seed: Draws the machine and its swings.
        seconds: Of the recording.
    """
    rng = np.random.default_rng([seed, 0])
    hidden = {key: float(rng.uniform(*bounds)) for key, bounds in HIDDEN.items()}
    common = ["--config", str(DEFAULT_CONFIG.with_name("kitty_emulated.yaml")), "--robot.machine.stand", str(place == "stand").lower()]
    secret = [word for key, value in hidden.items() for word in (f"--robot.machine.{key.replace('_', '-')}", repr(value))]
    config = load_config([*common, *secret, "--seed", str(seed)])
    with TemporaryDirectory(prefix="fetlock-identify-") as folder:
        with RunFolder.create(Path(folder) / "run", config_yaml(config)) as opened:
            recorded = excite(opened, config, seconds, realtime=False)
        paths = logs_of(Path(folder) / "run")
        recordings = [excerpts_of(path, read_whole(path)) for path in paths]
    believed = load_config(common)
    machine = simulated(believed.robot)
    if not isinstance(machine, KittyConfig):
        raise UsageError("kitty_emulated.yaml is of no kitty")
    hidden["control_latency_s"] = _of_physics(hidden["control_latency_s"], machine.physics_hz)
    began_s = monotonic_s()
    found = identify(Model(machine, parameters_of(machine)), recordings, names_of_joints(believed.robot), seconds, paths)
    about: dict[str, JsonValue] = {"seed": seed, "stopped": recorded.why, "seconds to fit": round(monotonic_s() - began_s, 1)}
    values = {one.key: one.value for one in found.estimates}
    return Found(
        values["control_latency_s"] - hidden["control_latency_s"],
        values["joint_friction_nm"] / hidden["joint_friction_nm"] - 1.0,
        sum(one.identified and abs(one.value - hidden[one.key]) <= one.half_width for one in found.estimates),
        _row(hidden, found) | about,
    )


def _of_physics(latency_s: float, physics_hz: float) -> float:
    """Return the latency that a machine has which was told to have one: whole steps of its physics."""
    return round(latency_s * physics_hz) / physics_hz


def _row(hidden: dict[str, float], found: Identification) -> dict[str, JsonValue]:
    row: dict[str, JsonValue] = {
        one.key: {
            "hidden": round(hidden[one.key], 6),
            "found": one.value,
            "half of the 95% interval": round(one.half_width, 7) if one.identified else None,
        }
        for one in found.estimates
    }
    return row | {
        "held out, mrad RMS, before": round(1e3 * found.held_out_before_rad, 3),
        "held out, mrad RMS, after": round(1e3 * found.held_out_after_rad, 3),
    }
