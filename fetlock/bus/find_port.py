"""`fetlock bus find-port`: which port is the robot's?"""

from __future__ import annotations

import json
import sys

from fetlock.arguments import VerbParser
from robot.clock import monotonic_s, sleep_s
from robot.dynamixel.port import describe, ports
from robot.errors import PortError

_LOOK_S = 0.2


def run(argv: list[str]) -> int:
    """List the ports, or name the one that comes or goes; see `fetlock bus find-port --help`."""
    parser = VerbParser("bus find-port", "List the serial ports of this machine. None of them is opened.")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="wait for a port to be plugged in or pulled out, and name that one")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each port")
    options = parser.read(argv)
    found = ports()
    if options.watch is not None:
        found = [_changed(found, options.watch)]
    elif not found:
        raise PortError("no serial port was found: plug the adapter in, or wait for it with --watch 30")
    for path in found:
        about = describe(path)
        if options.json:
            sys.stdout.write(json.dumps({"port": path, **about}) + "\n")
        else:
            details = ", ".join(f"{key} {value}" for key, value in about.items() if value is not None)
            sys.stdout.write(f"{path}{': ' + details if details else ''}\n")
    return 0


def _changed(before: list[str], seconds: float) -> str:
    sys.stderr.write(f"ports now: {', '.join(before) or 'none'}; plug the adapter in, or pull it out\n")
    deadline_s = monotonic_s() + seconds
    while monotonic_s() < deadline_s:
        changed = set(ports()) ^ set(before)
        if changed:
            return min(changed)
        sleep_s(_LOOK_S)
    raise PortError(f"no port came or went within {seconds} s: try another cable or USB socket; dmesg shows what the kernel saw")
