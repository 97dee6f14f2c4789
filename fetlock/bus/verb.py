"""`fetlock bus COMMAND`: chooses the command."""

from __future__ import annotations

import difflib
import importlib
import sys
from typing import Protocol, cast

from robot.errors import UsageError

COMMANDS = {
    "find-port": ("fetlock.bus.find_port", "list serial ports, or wait for the one that is plugged in"),
    "scan": ("fetlock.bus.scan", "find motors at every rate, with model, firmware and id"),
    "setup": ("fetlock.bus.setup", "give one motor another id or rate"),
    "monitor": ("fetlock.bus.monitor", "watch a robot's motors: position, current, temperature, errors; torque stays off"),
    "benchmark": ("fetlock.bus.benchmark", "measure cycles of a robot's bus against the formula"),
    "release": ("fetlock.bus.release", "switch the torque of a robot's motors off: it drops"),
    "reboot": ("fetlock.bus.reboot", "start one motor again: the only way out of a shutdown"),
}


class Command(Protocol):
    """What a command's module offers."""

    def run(self, argv: list[str]) -> int:
        """Execute the command and return the exit code."""


def run(argv: list[str]) -> int:
    """Run a command; see `fetlock bus --help`."""
    if not argv or argv[0] in ("--help", "-h", "help"):
        width = max(map(len, COMMANDS))
        lines = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items())
        sys.stdout.write(f"usage: fetlock bus COMMAND [OPTIONS]\n\n{lines}\n\nfetlock bus COMMAND --help explains a command.\n")
        return 0
    if argv[0] not in COMMANDS:
        close = difflib.get_close_matches(argv[0], COMMANDS, n=1)
        raise UsageError(f"unknown command {argv[0]!r}: " + (f"the nearest is {close[0]}" if close else f"choose {', '.join(COMMANDS)}"))
    return cast("Command", importlib.import_module(COMMANDS[argv[0]][0])).run(argv[1:])
