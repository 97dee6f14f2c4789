"""`fetlock doctor`: checks this machine, each finding with its fix."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from fetlock.arguments import VerbParser
from fetlock.checks.finding import Finding, Level
from fetlock.checks.hardware import serial_ports
from fetlock.checks.machine import clock, cores, disk, locked_memory, realtime, shared_memory, stolen_time, timer_slack
from fetlock.checks.software import compiler, libraries, matmul, python, torch_build, video_codec

_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def run(argv: list[str]) -> int:
    """Print all findings; 1 if one is a failure. See `fetlock doctor --help`."""
    parser = VerbParser("doctor", "Check this machine. ok: fine; warn: works with less; fail: does not work until fixed.")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="where runs are to be written (runs)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each finding")
    options = parser.read(argv)
    findings = examine(options.runs_dir)
    console = Console()
    for finding in findings:
        if options.json:
            sys.stdout.write(json.dumps(asdict(finding)) + "\n")
        else:
            console.print(_line(finding), soft_wrap=True)
    return int(any(finding.level is Level.FAIL for finding in findings))


def examine(runs_dir: Path) -> list[Finding]:
    """Make all checks; none of them changes anything that stays.

    Args:
        runs_dir: Where runs are to be written.
    """
    return [
        python(),
        *libraries(),
        torch_build(),
        matmul(),
        compiler(),
        video_codec(),
        cores(),
        realtime(),
        locked_memory(),
        timer_slack(),
        clock(),
        stolen_time(),
        disk(runs_dir),
        shared_memory(),
        *serial_ports(),
    ]


def _line(finding: Finding) -> Text:
    text = Text.assemble((f"{finding.level:<5}", _COLOURS[finding.level]), f"{finding.name:<18}{finding.found}")
    return text.append(f": {finding.fix}") if finding.fix else text
