"""`fetlock identify`: fits the actuators of a simulation to a recorded log."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fetlock.arguments import VerbParser
from fetlock.config import RunConfig, load_config
from fetlock.identification.excerpts import Recording, excerpts_of
from fetlock.identification.identifying import Identification, identify
from fetlock.identification.machine import Model
from fetlock.identification.overlay import overlay_yaml, sentences
from fetlock.identification.parameters import parameters_of
from fetlock.machines import EmulatedConfig, names_of_joints, simulated
from fetlock.replays.logs import another_robot, config_of, read_whole, some_logs_of
from robot.errors import FetlockError, LogError, UsageError
from robot.files import write_atomically
from sim import ClawConfig, KittyConfig, LegsConfig, MinitaurConfig
from training.rollout_log import RolloutLog

# A base on a stand turns no faster than its IMU's noise and the stand's play, rad/s; swings on the ground turn it at 0.12 (measured).
_STANDS_RAD_S = 0.05
# A base on legs that move turns more than this, which an IMU measures of one at rest.
_BOLTED_RAD_S = 0.01


def run(argv: list[str]) -> int:
    """Identify a machine; 1 if what was found does not hold where nothing was fitted. See `fetlock identify --help`."""
    parser = VerbParser(
        "identify",
        "Fit the actuators of a simulation to a log: gain, strength, friction, latency. `fetlock run --excite` records a good one.",
    )
    parser.add_argument("log", type=Path, metavar="LOG_OR_RUN", help="an .mcap file, or a run folder; before any flag")
    parser.add_argument("--episode", type=int, help="episode of a run folder; by default all of them")
    parser.add_argument("--out", type=Path, metavar="FILE.yaml", help="write what was found, for --overlay of any verb")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="fit these parameters alone; the others stay as configured")
    parser.add_argument("--seconds", type=float, default=12.0, help="of robot time to use at most, from all of the log (12)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options, rest = parser.read_before_config(argv)
    if not 2.0 <= options.seconds <= 3600.0:
        raise UsageError(f"--seconds {options.seconds:g}: give 2 to 3600")
    if options.out is not None and options.out.exists():
        raise UsageError(f"{options.out} exists already: give another --out, or move it away")
    paths = _paths(options.log, options.episode)
    logs = [read_whole(path) for path in paths]
    with config_of(paths[0], logs[0]) as default:
        config = load_config(rest, prog=parser.prog, others=parser.flags, default=default)
    machine = _machine(config, paths)
    recordings = [_recording(path, log, config, machine) for path, log in zip(paths, logs, strict=True)]
    _require_one_rate(recordings)
    measured = _measured(machine, recordings)
    # What is measured is simulated as measured.
    model = Model(machine.model_copy(update=measured), parameters_of(machine, None if options.only is None else tuple(options.only)))
    found = identify(model, recordings, names_of_joints(config.robot), options.seconds, paths)
    place = ("robot", "machine") if isinstance(config.robot, EmulatedConfig) else ("robot",)
    if options.out is not None and found.holds:
        _write(options.out, overlay_yaml(found, place, measured, paths))
    sys.stdout.write(_json(found, measured) if options.json else sentences(found, measured, options.out if found.holds else None))
    if not found.holds:
        raise FetlockError("what was fitted is worse than the configuration where nothing was fitted: nothing was written; record more")
    return 0


def _paths(log: Path, episode: int | None) -> list[Path]:
    paths = some_logs_of(log)
    if episode is None:
        return paths
    chosen = [path for path in paths if f"-e{episode:06d}." in path.name]
    if not chosen:
        raise UsageError(f"{log} has no episode {episode}: its logs are {paths[0].name} to {paths[-1].name}")
    return chosen


def _machine(config: RunConfig, paths: list[Path]) -> LegsConfig:
    """Return the simulation that is to be fitted."""
    machine = simulated(config.robot)
    if isinstance(machine, ClawConfig):
        raise UsageError(
            "a claw's simulation is not fitted: what its fingers meet of the valve is no property of its motors; fit its servos on "
            "a robot on legs, such as configs/kitty_walk.yaml"
        )
    if machine is None:
        raise UsageError(
            f"robot.kind {config.robot.kind} has no simulation to fit: give the --config of one, such as configs/kitty_walk.yaml"
        )
    if machine.randomise.enabled and len(paths) > 1:
        raise UsageError("robot.randomise.enabled: each of the episodes is of another machine: choose one by --episode")
    return machine


def _recording(path: Path, log: RolloutLog, config: RunConfig, machine: LegsConfig) -> Recording:
    """Cut one log, if it is of this robot and says what its simulation needs."""
    if log.joint_names != names_of_joints(config.robot):
        raise another_robot(path, log, config)
    recording = excerpts_of(path, log)
    if isinstance(machine, KittyConfig):
        _require_its_place(path, log, stand=machine.stand)
    if not (isinstance(machine, KittyConfig) and machine.stand) and any(excerpt.base is None for excerpt in recording.excerpts):
        way = "record it on a stand, and set robot.stand (robot.machine.stand) to true" if isinstance(machine, KittyConfig) else "track it"
        raise LogError(f"{path} does not say where the base was, which moves in this simulation: {way}")
    return recording


def _require_its_place(path: Path, log: RolloutLog, *, stand: bool) -> None:
    """Refuse the log of a robot that moves about where the simulation is on a stand, and the other way round, as far as its IMU tells."""
    turned = log.bus["angular_velocity_base_rad_s"]
    seen = turned[np.isfinite(turned).all(axis=1)]
    if not len(seen):
        return
    rate_rad_s = float(np.sqrt(np.mean(np.square(seen).sum(axis=1))))
    if stand and rate_rad_s > _STANDS_RAD_S:
        raise UsageError(
            f"{path}: the base turned at {rate_rad_s:.2f} rad/s RMS, and the configuration bolts it to a stand: set stand to false"
        )
    if not stand and rate_rad_s < _BOLTED_RAD_S:
        raise UsageError(
            f"{path}: joints moved and the base did not turn, as on a stand, and the configuration has it free: "
            "set robot.stand (robot.machine.stand) to true"
        )


def _require_one_rate(recordings: list[Recording]) -> None:
    """Refuse logs of different bus rates: their excerpts have different numbers of ticks."""
    ticks = {len(excerpt.measured_s) for recording in recordings for excerpt in recording.excerpts}
    if len(ticks) > 1:
        raise UsageError("the logs have different bus rates: identify from those of one rate, one by one with --episode")


def _measured(machine: LegsConfig, recordings: list[Recording]) -> dict[str, float]:
    """Return what the logs say of the machine without a fit: how old measurements are, and the battery of the stock motors."""
    measured = {"sensing_latency_s": round(float(np.median([one.sensing_latency_s for one in recordings])), 6)}
    voltages = [one.voltage_v for one in recordings if one.voltage_v is not None]
    if isinstance(machine, MinitaurConfig) and voltages:
        measured["battery_v"] = round(float(np.median(voltages)), 3)
    return measured


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise FetlockError(f"{path}: cannot be written ({error.strerror}): give another --out") from error


def _json(found: Identification, measured: dict[str, float]) -> str:
    values = asdict(found) | {"measured": measured, "holds": found.holds}
    for one in values["estimates"]:
        one["half_width"] = None if math.isinf(one["half_width"]) else one["half_width"]
    return json.dumps(values) + "\n"
