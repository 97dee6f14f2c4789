"""What the verbs that drive a robot have in common: their options, the run's folder, what is said at the end."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.cameras import require_in_sight
from fetlock.config import RunConfig, task_of
from fetlock.driving import Pilot, RunReport, run_realtime, run_simulated
from fetlock.machines import HardwareConfig
from robot.errors import UsageError
from training.runs import RunFolder
from training.tasks import Measure


def add_drive_options(parser: VerbParser, name: str) -> None:
    """Add them; `name` begins that of a folder that is given none."""
    parser.add_argument("--duration", type=float, default=60.0, metavar="SECONDS", help="of robot time (60)")
    parser.add_argument("--realtime", action="store_true", help="in real time, the robot in a process of its own; always so on metal")
    parser.add_argument("--scheduler", choices=("fifo", "default"), default="fifo", help="of that process (fifo, where it is granted)")
    parser.add_argument("--cut-on-exit", action="store_true", help="switch torque off at the end: the robot drops")
    parser.add_argument("--name", help=f"name of the folder that gets the log; by default {name} and the time")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="where run folders are made")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")


def require_duration(options: argparse.Namespace) -> None:
    """Raise UsageError where nobody would want to wait so long, or so short."""
    if not 0.1 <= options.duration <= 86_400.0:
        raise UsageError(f"--duration {options.duration}: give 0.1 to 86400 seconds")


def require_view(options: argparse.Namespace, config: RunConfig, *, realtime: bool) -> None:
    """Raise UsageError if frames are to be recorded that cannot be taken; see `drive`."""
    if _in_real_time(options, config, realtime=realtime):
        require_in_sight(config)


def _in_real_time(options: argparse.Namespace, config: RunConfig, *, realtime: bool) -> bool:
    return realtime or options.realtime or isinstance(config.robot, HardwareConfig)


def drive(options: argparse.Namespace, folder: RunFolder, pilot: Pilot, config: RunConfig, who: str, *, realtime: bool) -> None:
    """Let a pilot drive as the options say, keep a summary, and say what was done.

    Args:
        options: Of `add_drive_options`.
        folder: Of the run.
        pilot: Who drives.
        config: Of the robot.
        who: In words.
        realtime: Whatever the options say.
    """
    if _in_real_time(options, config, realtime=realtime):
        report = run_realtime(folder, pilot, config, options.duration, scheduler=options.scheduler, cut=options.cut_on_exit)
    else:
        report = run_simulated(folder, pilot, config, options.duration)
    report = replace(report, policy=who)
    (folder.path / "summary.json").write_text(json.dumps(asdict(report), indent=2) + "\n")
    sys.stdout.write(json.dumps(asdict(report)) + "\n" if options.json else sentences(report, task_of(config).measure))


def sentences(report: RunReport, measure: Measure) -> str:
    """Say a report in words."""
    late = report.lateness_ms
    timing = (
        ""
        if late is None
        else f"bus ticks {report.bus_ticks}, missed {report.missed}; late by {late['p50']:.3f} ms (median), {late['p99']:.3f} (99%), "
        f"{late['p99.9']:.3f} (99.9%), {late['max']:.3f} (most)\n"
        + (f"the hypervisor took {report.stolen_s:.2f} s of the cores meanwhile\n" if report.stolen_s else "")
    )
    grants = "".join(f"{line}\n" for line in (*report.granted, *report.said))
    return (
        f"{report.policy}: {report.seconds:.1f} s on the robot in {report.episodes} episodes, {measure.told(report.measure, 3)}, "
        f"{report.falls} falls, {report.held} ticks held by the guard\n{timing}{grants}log: {report.log}\n"
    )
