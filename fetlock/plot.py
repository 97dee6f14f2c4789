"""`fetlock plot`: draws the learning curves of runs."""

from __future__ import annotations

import sys
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.plots import plot_runs


def run(argv: list[str]) -> int:
    """Draw one picture of one run or several; see `fetlock plot --help`."""
    parser = VerbParser("plot", "Draw return, speed, falls and length over environment steps; several runs in one picture, such as seeds.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="picture to make (.png, .svg, .pdf); by default curves.png in the first run"
    )
    options = parser.read(argv)
    out = options.out or options.runs[0] / "curves.png"
    plot_runs(options.runs, out)
    sys.stdout.write(f"{out}\n")
    return 0
