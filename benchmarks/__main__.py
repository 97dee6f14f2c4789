"""`python -m benchmarks NAME [OPTIONS]`: run one benchmark and print its report as the last line, in JSON.

A benchmark is a module of this package with `main(argv) -> Report`.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

from benchmarks.report import Report
from robot.errors import FetlockError, UsageError


def names() -> list[str]:
    """Return the names of the benchmarks, sorted. No module is imported for it: some need the bench extra."""
    modules = [path for path in Path(__file__).parent.glob("*.py") if path.stem != "__main__"]
    return sorted(path.stem for path in modules if re.search(r"^def main\(", path.read_text(), re.MULTILINE))


def find(name: str) -> Callable[[Sequence[str]], Report]:
    """Return the benchmark's `main`.

    Raises:
        UsageError: If there is no benchmark of this name.
    """
    valid = names()
    if name not in valid:
        near = difflib.get_close_matches(name, valid, n=1, cutoff=0.0)
        hint = f"; nearest: {near[0]}" if near else ""
        raise UsageError(f"there is no benchmark {name!r}: choose one of {', '.join(valid)}{hint}")
    return cast("Callable[[Sequence[str]], Report]", import_module(f"benchmarks.{name}").main)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark named by the first argument; return the exit code: 0 done, 1 failed, 2 wrong usage."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: ./run bench NAME [OPTIONS]; NAME is one of {', '.join(names())}; './run bench NAME --help' lists its options")
        return 0 if argv else 2
    try:
        print(find(argv[0])(argv[1:]).json_line())
    except FetlockError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
