"""Imports PyBullet for the first time without its greeting: standard error is for one-line errors."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile

_GREETING = b"pybullet build time"


def _import_quietly(module: str) -> None:
    """Hold back what the library's C++ writes to standard error, then let all but its greeting through."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            importlib.import_module(module)
        finally:
            os.dup2(real, 2)
            os.close(real)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not line.startswith(_GREETING)))


if "pybullet" not in sys.modules:
    _import_quietly("pybullet")
