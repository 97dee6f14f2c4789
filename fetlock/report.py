"""`fetlock report`: a run as one page."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.reports.drawings import draw
from fetlock.reports.facts import read_facts
from fetlock.reports.page import page
from robot.errors import FetlockError, UsageError


def run(argv: list[str]) -> int:
    """Write the report of a run; see `fetlock report --help`."""
    parser = VerbParser(
        "report", "Write one page about a run: what was trained, how it learned and moves, what the guard did, what was late."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="page to make; by default report.html in the run")
    options = parser.read(argv)
    out = options.out or options.run / "report.html"
    if out.suffix not in (".html", ".htm"):
        raise UsageError(f"--out {out}: give a name that ends in .html")
    write_report(options.run, out)
    sys.stdout.write(f"{out}\n")
    return 0


def write_report(folder: Path, out: Path) -> None:
    """Write the report of a run; an older one is replaced, for it follows from the logs.

    Raises:
        UsageError: If the folder holds no run.
        FetlockError: If nothing has been recorded yet, or the file cannot be written.
        LogError: If a log is damaged.
    """
    part = out.with_name(f".{out.name}.part")
    facts = read_facts(folder)
    try:
        # Before the drawing, which takes seconds.
        out.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        part.write_text(page(facts, draw(facts), out), encoding="utf-8")
        part.replace(out)
    except OSError as error:
        raise FetlockError(f"{out}: the report cannot be written ({error.strerror}): choose another place") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
