"""`./run bench bus`: our bus against the vendor's library on the same emulated motors, and against the formula of the wire."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from pydantic import JsonValue

from benchmarks.report import Report
from robot.dynamixel.backends import BusConfig, open_bus
from robot.dynamixel.measure import CycleFigures, formula, measure_cycles
from robot.emulator import EmulatorProcess

# The rows of the timing table: motors and rates.
_MOTORS = (8, 9, 12)
_BAUDS = (57_600, 1_000_000, 2_000_000, 3_000_000, 4_000_000)
# On a machine with other work a silence of 2 ms may be the scheduler's: what is measured is the pace, not the patience.
_SILENCE_S = 0.2


def main(argv: Sequence[str]) -> Report:
    """Measure; ours and the peer are cycles a second of 12 motors without pacing."""
    parser = argparse.ArgumentParser(prog="bench bus", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (5)")
    parser.add_argument("--paced-seconds", type=float, default=1.0, help="of each row of the paced table (1)")
    options = parser.parse_args(list(argv))
    ours, peer, fast = _unpaced(options.seconds)
    rows = [(motors, baud, fast_read) for baud in _BAUDS for motors in _MOTORS for fast_read in (False, True)]
    paced = [_paced(motors, baud, fast=fast_read, seconds=options.paced_seconds) for motors, baud, fast_read in rows]
    near = sum(abs(row["p50 ms"] / row["formula ms"] - 1.0) <= 0.05 for row in paced)
    details: dict[str, JsonValue] = {
        "motors": 12,
        "native cycles/s": round(ours.cycles_per_s),
        "native share of a core": round(ours.cpu_share, 3),
        "native p50 / p99 ms": [round(ours.p50_ms, 3), round(ours.p99_ms, 3)],
        "native fast read cycles/s": round(fast.cycles_per_s),
        "sdk cycles/s": round(peer.cycles_per_s),
        "sdk share of a core": round(peer.cpu_share, 3),
        "missed": [ours.missed, fast.missed, peer.missed],
        "paced": [dict(row) for row in paced],
        "paced p50 within 5%": f"{near} of {len(paced)}",
    }
    return Report("bus", ours.cycles_per_s, peer.cycles_per_s, None, "cycles/s, a write and a read of 12 motors, unpaced", details=details)


def _unpaced(seconds: float) -> tuple[CycleFigures, CycleFigures, CycleFigures]:
    with TemporaryDirectory() as folder, _machine(Path(folder), 12, 1_000_000) as machine:
        figures = []
        for config in (BusConfig(), BusConfig(backend="sdk"), BusConfig(fast_read=True)):
            bus = open_bus(machine.port, 1_000_000, config, _SILENCE_S)
            try:
                measure_cycles(bus, range(1, 13), 0.5)
                figures.append(measure_cycles(bus, range(1, 13), seconds))
            finally:
                bus.close()
    return figures[0], figures[1], figures[2]


def _paced(motors: int, baud: int, *, fast: bool, seconds: float) -> dict[str, float]:
    ids = range(1, motors + 1)
    with TemporaryDirectory() as folder, _machine(Path(folder), motors, baud, "--paced") as machine:
        bus = open_bus(machine.port, baud, BusConfig(fast_read=fast), _SILENCE_S)
        try:
            for motor in ids:
                bus.write(motor, 9, b"\x00")
            figures = measure_cycles(bus, ids, seconds)
        finally:
            bus.close()
    expected_ms = formula(ids, baud, fast=fast)
    return {
        "motors": motors,
        "baud": baud,
        "fast": fast,
        "formula ms": round(expected_ms, 3),
        "p50 ms": round(figures.p50_ms, 3),
        "p99 ms": round(figures.p99_ms, 3),
        "p50 over formula": round(figures.p50_ms / expected_ms, 3),
        "missed": figures.missed,
    }


def _machine(folder: Path, motors: int, baud: int, *arguments: str) -> EmulatorProcess:
    joints = [
        {"name": f"joint_{i}", "id": i, "model": "XM430-W210", "lower_rad": -3.0, "upper_rad": 3.0, "home_rad": 0.0, "rest_rad": 0.0}
        for i in range(1, motors + 1)
    ]
    path = folder / "row.yaml"
    path.write_text(yaml.safe_dump({"name": "row", "bus": {"baud": baud}, "joints": joints}))
    return EmulatorProcess([sys.executable, "-m", "fetlock", "emulate", "--robot", str(path), *arguments])
