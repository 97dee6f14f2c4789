"""What a repeat of a fault came to, and the row that all repeats of it make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue


class WrongOutcome(Exception):
    """A repeat in which something else happened than what is promised."""


class Disturbed(Exception):
    """A repeat that the machine spoilt before or beside the fault: it is done again, and counted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One repeat that went as promised.

    Attributes:
        safe_s: From the fault to a robot that is stopped, s; None where it is to go on.
        saw: What was seen that the table should tell, such as the causes.
    """

    safe_s: float | None = None
    saw: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a fault must come to.

    Attributes:
        fault: Its name in the catalogue.
        bound_s: The longest time to safety that is promised, s; None: no time is.
        source: Where the bound is from.
        missing: What of the promise no part keeps yet, whatever the repeats show.
    """

    fault: str
    bound_s: float | None = None
    source: str = ""
    missing: str = ""


@dataclass(slots=True)
class Row:
    """All repeats of one fault."""

    promise: Promise
    outcomes: list[Outcome]
    wrong: list[str]
    disturbed: int = 0

    @property
    def repeats(self) -> int:
        """Repeats that count."""
        return len(self.outcomes) + len(self.wrong)

    @property
    def times_ms(self) -> list[float]:
        """Times to safety, ms."""
        return [outcome.safe_s * 1e3 for outcome in self.outcomes if outcome.safe_s is not None]

    @property
    def late(self) -> int:
        """Repeats that took longer than the bound."""
        bound_s = self.promise.bound_s
        return 0 if bound_s is None else sum(value > bound_s * 1e3 for value in self.times_ms)

    @property
    def met(self) -> bool:
        """Whether every repeat was right and in time, and nothing of the promise is missing."""
        return self.repeats > 0 and not self.wrong and not self.late and not self.promise.missing

    def record(self) -> dict[str, JsonValue]:
        """Return the row for the report."""
        times = self.times_ms
        return {
            "repeats": self.repeats,
            "right": len(self.outcomes),
            "wrong": dict(Counter(self.wrong).most_common()),
            "disturbed": self.disturbed,
            "safe ms, median": _percentile(times, 50),
            "safe ms, p99": _percentile(times, 99),
            "safe ms, max": _percentile(times, 100),
            "bound ms": None if self.promise.bound_s is None else round(self.promise.bound_s * 1e3),
            "bound is": self.promise.source,
            "later than the bound": self.late,
            "met": self.met,
            "missing": self.promise.missing,
            "saw": dict(Counter(outcome.saw for outcome in self.outcomes if outcome.saw).most_common()),
        }


def _percentile(times_ms: Sequence[float], share: float) -> float | None:
    return round(float(np.percentile(times_ms, share)), 1) if times_ms else None


def markdown(rows: dict[str, dict[str, JsonValue]]) -> str:
    """Return the table of a report's rows."""
    head = (
        "| fault | repeats | right | time to safe, ms: median | p99 | max | bound | met | what was seen |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    return head + "".join(_line(name, row) for name, row in rows.items())


def _line(name: str, row: dict[str, JsonValue]) -> str:
    times = [("" if row[f"safe ms, {which}"] is None else f"{row[f'safe ms, {which}']}") for which in ("median", "p99", "max")]
    bound = "" if row["bound ms"] is None else f"{row['bound ms']} ({row['bound is']})"
    seen = [f"{what} x {count}" for key in ("saw", "wrong") for what, count in _counts(row[key]).items()]
    again = f"; disturbed and done again: {row['disturbed']}" if row["disturbed"] else ""
    missing = f"; missing: {row['missing']}" if row.get("missing") else ""
    cells = (name, row["repeats"], row["right"], *times, bound, "yes" if row["met"] else "**no**", ", ".join(seen) + missing + again)
    return "| " + " | ".join(map(str, cells)) + " |\n"


def _counts(value: JsonValue) -> dict[str, JsonValue]:
    return value if isinstance(value, dict) else {}
