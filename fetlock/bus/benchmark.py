"""`fetlock bus benchmark`: how fast does this bus go?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from fetlock.arguments import VerbParser
from fetlock.bus.options import add_port, bus_of
from robot.description import load_description
from robot.dynamixel.measure import formula, measure_cycles
from robot.dynamixel.provision import identify, read_register
from robot.errors import UsageError


def run(argv: list[str]) -> int:
    """Measure read cycles; see `fetlock bus benchmark --help`."""
    parser = VerbParser(
        "bus benchmark", "Measure how long it takes to read a robot's motors, against the formula of the wire. Nothing is written."
    )
    add_port(parser)
    parser.add_argument("--robot", default="kitty", help="a description of configs/robots/, or a .yaml file (kitty)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure (5)")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.read(argv)
    if not 0.1 <= options.seconds <= 3600.0:
        raise UsageError(f"--seconds {options.seconds}: give 0.1 to 3600")
    description = load_description(options.robot)
    bus = bus_of(options, description.bus.baud)
    try:
        table = identify(bus, description)[0]
        delays = {motor: read_register(bus, motor, table["return_delay_time"]) for motor in description.ids}
        figures = measure_cycles(bus, description.ids, options.seconds, write=False)
    finally:
        bus.close()
    wire_ms = formula(description.ids, description.bus.baud, write=False, delay_raw=round(sum(delays.values()) / len(delays)))
    if options.json:
        sys.stdout.write(json.dumps(asdict(figures) | {"formula_ms": wire_ms}) + "\n")
        return 0
    sys.stdout.write(
        f"{len(description.ids)} motors at {description.bus.baud} baud: {figures.cycles_per_s:.0f} reads/s, "
        f"{figures.cpu_share:.0%} of a core\n"
        f"one read: median {figures.p50_ms:.2f} ms, 99% {figures.p99_ms:.2f}, 99.9% {figures.p999_ms:.2f}, "
        f"longest {figures.max_ms:.2f}; the wire alone {wire_ms:.2f}\n"
        f"answers that did not come: {figures.missed} of {figures.cycles * len(description.ids)}\n"
    )
    slow = {motor: raw for motor, raw in delays.items() if raw}
    if slow:
        sys.stdout.write(f"motors {', '.join(map(str, slow))} wait before they answer (register 9): connecting a robot sets that to 0\n")
    return 0
