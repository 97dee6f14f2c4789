"""`fetlock log verify`: is every byte as it was written, and is nothing missing?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fetlock import document
from fetlock.arguments import VerbParser
from fetlock.replays.logs import flaw, some_logs_of
from robot.errors import LogError
from safety.types import Reason
from training.records import DRIVEN
from training.rollout_log import NO_FRAMES, RolloutLog, read_log, read_run


def run(argv: list[str]) -> int:
    """Check logs; 1 if anything is wrong. See `fetlock log verify --help`."""
    parser = VerbParser("log verify", "Read every byte of some logs: checksums, numbers without a gap, bus ticks and frame of each step.")
    parser.add_argument("run", type=Path, metavar="RUN_OR_LOG", help="a run folder, or an .mcap file")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.read(argv)
    paths = some_logs_of(options.run)
    steps = ticks = frames = 0
    found: list[str] = []
    for path in paths:
        try:
            log = read_log(path, frames=True)
        except LogError as error:
            found.append(str(error))
            continue
        steps, ticks, frames = steps + len(log.steps), ticks + len(log.bus), frames + len(log.frames or ())
        found += [f"{path.name}: {complaint}" for complaint in complaints(path, log)]
    if options.run.is_dir() and not found:
        try:
            read_run(options.run / "rollouts")
        except LogError as error:
            found.append(str(error))
    seen = f", {frames} frames" if frames else ""
    verdict = f"{len(found)} wrong" if found else "as they were written"
    if options.json:
        sys.stdout.write(json.dumps({"logs": len(paths), "steps": steps, "bus_ticks": ticks, "frames": frames, "wrong": found}) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in found))
        sys.stdout.write(f"{len(paths)} logs, {steps} steps, {ticks} bus ticks{seen}: {verdict}\n")
    return 1 if found else 0


def complaints(path: Path, log: RolloutLog) -> Iterator[str]:
    """Yield what is wrong with one log, read with its frames."""
    steps, bus = log.steps, log.bus
    if wrong := flaw(path, log):
        yield wrong
    if missing := {"seed", "collector", "episode", "robot"} - log.metadata.keys():
        yield f"does not say its {', '.join(sorted(missing))}"
    if len(steps):
        yield from _of_steps(log)
    if len(bus) and (np.diff(bus["stamp_s"]) < 0.0).any():
        yield "time runs backwards"
    yield from _of_frames(log)


def _of_frames(log: RolloutLog) -> Iterator[str]:
    """A run that records frames has one for each step."""
    frames = NO_FRAMES if log.frames is None else log.frames
    if len(frames) or _records_frames(log):
        missing = np.flatnonzero(~np.isin(log.steps["sequence"], frames.sequence))
        if len(missing):
            yield f"{len(missing)} of {len(log.steps)} steps have no frame, the first is step {log.steps['sequence'][missing[0]]}"
    if strange := np.setdiff1d(frames.sequence, frames.belonging(log.steps).sequence).tolist():
        yield f"{len(strange)} frames are of no step of this log, the first is of step {strange[0]}"
    try:
        for _ in frames.decoded():
            pass
    except LogError as error:
        yield str(error)


def _records_frames(log: RolloutLog) -> bool:
    config = document.parse(log.metadata.get("config", ""), "the log's configuration")
    return isinstance(config, dict) and config.get("camera") is not None


def _of_steps(log: RolloutLog) -> Iterator[str]:
    steps, bus = log.steps, log.bus
    first, last = steps["bus_first"].astype(np.int64), steps["bus_last"].astype(np.int64)
    if (last < first).any() or (first[1:] <= last[:-1]).any():
        yield "steps span bus ticks that other steps span too"
    if log.intact and len(bus) and not np.isin([first[0], last[-1]], bus["sequence"].astype(np.int64)).all():
        yield "bus ticks of its first or last step are missing"
    if (np.diff(steps["step"].astype(np.int64)) != 1).any():
        yield "steps of its episode are missing"
    driven = np.isin(steps["mode"], DRIVEN) & ((steps["filter_mask"] & int(Reason.NOT_FINITE)) == 0)
    for name in ("observation", "next_observation", "reward"):
        if not np.isfinite(steps[name]).all():
            yield f"{name} holds what is no number"
    # What a broken policy asked for is kept as it was; the guard has refused it, and held the robot if it went on.
    if not np.isfinite(steps["action"][driven]).all():
        yield "action holds what is no number though the guard let it through"
