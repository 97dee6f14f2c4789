"""The bodies of a run's processes: each attaches to the link and loops until it is told to stop."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable


def orphaned() -> Callable[[], bool]:
    """Return what tells whether the process that started this one is gone, be it before this call: starting takes seconds."""
    parent = multiprocessing.parent_process()
    started_by = os.getppid() if parent is None else parent.pid
    return lambda: os.getppid() != started_by
