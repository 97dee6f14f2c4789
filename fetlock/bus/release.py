"""`fetlock bus release`: torque off."""

from __future__ import annotations

import sys

from fetlock.arguments import VerbParser
from fetlock.bus.options import add_port, bus_of
from robot.description import load_description
from robot.dynamixel.provision import identify, write_register


def run(argv: list[str]) -> int:
    """Let a robot's motors go; see `fetlock bus release --help`."""
    parser = VerbParser("bus release", "Switch the torque of all motors of a robot off. The robot drops: hold it.")
    add_port(parser)
    parser.add_argument("--robot", default="kitty", help="a description of configs/robots/, or a .yaml file (kitty)")
    options = parser.read(argv)
    description = load_description(options.robot)
    bus = bus_of(options, description.bus.baud)
    try:
        # At once, before anything is asked.
        bus.sync_write(64, dict.fromkeys((joint.id for joint in description.motors), b"\x00"))
        for joint, table in zip(description.motors, identify(bus, description), strict=True):
            write_register(bus, joint.id, table["torque_enable"], 0)
    finally:
        bus.close()
    sys.stdout.write(f"the {len(description.motors)} motors of the {description.name} have no torque\n")
    return 0
