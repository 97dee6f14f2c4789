"""`fetlock teleop`: a person drives, by a scripted gait: a robot of its own, or one that is learning."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from fetlock.arguments import VerbParser
from fetlock.build import policy_layout
from fetlock.config import RunConfig, config_yaml, load_config
from fetlock.drive_verb import add_drive_options, drive, require_duration, require_view
from fetlock.driving import Pilot
from fetlock.keyboard import space_stops
from fetlock.run_processes import run_targets
from fetlock.sticks import Sticks, add_gamepad_option, sticks_of
from policy.acting import NumpyActor
from policy.gaits import Twist, Walker
from robot.clock import monotonic_s, sleep_s
from robot.errors import UsageError
from training.runs import RunFolder, run_path
from training.takeover import TwistSender

# Messages to a robot that learns, s: it stops listening after 0.3 s of silence.
_SEND_S = 0.02


def run(argv: list[str]) -> int:
    """Drive; see `fetlock teleop --help`."""
    parser = VerbParser(
        "teleop",
        "Drive a robot by a trot on diagonal legs, behind its guard, and log it as a run, for `fetlock train --prior.runs '[RUN]'`. "
        "With --run, take over from the policy of a training in real time: what you do is executed, logged and learned from.",
    )
    parser.add_argument("--run", type=Path, metavar="RUN", help="folder of a training that goes on: take its robot over")
    parser.add_argument("--by", choices=("keyboard", "gamepad", "words"), default="keyboard", help="what you drive with (keyboard)")
    add_gamepad_option(parser)
    parser.add_argument("--forward", type=float, default=1.0, help="by words: share of the gait's speed, -1 to 1 (1)")
    parser.add_argument("--turn", type=float, default=0.0, help="by words: share of its turning to the left, -1 to 1 (0)")
    add_drive_options(parser, "teleop")
    options, rest = parser.read_before_config(argv)
    for name in ("forward", "turn"):
        if not -1.0 <= getattr(options, name) <= 1.0:
            raise UsageError(f"--{name} {getattr(options, name)}: give a share from -1 to 1")
    require_duration(options)
    with sticks_of(options.by, options.gamepad, Twist(options.forward, options.turn)) as sticks:
        if options.run is not None:
            if rest:
                raise UsageError(f"{rest[0]}: a training has its configuration; leave it out with --run")
            return _take_over(options.run, sticks, options.duration)
        return _drive(options, load_config(rest, prog=parser.prog, others=parser.flags), sticks)


def _drive(options: argparse.Namespace, config: RunConfig, sticks: Sticks) -> int:
    realtime = options.by != "words"
    require_view(options, config, realtime=realtime)
    layout = policy_layout(config)
    walker = Walker(layout.action_names, 1.0 / config.control_hz)
    # Who holds nothing stands.
    pilot = Pilot(
        NumpyActor(layout),
        layout,
        np.zeros(layout.vector_size, np.float32),
        version=1,
        person=lambda: walker.act(sticks.look() or Twist()),
        keys=sticks.heed,
    )
    with RunFolder.create(run_path(options.runs_dir, options.name, "teleop"), config_yaml(config)) as folder:
        drive(options, folder, pilot, config, f"a trot by {options.by}", realtime=realtime)
    return 0


def _take_over(folder: Path, sticks: Sticks, duration_s: float) -> int:
    supervisor = run_targets(folder)["supervisor"]
    config = load_config(["--config", str(folder / "config.yaml")])
    if not config.realtime:
        raise UsageError(f"{folder} trains faster than real time, where nobody can drive: train with --train.realtime true, or on metal")
    Walker(policy_layout(config).action_names, 1.0 / config.control_hz)
    sender = TwistSender(supervisor.pid)
    driven = 0
    try:
        with space_stops(sticks.heed):
            end_s = monotonic_s() + duration_s
            while monotonic_s() < end_s and supervisor.alive:
                if (twist := sticks.look()) is not None:
                    sender.send(twist)
                    driven += 1
                sleep_s(_SEND_S)
    finally:
        sender.close()
    sys.stdout.write(f"{folder}: driven for about {driven * _SEND_S:.1f} s; the policy drives again\n")
    return 0
