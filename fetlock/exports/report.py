"""What an export made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Exported:
    """One export.

    Attributes:
        out: The file or folder.
        bytes: Its size.
        counts: What it holds, by name: episodes and steps, or what was compared.
    """

    out: str
    bytes: int
    counts: dict[str, float]


def exported(out: Path, **counts: float) -> Exported:
    """Report on what lies at a place."""
    files = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
    return Exported(str(out), sum(path.stat().st_size for path in files), counts)
