"""A process that ends at a system call of somebody's choice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def die_at(crash_at: int) -> None:
    """Let this process end, with exit code 9, at its `crash_at`-th call that syncs or changes a folder."""
    calls = 0

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 (whatever the call takes)
            nonlocal calls
            calls += 1
            if calls == crash_at:
                os._exit(9)
            return function(*arguments, **options)

        return call

    os.fsync = dying(os.fsync)
    for name in ("rename", "replace", "unlink", "mkdir"):
        setattr(Path, name, dying(getattr(Path, name)))
