"""Options of a verb, beside the flags of the configuration."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from robot.errors import UsageError


class VerbParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line.

    Args:
        verb: Name of the verb.
        description: One sentence for the help text.
    """

    def __init__(self, verb: str, description: str) -> None:
        super().__init__(prog=f"fetlock {verb}", description=description, allow_abbrev=False, add_help=False)
        self.add_argument("-h", "--help", action="store_true", help="show this text")
        self.add_argument("--debug", action="store_true", help="show tracebacks of errors")

    def error(self, message: str) -> NoReturn:
        """Raise UsageError in place of printing the usage and ending the program."""
        raise UsageError(f"{message}: see {self.prog} --help")

    @property
    def flags(self) -> list[str]:
        """The verb's own long options."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Read all arguments; `--help` ends the program (SystemExit 0).

        Raises:
            UsageError: If one is unknown, misses its value or has a wrong one.
        """
        self._help_if_asked(argv, "")
        options, rest = self.parse_known_args(argv)
        if rest:
            raise UsageError(f"{self._unknown(rest[0])}: see {self.prog} --help")
        return options

    def read_before_config(self, argv: Sequence[str], default: Path | None = None) -> tuple[argparse.Namespace, list[str]]:
        """Read the verb's own arguments and return with them what is left for `load_config`.

        Args:
            argv: Arguments of the verb.
            default: File whose values the help text shows; None: the default configuration.

        Raises:
            UsageError: As `read`.
        """
        from fetlock.config import DEFAULT_CONFIG, key_help

        if "--help" in argv or "-h" in argv:
            self._help_if_asked(argv, key_help(default or DEFAULT_CONFIG))
        own, rest = self._split(argv)
        return self.parse_args(own), rest

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"unexpected argument {word!r}"
        # Needed for an error alone: `fetlock stop` must not wait for what reads configurations.
        from fetlock.flags import nearest

        close = nearest(word.partition("=")[0], self.flags)
        return f"unknown option {word}" + (f", the nearest is {close}" if close else "")

    def _help_if_asked(self, argv: Sequence[str], more: str) -> None:
        if "--help" in argv or "-h" in argv:
            sys.stdout.write(self.format_help() + (f"\n{more}" if more else ""))
            raise SystemExit(0)

    def _split(self, argv: Sequence[str]) -> tuple[list[str], list[str]]:
        """Part the verb's words from those of the configuration: a flag that is not the verb's takes the words up to the next flag with it.

        The verb's positional arguments come first, or behind one of its own options.
        """
        own: list[str] = []
        rest: list[str] = []
        side = own
        for word in argv:
            if re.match(r"-[a-zA-Z-]", word):
                side = own if word.partition("=")[0] in self._option_string_actions else rest
            side.append(word)
        return own, rest
