"""`fetlock log cut`: some steps of a log as a log of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from fetlock.arguments import VerbParser
from robot.errors import LogError, UsageError
from training.rollout_log import NO_FRAMES, copy_log, read_log


def run(argv: list[str]) -> int:
    """Copy some steps into a new log; see `fetlock log cut --help`."""
    parser = VerbParser("log cut", "Copy some steps of a log, with their bus ticks, into a new one; the old one stays as it is.")
    parser.add_argument("log", type=Path, help="an .mcap file")
    parser.add_argument("--out", type=Path, metavar="FILE.mcap", help="the new log; must not exist")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="STEP", help="first step of the episode (0)")
    parser.add_argument("--to", dest="last", type=int, metavar="STEP", help="last step of the episode (its last)")
    options = parser.read(argv)
    if options.out is None:
        raise UsageError("where to? give --out FILE.mcap")
    if options.out.suffix != ".mcap":
        raise UsageError(f"--out {options.out}: give a name that ends in .mcap")
    if options.out.exists():
        raise UsageError(f"{options.out} exists already: give another --out")
    log = read_log(options.log, frames=True)
    if not len(log.steps):
        raise LogError(f"{options.log} holds no step: choose another log")
    numbers = log.steps["step"].astype(np.int64)
    last = int(numbers[-1]) if options.last is None else options.last
    if not numbers[0] <= options.first <= last <= numbers[-1]:
        raise UsageError(f"steps {options.first} to {last} are not all in {options.log}: it holds {numbers[0]} to {numbers[-1]}")
    steps = log.steps[(numbers >= options.first) & (numbers <= last)]
    # What a routine did belongs to the episode that it prepared.
    begin = 0 if options.first == numbers[0] else int(steps["bus_first"][0])
    sequence = log.bus["sequence"]
    bus = log.bus[(sequence >= begin) & (sequence <= steps["bus_last"][-1])]
    frames = (log.frames or NO_FRAMES).belonging(steps)
    copy_log(options.out, bus, steps, frames, log.metadata, complete=log.complete and last == numbers[-1])
    seen = f", {len(frames)} frames" if len(frames) else ""
    sys.stdout.write(f"{options.out}: {len(steps)} steps, {len(bus)} bus ticks{seen}\n")
    return 0
