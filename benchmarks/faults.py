"""`./run bench faults`: every fault of the list, at random times, and what came of it.

A row is right if each repeat went as docs/safety.md says: stopped for the right cause within the limits, nothing moved until the right
clear event, and then it could be driven again; or, for what must not stop a robot, it went on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import JsonValue

from benchmarks.fault_matrix.matrix import FAULTS, measure
from benchmarks.fault_matrix.outcome import markdown
from benchmarks.fault_matrix.page import Rows, kept, page
from benchmarks.report import Report
from fetlock.revision import revision
from robot.errors import UsageError


def main(argv: Sequence[str]) -> Report:
    """Run the matrix; 100 repeats of everything take about an hour."""
    parser = argparse.ArgumentParser(prog="bench faults", description=__doc__)
    parser.add_argument("--repeats", type=int, default=100, help="of each fault, at random times (100)")
    parser.add_argument("--faults", nargs="+", default=list(FAULTS), metavar="NAME", help=f"of {', '.join(FAULTS)} (all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write faults.json and faults.md there; rows of faults that are not measured now stay")
    options = parser.parse_args(list(argv))
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        raise UsageError(f"there is no fault {unknown[0]!r}: choose of {', '.join(FAULTS)}")
    rows = {} if options.out is None else kept(options.out / "faults.json")
    about: dict[str, JsonValue] = {"commit": revision(), "seed": options.seed}
    for name in options.faults:
        row = measure(name, options.repeats, np.random.default_rng([options.seed, list(FAULTS).index(name)]))
        rows[name] = row.record() | about
        print(f"{name}: {rows[name]}", flush=True)
        if options.out is not None:
            _write(options.out, rows, options.seed, options.repeats)
    print(markdown(rows), flush=True)
    return _report(rows, options.seed)


def _report(rows: Rows, seed: int) -> Report:
    missed = sum(not row["met"] for row in rows.values())
    return Report("faults", float(missed), None, 0.0, "faults whose outcome or bound was missed", [seed], dict(rows))


def _write(folder: Path, rows: Rows, seed: int, repeats: int) -> None:
    """Write what is known so far: a run takes an hour."""
    line = json.loads(_report(rows, seed).json_line())
    (folder / "faults.json").write_text(json.dumps(line, indent=1) + "\n")
    (folder / "faults.md").write_text(page(rows, f"./run bench faults --repeats {repeats} --seed {seed}", line["machine"]))
