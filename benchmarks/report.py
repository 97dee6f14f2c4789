"""What a benchmark returns, and the facts of the machine and the commit that belong to every figure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from fetlock.host import machine
from fetlock.revision import revision


@dataclass(frozen=True)
class Report:
    """One benchmark's headline and what stands behind it.

    Attributes:
        bench: Name, as in `./run bench NAME`.
        ours: Fetlock's figure, in `unit`.
        peer: The same figure of what it is compared with, measured in the same run; None where there is no peer.
        limit: The best figure that this machine or the mathematics allows; None where it is not known.
        unit: Unit of the three.
        seeds: Seeds of the run; empty where nothing is random.
        details: Every other figure, the bad ones too, by name.
    """

    bench: str
    ours: float
    peer: float | None
    limit: float | None
    unit: str
    seeds: Sequence[int] = ()
    details: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours by the peer's, or None without a peer."""
        return self.ours / self.peer if self.peer else None

    def json_line(self) -> str:
        """Return the report with its machine and commit as one line of JSON; a figure that is not finite is a ValueError."""
        record: dict[str, JsonValue] = {
            "bench": self.bench,
            "ours": self.ours,
            "peer": self.peer,
            "limit": self.limit,
            "ratio": self.ratio,
            "unit": self.unit,
            "seeds": list(self.seeds),
            "machine": machine(),
            "commit": revision(),
            "details": dict(self.details),
        }
        return json.dumps(record, allow_nan=False)
