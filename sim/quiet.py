"""Imports PyBullet for the first time without its greeting, and holds back what it prints: standard error is for one-line errors."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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


@contextlib.contextmanager
def silent(*descriptors: int) -> Iterator[None]:
    """Send what the C library writes to descriptors to nowhere: PyBullet tells of its work where programs print results."""
    libc = ctypes.CDLL(None)
    libc.fflush(None)
    kept = [(descriptor, os.dup(descriptor)) for descriptor in descriptors]
    try:
        with Path(os.devnull).open("wb") as nowhere:
            for descriptor in descriptors:
                os.dup2(nowhere.fileno(), descriptor)
        yield
        libc.fflush(None)
    finally:
        for descriptor, copy in kept:
            os.dup2(copy, descriptor)
            os.close(copy)


if "pybullet" not in sys.modules:
    _import_quietly("pybullet")
