"""`fetlock bus setup`: one motor's id and rate."""

from __future__ import annotations

import sys

from fetlock.arguments import VerbParser
from fetlock.bus.options import port_of
from robot.dynamixel.native import NativeBus
from robot.dynamixel.port import Port
from robot.dynamixel.scan import answer_at_once, change_baud, renumber
from robot.dynamixel.tables import BAUD_RATES
from robot.errors import UsageError


def run(argv: list[str]) -> int:
    """Change a motor; see `fetlock bus setup --help`."""
    parser = VerbParser("bus setup", "Give one motor another id or rate, with its torque off; its return delay becomes 0.")
    parser.add_argument("--port", help="serial port; by default the only one there is")
    parser.add_argument("--baud", type=int, default=57_600, help="rate at which it answers now (57600, as delivered)")
    parser.add_argument("--id", type=int, default=1, help="its id now (1, as delivered)")
    parser.add_argument("--new-id", type=int, help="0 to 252")
    parser.add_argument("--new-baud", type=int, help=f"one of {', '.join(map(str, BAUD_RATES))}")
    options = parser.read(argv)
    if options.new_id is None and options.new_baud is None:
        raise UsageError("nothing to change: give --new-id, --new-baud, or both")
    if options.baud not in BAUD_RATES:
        raise UsageError(f"--baud {options.baud} is none of the motors' rates: choose {', '.join(map(str, BAUD_RATES))}")
    port = Port(port_of(options), options.baud)
    try:
        bus, motor = NativeBus(port), options.id
        answer_at_once(bus, motor)
        if options.new_id is not None:
            renumber(bus, motor, options.new_id)
            motor = options.new_id
        if options.new_baud is not None:
            change_baud(bus, port, motor, options.new_baud)
    finally:
        port.close()
    sys.stdout.write(f"the motor answers as {motor} at {port.baud} baud\n")
    return 0
