"""`./run bench faults`: every fault of the list, at random times, and what came of it.

A row is right if each repeat went as docs/safety.md says: stopped for the right cause within the limits, nothing moved until the right
clear event, and then it could be driven again; or, for what must not stop a robot, it went on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from benchmarks.fault_matrix.matrix import FAULTS, measure
from benchmarks.fault_matrix.outcome import markdown
from benchmarks.report import Report
from robot.errors import UsageError


def main(argv: Sequence[str]) -> Report:
    """Run the matrix; 100 repeats of everything take about an hour."""
    parser = argparse.ArgumentParser(prog="bench faults", description=__doc__)
    parser.add_argument("--repeats", type=int, default=100, help="of each fault, at random times (100)")
    parser.add_argument("--faults", nargs="+", default=list(FAULTS), metavar="NAME", help=f"of {', '.join(FAULTS)} (all)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(list(argv))
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        raise UsageError(f"there is no fault {unknown[0]!r}: choose of {', '.join(FAULTS)}")
    rows = {}
    for name in options.faults:
        row = measure(name, options.repeats, np.random.default_rng([options.seed, list(FAULTS).index(name)]))
        rows[name] = row.record()
        print(f"{name}: {rows[name]}", flush=True)
    print(markdown(rows), flush=True)
    missed = sum(not row["met"] for row in rows.values())
    return Report("faults", float(missed), None, 0.0, "faults whose outcome or bound was missed", [options.seed], dict(rows))
