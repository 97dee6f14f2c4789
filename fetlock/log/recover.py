"""`fetlock log recover`: finish what a killed process left behind."""

from __future__ import annotations

import sys
from pathlib import Path

from fetlock.arguments import VerbParser
from robot.errors import UsageError
from training.rollout_log import recover
from training.runs import lock_run


def run(argv: list[str]) -> int:
    """Finish unfinished logs; see `fetlock log recover --help`."""
    parser = VerbParser("log recover", "Finish the logs that a killed process left behind; a run does so itself when it is resumed.")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    options = parser.read(argv)
    if not (options.run / "rollouts").is_dir():
        raise UsageError(f"{options.run} is no run (no rollouts/ in it): give a folder that `fetlock train` made")
    with lock_run(options.run):
        made = recover(options.run / "rollouts")
    sys.stdout.write("".join(f"{path}\n" for path in made) or "nothing to recover\n")
    return 0
