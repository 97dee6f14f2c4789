"""Keeps what PyBullet's library prints at its import out of standard error, where one-line errors belong."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_GREETING = b"pybullet build time"


@contextmanager
def without_greeting() -> Iterator[None]:
    """Hold back what C libraries write to standard error meanwhile, and let all but PyBullet's greeting through afterwards."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            os.close(real)
            held.seek(0)
            lines = held.read().splitlines(keepends=True)
            os.write(2, b"".join(line for line in lines if not line.startswith(_GREETING)))
