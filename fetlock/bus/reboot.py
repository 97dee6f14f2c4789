"""`fetlock bus reboot`: the only way out of a shutdown."""

from __future__ import annotations

import sys

from fetlock.arguments import VerbParser
from fetlock.bus.options import add_port, bus_of
from robot.dynamixel.provision import read_register
from robot.dynamixel.tables import BAUD_RATES, control_table, hardware_errors
from robot.errors import BusError, MotorError, UsageError


def run(argv: list[str]) -> int:
    """Start a motor again; see `fetlock bus reboot --help`."""
    parser = VerbParser("bus reboot", "Start one motor again; its torque is off afterwards, and it forgets what is not in its EEPROM.")
    add_port(parser)
    parser.add_argument("--baud", type=int, default=1_000_000, help="its rate (1000000)")
    parser.add_argument("--id", type=int, required=True, help="its id")
    options = parser.read(argv)
    if options.baud not in BAUD_RATES:
        raise UsageError(f"--baud {options.baud} is none of the motors' rates: choose {', '.join(map(str, BAUD_RATES))}")
    bus = bus_of(options, options.baud)
    try:
        found = bus.ping(options.id)
        if found is None:
            raise BusError(f"motor {options.id} does not answer at {options.baud} baud: find it with `fetlock bus scan`")
        bus.reboot(options.id)
        if bus.ping(options.id) is None:
            raise BusError(f"motor {options.id} did not come back after its reboot: check its supply")
        left = read_register(bus, options.id, control_table(*found)["hardware_error_status"])
        if left:
            raise MotorError(f"motor {options.id} still reports {', '.join(hardware_errors(left))}: let it cool, and check supply and load")
    finally:
        bus.close()
    sys.stdout.write(f"motor {options.id} is back, without errors, torque off\n")
    return 0
