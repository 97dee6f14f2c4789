"""A verb that is a family of commands, such as `fetlock bus` and `fetlock log`."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping
from typing import Protocol, cast

from robot.errors import UsageError


class Command(Protocol):
    """What a command's module offers."""

    def run(self, argv: list[str]) -> int:
        """Execute the command and return the exit code."""


def run_command(verb: str, commands: Mapping[str, tuple[str, str]], argv: list[str]) -> int:
    """Run one of a verb's commands; without one, or asked for help, say which there are.

    Args:
        verb: Name of the family.
        commands: Module and summary of each, by name.
        argv: The command and its arguments.

    Raises:
        UsageError: If there is no such command.
    """
    if not argv or argv[0] in ("--help", "-h", "help"):
        width = max(map(len, commands))
        lines = "\n".join(f"  {name:<{width}}  {summary}" for name, (_, summary) in commands.items())
        sys.stdout.write(f"usage: fetlock {verb} COMMAND [OPTIONS]\n\n{lines}\n\nfetlock {verb} COMMAND --help explains a command.\n")
        return 0
    if argv[0] not in commands:
        close = difflib.get_close_matches(argv[0], commands, n=1)
        raise UsageError(f"unknown command {argv[0]!r}: " + (f"the nearest is {close[0]}" if close else f"choose {', '.join(commands)}"))
    return cast("Command", importlib.import_module(commands[argv[0]][0])).run(argv[1:])
