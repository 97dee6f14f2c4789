"""`fetlock run`: a learned policy, or swings of all joints, on a robot; no learner."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.config import RunConfig, config_yaml, load_config
from fetlock.console.process import add_console_option, console_beside, require_port
from fetlock.driving import RunReport, pilot_of, run_realtime, run_simulated
from fetlock.evaluate import default_config_of
from fetlock.excitation import excite
from fetlock.machines import EmulatedConfig, HardwareConfig
from policy.snapshot import save_policy
from robot.errors import UsageError
from training.runs import RunFolder, run_path


def run(argv: list[str]) -> int:
    """Run a policy; see `fetlock run --help`."""
    parser = VerbParser("run", "Run a policy's mean action on the robot of a configuration, episode after episode; nothing is learned.")
    parser.add_argument("--policy", type=Path, help="run folder, or the folder of a policy")
    parser.add_argument(
        "--excite",
        action="store_true",
        help="no policy: swing all joints about home, within the guard's limits, for `fetlock identify`; best on a stand, feet in the air",
    )
    parser.add_argument("--duration", type=float, default=60.0, metavar="SECONDS", help="of robot time (60)")
    parser.add_argument("--realtime", action="store_true", help="in real time, the robot in a process of its own; always so on metal")
    parser.add_argument("--scheduler", choices=("fifo", "default"), default="fifo", help="of that process (fifo, where it is granted)")
    parser.add_argument("--cut-on-exit", action="store_true", help="switch torque off at the end: the robot drops")
    parser.add_argument("--name", help="name of the folder that gets the log; by default run and the time")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="where run folders are made")
    add_console_option(parser)
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options, rest = parser.read_before_config(argv)
    if (options.policy is None) is not options.excite:
        raise UsageError("which policy? give --policy RUN_FOLDER; `fetlock train` makes one; or --excite and no policy")
    if not 0.1 <= options.duration <= 86_400.0:
        raise UsageError(f"--duration {options.duration}: give 0.1 to 86400 seconds")
    if options.excite:
        if options.console is not None:
            raise UsageError("--console is for the run of a policy: leave it out with --excite")
        return _excite(options, load_config(rest, prog=parser.prog, others=parser.flags))
    config = load_config(rest, prog=parser.prog, others=parser.flags, default=default_config_of(options.policy))
    # A policy that cannot be read, or is of another robot or task, starts none and leaves no folder.
    pilot, policy = pilot_of(options.policy, config)
    realtime = options.realtime or isinstance(config.robot, HardwareConfig)
    path = run_path(options.runs_dir, options.name, "run")
    require_port(options.console)
    with RunFolder.create(path, config_yaml(config)) as folder, console_beside(folder.path, options.console):
        save_policy(folder.path / "policy", policy)
        if realtime:
            report = run_realtime(folder, pilot, config, options.duration, scheduler=options.scheduler, cut=options.cut_on_exit)
        else:
            report = run_simulated(folder, pilot, config, options.duration)
        report = replace(report, policy=str(options.policy))
        (folder.path / "summary.json").write_text(json.dumps(asdict(report), indent=2) + "\n")
    sys.stdout.write(json.dumps(asdict(report)) + "\n" if options.json else sentences(report))
    return 0


def _excite(options: argparse.Namespace, config: RunConfig) -> int:
    """Swing all joints; 1 if something stopped the robot."""
    if options.realtime and not isinstance(config.robot, EmulatedConfig | HardwareConfig):
        raise UsageError("--excite swings a plain simulation in simulated time: leave --realtime out")
    with RunFolder.create(run_path(options.runs_dir, options.name, "excite"), config_yaml(config)) as folder:
        report = excite(folder, config, options.duration, realtime=options.realtime)
    said = f"{report.bus_ticks} bus ticks, {report.seconds:.1f} s{'' if report.finished else f'; {report.why}'}\nlog: {report.run}\n"
    sys.stdout.write(json.dumps(asdict(report)) + "\n" if options.json else said)
    return 0 if report.finished else 1


def sentences(report: RunReport) -> str:
    """Say a report in words."""
    late = report.lateness_ms
    timing = (
        ""
        if late is None
        else f"bus ticks {report.bus_ticks}, missed {report.missed}; late by {late['p50']:.3f} ms (median), {late['p99']:.3f} (99%), "
        f"{late['p99.9']:.3f} (99.9%), {late['max']:.3f} (most)\n"
    )
    grants = "".join(f"{line}\n" for line in (*report.granted, *report.said))
    return (
        f"{report.policy}: {report.seconds:.1f} s on the robot in {report.episodes} episodes, {report.measure:.3f} m/s, "
        f"{report.falls} falls, {report.held} ticks held by the guard\n{timing}{grants}log: {report.log}\n"
    )
