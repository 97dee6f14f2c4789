"""`fetlock bus scan`: who is there, at which rate?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from fetlock.arguments import VerbParser
from fetlock.bus.options import port_of
from robot.dynamixel.port import Port
from robot.dynamixel.scan import likely_bauds, scan
from robot.dynamixel.tables import BAUD_RATES
from robot.errors import BusError, UsageError


def run(argv: list[str]) -> int:
    """Print the motors that answer; see `fetlock bus scan --help`."""
    parser = VerbParser("bus scan", "Ask all ids at one rate or at all of them. Takes 0.8 s for each rate; moves nothing.")
    parser.add_argument("--port", help="serial port; by default the only one there is")
    parser.add_argument("--baud", type=int, help="one rate; by default all of them")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each motor")
    options = parser.read(argv)
    if options.baud is not None and options.baud not in BAUD_RATES:
        raise UsageError(f"--baud {options.baud} is none of the motors' rates: choose {', '.join(map(str, BAUD_RATES))}")
    bauds = likely_bauds() if options.baud is None else (options.baud,)
    port = Port(port_of(options), bauds[0])
    try:
        found = scan(port, bauds, progress=lambda baud: None if options.json else _say(f"{port.path}: {baud} baud"))
    finally:
        port.close()
    if not found:
        raise BusError(
            f"no motor answers on {port.path} at {', '.join(map(str, bauds))} baud: is their supply on, and are both plugs of the cable in?"
        )
    if options.json:
        for motor in found:
            sys.stdout.write(json.dumps(asdict(motor)) + "\n")
        return 0
    table = Table("id", "model", "firmware", "baud")
    for motor in found:
        table.add_row(str(motor.id), motor.model, str(motor.firmware), str(motor.baud))
    Console().print(table)
    return 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
