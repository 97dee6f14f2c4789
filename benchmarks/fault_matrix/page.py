"""The matrix as a page of docs/results: rows of the newest run, and those of earlier ones for the faults that it left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from benchmarks.fault_matrix.outcome import markdown
from fetlock.fault_list import FAULTS, NotFromOutside

Rows = dict[str, dict[str, JsonValue]]

_INTRO = """# The fault matrix

Twenty-five faults, each at random times, and what came of it. Measured by `{command}`{rest}, on emulated motors in real time with
built-in physics: a kitty swings all its joints at 100 Hz behind the guard, with the limits of `configs/limits/kitty.yaml`. Processes, logs
and checkpoints are the real ones. Machine: {machine}, shared with other work. **No physical motor has been near this.**

A repeat is right if the robot stopped for the right cause (or went on, where it must), no target broke a limit, nothing moved until the
right clear event, what does not clear the cause was refused, and then it could be driven again. Time to safe: from the fault until targets
do not change any more, torque is off, or all motors' watchdogs have stopped them. Zero wrong repeats in N mean a rate below 3/N at 95%.
Bounds that the list of faults does not give are derived, as their brackets say.
"Disturbed" repeats were spoilt by the machine (a late loop, a starved emulator) before or beside the fault, and were done again.
[faults.json](faults.json) has every figure.

"""
# Of parts that do not exist yet.
_LATER = ("network",)


def kept(path: Path) -> Rows:
    """Return the rows of an earlier report, none if there is none."""
    return dict(json.loads(path.read_text())["details"]) if path.is_file() else {}


def page(rows: Rows, command: str, machine: Mapping[str, JsonValue]) -> str:
    """Return the page.

    Args:
        rows: By fault.
        command: That measured the newest of them.
        machine: Of the report.
    """
    ordered = {name: rows[name] for name in FAULTS if name in rows}
    partly = "" if len({row.get("commit") for row in ordered.values()}) == 1 else ", in several runs"
    told = f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}"
    text = _INTRO.format(command=command, rest=partly, machine=told) + markdown(ordered)
    commits: dict[str, list[str]] = {}
    for name, row in ordered.items():
        commits.setdefault(f"{row.get('commit')}, seed {row.get('seed')}", []).append(name)
    text += "\nCommits: " + "; ".join(f"{commit}: {', '.join(names)}" for commit, names in commits.items()) + ".\n"
    for name, fault in FAULTS.items():
        if name in _LATER and isinstance(fault.way, NotFromOutside):
            text += f"\nLater work: {name} ({fault.outcome}): {fault.way.why}.\n"
        elif name not in ordered:
            text += f"\nNot measured: {name} ({fault.outcome}).\n"
    return text
