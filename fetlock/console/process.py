"""The console beside a run: `--console` of `fetlock train` and `fetlock run`."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fetlock.console.ports import DEFAULT_PORT, LOOPBACK, bind

# It says goodbye to its pages within a second.
_STOP_S = 5.0


def add_console_option(parser: ArgumentParser) -> None:
    """Add `--console [PORT]` to a verb."""
    parser.add_argument(
        "--console",
        metavar="PORT",
        type=int,
        nargs="?",
        const=DEFAULT_PORT,
        help=f"serve the operator's page beside it, and print its address (port {DEFAULT_PORT}; 0 takes a free one)",
    )


def require_port(port: int | None) -> None:
    """Refuse a port that a console could not take, before anything is made or moves; None asks for no console.

    Raises:
        UsageError: If it is busy or out of range.
    """
    if port is not None:
        bind(LOOPBACK[0], port).close()


@contextmanager
def console_beside(folder: Path, port: int | None) -> Iterator[None]:
    """Keep a console of a run open; None: none. Nothing waits for it: one that dies is gone, and the run goes on.

    Args:
        folder: Of the run, which this process has.
        port: Of the page.
    """
    if port is None:
        yield
        return
    # In a session of its own: Ctrl-C is for the run, which ends it. What it prints must not stand among what a run prints as JSON.
    command = [sys.executable, "-m", "fetlock", "console", "--run", str(folder), "--port", str(port), "--parent", str(os.getpid())]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), start_new_session=True) as process:
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
