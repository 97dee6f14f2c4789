"""`fetlock inject`: breaks something of an emulated machine, a motion process or a training run, on purpose and by name."""

from __future__ import annotations

import argparse
import difflib
import json
import signal
import stat
import sys
from pathlib import Path

from pydantic import JsonValue

from fetlock.arguments import VerbParser
from fetlock.fault_list import FAULTS, ByFileSize, BySignal, ListedFault, NotFromOutside, OnBus
from fetlock.run_processes import Target, limit_files, motion_target, run_targets
from robot.clock import sleep_s
from robot.emulator import EmulatorClient
from robot.errors import UsageError

# Ends every fault of an emulated machine.
_MEND = "mend"


def run(argv: list[str]) -> int:
    """Inject a fault; see `fetlock inject --help`."""
    parser = VerbParser("inject", "Break something on purpose, by name: --list shows the faults and what each must come to.")
    parser.add_argument("fault", nargs="?", metavar="FAULT", help=f"a name of --list, or {_MEND}: end all faults of an emulated machine")
    parser.add_argument("--list", action="store_true", help="print all faults")
    parser.add_argument("--control", type=Path, help="control socket of `fetlock emulate --control PATH`")
    parser.add_argument("--motors", type=int, nargs="+", default=[], metavar="ID", help="only these motors; by default all")
    parser.add_argument("--magnitude", type=float, help="of a fault of the bus: deg C, pulses, s of delay, an id")
    parser.add_argument("--seconds", type=float, help="how long it lasts")
    parser.add_argument("--motion", metavar="NAME", help="the motion process of this name")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="the training run of this folder")
    parser.add_argument("--collector", type=int, default=0, metavar="N", help="which collector of a run (0)")
    parser.add_argument("--on-hardware", action="store_true", help="also where a robot of metal is driven: it may fall")
    options = parser.read(argv)
    if options.list:
        sys.stdout.write(_table())
        return 0
    if options.fault is None:
        raise UsageError("which fault? `fetlock inject --list` shows them")
    if options.fault == _MEND:
        _ask(options, "mend")
        sys.stdout.write("all faults of the machine are over; what a motor has latched stays until its reboot\n")
        return 0
    sys.stdout.write(_inject(options.fault, _named(options.fault), options) + "\n")
    return 0


def _named(name: str) -> ListedFault:
    if name not in FAULTS:
        close = difflib.get_close_matches(name, [*FAULTS, _MEND], n=1, cutoff=0.0)
        raise UsageError(f"there is no fault {name!r}: the nearest is {close[0]}; valid are {', '.join([*FAULTS, _MEND])}")
    return FAULTS[name]


def _inject(name: str, fault: ListedFault, options: argparse.Namespace) -> str:
    match fault.way:
        case NotFromOutside(why):
            raise UsageError(f"{name} cannot be injected by a command: it is {why}")
        case OnBus(kind, more):
            values = {**more, "kind": kind, "motors": options.motors}
            if options.magnitude is not None:
                values["magnitude"] = options.magnitude
            if options.seconds is not None:
                values["duration_s"] = options.seconds
            _ask(options, "fault", fault=values)
            return f"{name}: injected as {json.dumps(values)}; expected: {fault.outcome}"
        case BySignal() as way:
            targets = _targets(name, way, options)
            for target in targets:
                target.send(way.number)
            for_s = way.for_s if options.seconds is None else options.seconds
            if way.for_s is not None and for_s is not None:
                sleep_s(for_s)
                for target in targets:
                    target.send(signal.SIGCONT)
            told = ", ".join(f"{target.role} (process {target.pid})" for target in targets)
            return f"{name}: {way.number.name} to {told}; expected: {fault.outcome}"
        case ByFileSize():
            (target,) = _of_run(name, "logger", options)
            before = limit_files(target.pid, 0)
            sleep_s(5.0 if options.seconds is None else options.seconds)
            limit_files(target.pid, before)
            return f"{name}: the logger (process {target.pid}) could write nothing for a while; expected: {fault.outcome}"


def _ask(options: argparse.Namespace, do: str, **arguments: JsonValue) -> None:
    """Ask the emulated machine for something."""
    path = options.control
    if path is None:
        raise UsageError("faults of the bus are injected into an emulated machine: give --control PATH, as to `fetlock emulate`")
    if path.exists() and stat.S_ISCHR(path.stat().st_mode):
        raise UsageError(
            f"{path} is a serial port, and motors of metal cannot be told to fail: give the control socket of `fetlock emulate`"
        )
    client = EmulatorClient(path)
    try:
        client.ask(do, **arguments)
    finally:
        client.close()


def _targets(name: str, way: BySignal, options: argparse.Namespace) -> list[Target]:
    if way.role != "loop":
        return _of_run(name, way.role, options)
    if options.motion is None:
        raise UsageError(f"{name} is about a motion process: give --motion NAME, as to `python -m fetlock.motion --name`")
    target = motion_target(options.motion)
    _require_allowed(name, target, options)
    return [target]


def _of_run(name: str, role: str, options: argparse.Namespace) -> list[Target]:
    if options.run is None:
        raise UsageError(f"{name} is about a training run: give --run FOLDER, such as runs/NAME")
    targets = run_targets(options.run)
    wanted = f"{role}-{options.collector}" if role == "collector" else role
    chosen = list(targets.values()) if role == "all" else [target for known, target in targets.items() if known == wanted]
    if not chosen:
        raise UsageError(f"the run in {options.run} has no {wanted} now: its processes are {', '.join(targets)}")
    for target in chosen:
        _require_allowed(name, target, options)
    return chosen


def _require_allowed(name: str, target: Target, options: argparse.Namespace) -> None:
    if target.metal and not options.on_hardware:
        raise UsageError(
            f"{name}: process {target.pid} drives {target.robot}, and may let it fall: put it on a stand, a hand on its switch, and add "
            "--on-hardware"
        )


def _table() -> str:
    width = max(map(len, FAULTS))
    lines = []
    for name, fault in FAULTS.items():
        match fault.way:
            case OnBus():
                way = "--control"
            case BySignal(role):
                way = "--motion" if role == "loop" else "--run"
            case ByFileSize():
                way = "--run"
            case NotFromOutside(why):
                way = f"not by a command: {why}"
        lines.append(f"{name:<{width}}  {fault.outcome}  [{way}]\n")
    return "".join(lines)
