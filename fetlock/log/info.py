"""`fetlock log info`: what does this log hold, and how was it made?"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from fetlock.arguments import VerbParser
from fetlock.log.summary import summarise
from fetlock.replays.logs import find_log
from safety.types import Cause, Mode, Reason
from training.rollout_log import Records, RolloutLog, read_log


def run(argv: list[str]) -> int:
    """Print what a log holds; see `fetlock log info --help`."""
    parser = VerbParser("log info", "Say what one log holds, and how it was made.")
    parser.add_argument("log", type=Path, metavar="LOG_OR_RUN", help="an .mcap file, or a run folder")
    parser.add_argument("--episode", type=int, help="episode of a run folder; by default its last complete one")
    parser.add_argument("--collector", type=int, default=0, help="collector of the episode (0)")
    parser.add_argument("--config", action="store_true", help="print its configuration, and nothing else")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.read(argv)
    path = find_log(options.log, options.collector, options.episode)
    log = read_log(path, frames=True)
    if options.config:
        sys.stdout.write(log.metadata.get("config", ""))
        return 0
    told = describe(path, log)
    sys.stdout.write(json.dumps(told) + "\n" if options.json else _lines(told))
    return 0


def describe(path: Path, log: RolloutLog) -> dict[str, JsonValue]:
    """Return everything that is worth knowing of a log."""
    steps, bus = log.steps, log.bus
    told: dict[str, JsonValue] = {"path": str(path), **asdict(summarise(path, log))}
    told |= {name: value for name, value in sorted(log.metadata.items()) if name not in ("config", "description")}
    if len(bus):
        told["from_s"], told["to_s"] = float(bus["stamp_s"][0]), float(bus["stamp_s"][-1] + bus["period_s"][-1])
        told["modes"] = _counted([Mode(mode).name for mode in bus["mode"].tolist()])
        told["stages"] = _flags(bus, "filter_mask", Reason)
        if "causes" in (bus.dtype.names or ()):
            told["causes"] = _flags(bus, "causes", Cause)
    if len(steps):
        told["observation_size"], told["action_size"] = steps["observation"].shape[1], steps["action"].shape[1]
        told["policy_versions"] = [int(steps["policy_version"].min()), int(steps["policy_version"].max())]
        told["lateness_ms_max"] = round(1e3 * float(steps["lateness_s"].max()), 3)
    if log.frames is not None and len(log.frames):
        told["frames"] = len(log.frames)
        told["frame_sizes_px"] = [f"{width} x {height}" for width, height in sorted(log.frames.sizes_px)]
        told["frame_bytes"] = sum(map(len, log.frames.pngs))
    return told


def _counted(names: list[str]) -> dict[str, JsonValue]:
    return dict(Counter(names).most_common())


def _flags(bus: Records, field: str, kind: type[Reason] | type[Cause]) -> dict[str, JsonValue]:
    """Count the ticks in which each bit was set."""
    return {str(flag.name): count for flag in kind if flag and (count := int(np.count_nonzero(bus[field] & int(flag))))}


def _lines(told: dict[str, JsonValue]) -> str:
    def word(value: JsonValue) -> str:
        if isinstance(value, float):
            return f"{value:.6g}"
        if isinstance(value, dict):
            return ", ".join(f"{name} {count}" for name, count in value.items()) or "none"
        return " to ".join(map(str, value)) if isinstance(value, list) else str(value)

    width = max(map(len, told))
    return "".join(f"{name.replace('_', ' '):<{width}}  {word(value)}\n" for name, value in told.items())
