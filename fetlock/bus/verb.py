"""`fetlock bus COMMAND`: chooses the command."""

from __future__ import annotations

from fetlock.subverbs import run_command

COMMANDS = {
    "find-port": ("fetlock.bus.find_port", "list serial ports, or wait for the one that is plugged in"),
    "scan": ("fetlock.bus.scan", "find motors at every rate, with model, firmware and id"),
    "setup": ("fetlock.bus.setup", "give one motor another id or rate"),
    "monitor": ("fetlock.bus.monitor", "watch a robot's motors: position, current, temperature, errors; torque stays off"),
    "benchmark": ("fetlock.bus.benchmark", "measure cycles of a robot's bus against the formula"),
    "release": ("fetlock.bus.release", "switch the torque of a robot's motors off: it drops"),
    "reboot": ("fetlock.bus.reboot", "start one motor again: the only way out of a shutdown"),
}


def run(argv: list[str]) -> int:
    """Run a command; see `fetlock bus --help`."""
    return run_command("bus", COMMANDS, argv)
