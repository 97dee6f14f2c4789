"""`fetlock run`: a learned policy, or swings of all joints, on a robot; no learner."""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.config import RunConfig, config_yaml, load_config
from fetlock.console.process import add_console_option, console_beside, require_port
from fetlock.drive_verb import add_drive_options, drive, require_duration, require_view
from fetlock.driving import Pilot, pilot_of
from fetlock.evaluate import default_config_of
from fetlock.excitation import excite
from fetlock.machines import EmulatedConfig, HardwareConfig
from fetlock.sticks import Sticks, add_gamepad_option, sticks_of
from policy.snapshot import save_policy
from robot.errors import UsageError
from training.runs import RunFolder, run_path

# At full turn: walkers of ours, which were trained to go straight, follow it (docs/teleop.md).
STEER_DEG_S = 30.0


def run(argv: list[str]) -> int:
    """Run a policy; see `fetlock run --help`."""
    parser = VerbParser("run", "Run a policy's mean action on the robot of a configuration, episode after episode; nothing is learned.")
    parser.add_argument("--policy", type=Path, help="run folder, or the folder of a policy")
    parser.add_argument(
        "--excite",
        action="store_true",
        help="no policy: swing all joints about home, within the guard's limits, for `fetlock identify`; best on a stand, feet in the air",
    )
    parser.add_argument("--steer", choices=("keyboard", "gamepad"), help="turn the heading that the policy walks along; in real time")
    add_gamepad_option(parser)
    add_drive_options(parser, "run")
    add_console_option(parser)
    options, rest = parser.read_before_config(argv)
    if (options.policy is None) is not options.excite:
        raise UsageError("which policy? give --policy RUN_FOLDER; `fetlock train` makes one; or --excite and no policy")
    require_duration(options)
    if options.excite:
        if options.console is not None or options.steer is not None:
            raise UsageError("--console and --steer are for the run of a policy: leave them out with --excite")
        # There are no policy ticks that a frame could belong to.
        return _excite(options, load_config(rest, prog=parser.prog, others=parser.flags).model_copy(update={"camera": None}))
    config = load_config(rest, prog=parser.prog, others=parser.flags, default=default_config_of(options.policy))
    # A policy that cannot be read, or is of another robot or task, starts none and leaves no folder.
    pilot, policy = pilot_of(options.policy, config)
    require_view(options, config, realtime=options.steer is not None)
    path = run_path(options.runs_dir, options.name, "run")
    require_port(options.console)
    with (
        sticks_of(options.steer, options.gamepad) as sticks,
        RunFolder.create(path, config_yaml(config)) as folder,
        console_beside(folder.path, options.console),
    ):
        save_policy(folder.path / "policy", policy)
        pilot = pilot if options.steer is None else _steered(pilot, sticks)
        drive(options, folder, pilot, config, str(options.policy), realtime=options.steer is not None)
    return 0


def _steered(pilot: Pilot, sticks: Sticks) -> Pilot:
    def turn_rad_s() -> float:
        twist = sticks.look()
        return 0.0 if twist is None else math.radians(STEER_DEG_S) * twist.turn

    return replace(pilot, turn=turn_rad_s, keys=sticks.heed)


def _excite(options: argparse.Namespace, config: RunConfig) -> int:
    """Swing all joints; 1 if something stopped the robot."""
    if options.realtime and not isinstance(config.robot, EmulatedConfig | HardwareConfig):
        raise UsageError("--excite swings a plain simulation in simulated time: leave --realtime out")
    with RunFolder.create(run_path(options.runs_dir, options.name, "excite"), config_yaml(config)) as folder:
        report = excite(folder, config, options.duration, realtime=options.realtime)
    said = f"{report.bus_ticks} bus ticks, {report.seconds:.1f} s{'' if report.finished else f'; {report.why}'}\nlog: {report.run}\n"
    sys.stdout.write(json.dumps(asdict(report)) + "\n" if options.json else said)
    return 0 if report.finished else 1
