"""`fetlock log COMMAND`: chooses the command."""

from __future__ import annotations

from fetlock.subverbs import run_command

COMMANDS = {
    "ls": ("fetlock.log.ls", "list the logs of a run: episodes, steps, seconds, return, how each ended"),
    "info": ("fetlock.log.info", "say what one log holds, and how it was made"),
    "verify": ("fetlock.log.verify", "read every byte: checksums, gaps, ticks of each step"),
    "recover": ("fetlock.log.recover", "finish what a killed process left behind"),
    "cut": ("fetlock.log.cut", "copy some steps of a log into a new one"),
}


def run(argv: list[str]) -> int:
    """Run a command; see `fetlock log --help`."""
    return run_command("log", COMMANDS, argv)
