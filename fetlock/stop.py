"""`fetlock stop`: stops every robot of this user on this machine, whatever else is broken, and is the operator's release.

A trip of the stop board comes first and needs nobody else: with no board yet it makes one, so that a guard that starts later is stopped.
Then each motion process is asked by its own stop word. It imports neither torch nor the simulation: the
board is tripped 0.26 s after the program's start (median of 20, measured).
"""

from __future__ import annotations

import os
import sys

from fetlock.arguments import VerbParser
from fetlock.stop_motion import stop_motion, targets
from robot.clock import monotonic_s
from robot.errors import FetlockError, UsageError
from safety.estop import StopBoard
from safety.stop_records import EndpointState, StopLevel

# The loop that serves a request does not see the stop word: arming and connecting anew take about a second (safety/command_side.py).
_PATIENCE_S = 2.0
# Chosen: thrice the pause between two check-ins is a second's notice for a person who looks away.
HEARTBEAT_S = 3.0
LEVELS = {level.name.lower(): level for level in StopLevel}


def run(argv: list[str]) -> int:
    """Stop, clear, show or watch; see `fetlock stop --help`. 0: done; 1: something did not confirm, or is still in force."""
    parser = _parser()
    options = parser.read(argv)
    if not options.watch and (options.button is not None or options.heartbeat is not None):
        raise UsageError("--button and --heartbeat need a station that stays: add --watch")
    if options.level is not None and (options.clear or options.status):
        raise UsageError("--clear and --status ask for no level: leave it out")
    if options.clear:
        return _clear()
    if options.status:
        return _status()
    level = None if options.level is None else LEVELS[options.level]
    if options.watch:
        # Only a station needs a terminal and a serial port.
        from fetlock.stop_station import StationOptions, watch

        chosen = StationOptions(level or StopLevel.CUT, options.button, options.button_kind, options.heartbeat)
        with StopBoard() as board:
            return watch(board, chosen)
    return _stop(level or StopLevel.HOLD)


def _parser() -> VerbParser:
    parser = VerbParser(
        "stop",
        "Stop every robot of this user on this machine: each slows down and holds. It stays stopped until `fetlock stop --clear`. "
        "A software stop is no power switch.",
    )
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument("--level", choices=tuple(LEVELS), help="what is asked of the robots (hold; of a station: cut)")
    for name, what in (
        ("settle", "go to the rest pose, then torque off"),
        ("cut", "torque off at once: the robots drop"),
        ("terminate", "torque off, and no motion until their processes are started anew"),
    ):
        levels.add_argument(f"--{name}", dest="level", action="store_const", const=name, help=what)
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("--clear", action="store_true", help="release all stops; forget endpoints whose process is gone")
    actions.add_argument("--status", action="store_true", help="say what is in force, who watches and what runs")
    actions.add_argument("--watch", action="store_true", help="make this terminal an operator's station: any key stops, q ends it")
    parser.add_argument("--button", metavar="PORT", help="of a station: a serial emergency-stop button")
    parser.add_argument("--button-kind", choices=("lines", "switch"), default="lines", help="how it speaks (lines; docs/emergency_stop.md)")
    parser.add_argument(
        "--heartbeat",
        metavar="SECONDS",
        type=float,
        nargs="?",
        const=HEARTBEAT_S,
        help=f"of a station: when it dies, or says nothing for so long, the robots stop ({HEARTBEAT_S:g})",
    )
    return parser


def _stop(level: StopLevel) -> int:
    failure: FetlockError | None = None
    said = ""
    try:
        with StopBoard() as board:
            number = board.trip(level, "fetlock stop", monotonic_s())
            said = f"stopped: {level.name} on the board {board.name} (trip {number}), until 'fetlock stop --clear'"
    except FetlockError as error:
        # The motion processes can still be reached.
        failure = error
    outcomes = stop_motion(_PATIENCE_S)
    # Nothing is printed before all is done: a reader that left must not come between.
    for line in (said, *(outcome.line for outcome in outcomes)):
        if line:
            _say(line)
    if failure is not None:
        raise failure
    return int(not all(outcome.confirmed for outcome in outcomes))


def _clear() -> int:
    now_s = monotonic_s()
    with StopBoard() as board:
        state = board.clear(now_s, f"fetlock stop --clear, user {os.getuid()}")
        if state.level is None:
            _say(f"cleared: nothing is in force on the board {board.name}")
            return 0
        _say(f"still in force on the board {board.name}: {state.level.name} by {state.source}: end that first, then clear again")
        return 1


def _status() -> int:
    now_s = monotonic_s()
    with StopBoard() as board:
        state = board.state(now_s)
        force = "nothing" if state.level is None else f"{state.level.name} by {state.source}"
        _say(f"board {board.name}: {force} in force, {state.sequence} trips so far")
        for trip in board.trips():
            _say(f"trip: {trip.level.name} by {trip.source}, {now_s - trip.stamp_s:.1f} s ago")
        for endpoint in board.endpoints():
            _say(_endpoint_line(endpoint, state.silent))
        if (cleared := board.last_clear()) is not None:
            _say(f"last cleared {now_s - cleared[0]:.1f} s ago by {cleared[1]}")
    for target in targets():
        if target.pid is not None:
            _say(f"{target}: {target.why if target.word is None else 'runs'}")
        target.close()
    return 0


def _endpoint_line(endpoint: EndpointState, silent: tuple[str, ...]) -> str:
    how = endpoint.cause().source if endpoint.name in silent else f"{endpoint.name} checks in"
    return f"endpoint: {how}; {endpoint.level.name} after {endpoint.timeout_s:g} s, process {endpoint.pid}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
