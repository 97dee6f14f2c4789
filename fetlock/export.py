"""`fetlock export`: logs for LeRobot, Minari and Rerun, policies for ONNX."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.exports.report import Exported
from robot.errors import FetlockError, UsageError

# What each format is, how its names end, and what it is written with.
_FORMATS = {
    "lerobot": ("a LeRobot data set v3.0 (folder)", "", ("pyarrow",)),
    "minari": ("a Minari data set (folder NAME-vVERSION)", "", ("h5py", "minari")),
    "rrd": ("a Rerun recording (.rrd)", ".rrd", ("rerun",)),
    "onnx": ("the policy's mean action (.onnx)", ".onnx", ("onnx", "onnxruntime")),
}


def run(argv: list[str]) -> int:
    """Export logs or a policy; see `fetlock export --help`."""
    parser = VerbParser("export", "Write the logs of a run, or its policy, in the format of another program; the run stays as it is.")
    parser.add_argument("source", type=Path, metavar="RUN", help="a run folder; an .mcap file; with --to onnx also the folder of a policy")
    parser.add_argument("--to", choices=_FORMATS, help="; ".join(f"{name}: {what}" for name, (what, _, _) in _FORMATS.items()))
    parser.add_argument("--out", type=Path, metavar="PATH", help="the file or folder to make; must not exist")
    parser.add_argument("--episode", type=int, help="of the logs, one episode; by default all")
    parser.add_argument("--collector", type=int, help="collector of the episode (0)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.read(argv)
    _require_sound(options)
    try:
        made = _export(options)
    except OSError as error:
        raise FetlockError(
            f"{options.out}: the export cannot be written ({error.strerror or error}): free space, or choose another --out"
        ) from error
    sys.stdout.write(json.dumps(asdict(made)) + "\n" if options.json else _sentence(made))
    return 0


def _require_sound(options: argparse.Namespace) -> None:
    """Refuse what cannot be done, before anything is read."""
    if options.to is None:
        raise UsageError(f"to what? give --to {', '.join(_FORMATS)}")
    if options.out is None:
        raise UsageError("where to? give --out PATH")
    _, suffix, packages = _FORMATS[options.to]
    if suffix and options.out.suffix != suffix:
        raise UsageError(f"--out {options.out}: give a name that ends in {suffix}")
    if options.out.exists():
        raise UsageError(f"{options.out} exists already: give another --out")
    if options.collector is not None and options.episode is None:
        raise UsageError("--collector is of an episode: give --episode too")
    if options.to == "onnx" and options.episode is not None:
        raise UsageError("--episode is of logs, and --to onnx exports a policy: leave one of them out")
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise FetlockError(
                f"--to {options.to} needs {package}, which is not installed: `./run export` installs it, "
                "or `.venv/bin/pip install -c constraints.txt -e '.[export]' --config-settings editable_mode=compat`"
            )


def _export(options: argparse.Namespace) -> Exported:
    """Export with the module of the format: only it imports what it writes with."""
    if options.to == "onnx":
        from fetlock.exports.onnx import export_onnx
        from policy.snapshot import load_policy

        return export_onnx(load_policy(options.source), options.out)
    from fetlock.exports.recording import open_recording

    recording = open_recording(options.source, options.collector or 0, options.episode)
    if options.to == "lerobot":
        from fetlock.exports.lerobot import export_lerobot

        return export_lerobot(recording, options.out)
    if options.to == "minari":
        from fetlock.exports.minari import export_minari

        return export_minari(recording, options.out)
    from fetlock.exports.rrd import export_rrd

    return export_rrd(recording, options.out)


def _sentence(made: Exported) -> str:
    counts = ", ".join(f"{value:.3g} {name}" if isinstance(value, float) else f"{value} {name}" for name, value in made.counts.items())
    return f"{made.out}: {counts.replace('_', ' ')}, {made.bytes / 1e6:.2f} MB\n"
