"""Which code ran: written into every log, summary and benchmark."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


@cache
def revision() -> str:
    """Return the checkout's commit, 12 digits, with "-dirty" where a file differs, results apart; "unknown" outside git.

    Asked once: what runs is the code that was there at the start.
    """
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return f"{head}-dirty" if _git("status", "--porcelain", "--", ".", ":!docs/results") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True).stdout.strip()
