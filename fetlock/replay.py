"""`fetlock replay`: plays a recorded episode back, or decides its commands again."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.config import load_config
from fetlock.replays import chain, simulation
from fetlock.replays.logs import config_of, find_log, logs_of
from robot.errors import UsageError
from training.rollout_log import read_log


def run(argv: list[str]) -> int:
    """Replay and print the difference; 1 where the guard decided otherwise. See `fetlock replay --help`."""
    parser = VerbParser("replay", "Play a recorded episode back, in the configuration of its run unless flags change it.")
    parser.add_argument("log", type=Path, metavar="LOG_OR_RUN", help="an .mcap file, or a run folder; before any flag")
    parser.add_argument(
        "--compare",
        choices=("sim", "guard"),
        default="sim",
        help="sim: play its commands in simulation, and compare where the joints were; "
        "guard: run the safety chain again over all episodes, and compare what was sent, bit for bit (sim)",
    )
    parser.add_argument("--episode", type=int, help="episode of a run folder; by default its last complete one, for the guard all")
    parser.add_argument("--collector", type=int, default=0, help="collector of the episode (0)")
    parser.add_argument("--video", type=Path, metavar="FILE.mp4", help="film it, in simulation")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options, rest = parser.read_before_config(argv)
    if options.compare == "guard":
        if options.video is not None:
            raise UsageError("--video films a simulation: leave it out, or give --compare sim")
        paths = logs_of(options.log) if options.episode is None else [find_log(options.log, options.collector, options.episode)]
        if not paths:
            raise UsageError(f"{options.log} has no log yet: train or run with it first")
    else:
        paths = [find_log(options.log, options.collector, options.episode)]
    with config_of(paths[-1], read_log(paths[-1])) as default:
        config = load_config(rest, prog=parser.prog, others=parser.flags, default=default)
    if options.compare == "guard":
        decided = chain.compare_chain(paths, config)
        sys.stdout.write(json.dumps(asdict(decided)) + "\n" if options.json else chain.sentence(decided))
        return 0 if decided.exact else 1
    played = simulation.replay(paths[0], config, video=options.video)
    sys.stdout.write(json.dumps(asdict(played)) + "\n" if options.json else simulation.sentence(played))
    return 0
