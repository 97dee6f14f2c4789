"""`fetlock plot COMMAND`: chooses the picture."""

from __future__ import annotations

from fetlock.subverbs import run_command

COMMANDS = {
    "curves": ("fetlock.plots.curves", "return, speed, falls and length over environment steps, of one run, several, or seeds together"),
    "gait": ("fetlock.plots.gait", "when each foot stood on the ground in a simulated episode, with duty factors and stride frequency"),
    "tracking": ("fetlock.plots.tracking", "what each joint was sent, and where it was"),
    "interventions": ("fetlock.plots.interventions", "how often each stage of the guard changed a command, episode by episode"),
}


def run(argv: list[str]) -> int:
    """Run a command; see `fetlock plot --help`."""
    return run_command("plot", COMMANDS, argv)
