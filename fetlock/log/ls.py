"""`fetlock log ls`: what has been recorded?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fetlock.arguments import VerbParser
from fetlock.log.summary import LogSummary, summarise
from fetlock.replays.logs import some_logs_of
from training.rollout_log import read_log


def run(argv: list[str]) -> int:
    """Print one line for each log; see `fetlock log ls --help`."""
    parser = VerbParser("log ls", "List the logs of a run.")
    parser.add_argument("run", type=Path, metavar="RUN_OR_LOG", help="a run folder, or an .mcap file")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each log")
    options = parser.read(argv)
    paths = some_logs_of(options.run)
    found = [summarise(path, read_log(path)) for path in paths]
    if options.json:
        for summary in found:
            sys.stdout.write(json.dumps(asdict(summary)) + "\n")
        return 0
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("log", "steps", "s", "return", "ended", "state", "kB"):
        table.add_column(column, justify="left" if column in ("log", "ended", "state") else "right", no_wrap=True)
    for summary in found:
        table.add_row(*_row(summary))
    Console().print(table)
    seconds, steps, size = (sum(getattr(summary, name) for summary in found) for name in ("seconds", "steps", "bytes"))
    sys.stdout.write(f"{len(found)} logs, {steps} steps, {seconds / 60.0:.2f} minutes of robot time, {size / 1e6:.2f} MB\n")
    return 0


def _row(summary: LogSummary) -> tuple[str, ...]:
    counted = (str(summary.steps), f"{summary.seconds:.1f}", f"{summary.episode_return:.1f}")
    return (summary.file, *counted, summary.ended, summary.state, f"{summary.bytes / 1e3:.0f}")
