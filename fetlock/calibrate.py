"""`fetlock calibrate`: where the joints are on their motors."""

from __future__ import annotations

import sys
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.bus.options import add_port, bus_of
from robot.calibrate import calibrate
from robot.calibration import save_calibration
from robot.description import load_description
from robot.errors import UsageError
from robot.operator import ConsoleOperator


def run(argv: list[str]) -> int:
    """Measure and write a file; see `fetlock calibrate --help`."""
    parser = VerbParser(
        "calibrate", "Measure zero, direction and range of each joint while you move it by hand; torque is off all the time, nothing moves."
    )
    add_port(parser)
    parser.add_argument("--robot", default="kitty", help="a description of configs/robots/, or a .yaml file (kitty)")
    parser.add_argument("--out", type=Path, help="file to write (calibrations/ROBOT.yaml)")
    parser.add_argument("--zero-only", action="store_true", help="ask for the home pose alone; directions and ranges are the description's")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    options = parser.read(argv)
    description = load_description(options.robot)
    path = options.out or Path("calibrations") / f"{description.name}.yaml"
    if path.exists() and not options.force:
        raise UsageError(f"{path} exists: give --force to replace it, or another --out")
    bus = bus_of(options, description.bus.baud)
    try:
        calibration = calibrate(
            bus,
            description,
            ConsoleOperator(sys.stdin, sys.stderr),
            lambda line: print(line, file=sys.stderr),
            ranges=not options.zero_only,
        )
    finally:
        bus.close()
    save_calibration(path, calibration)
    sys.stdout.write(f"{path}: {len(calibration.joints)} joints\n")
    return 0
