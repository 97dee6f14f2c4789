"""`fetlock console`: the operator's page in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fetlock.arguments import VerbParser
from fetlock.console.ports import DEFAULT_PORT, LOOPBACK, bind
from fetlock.console.subject import choose
from fetlock.stop import HEARTBEAT_S, LEVELS
from robot.errors import UsageError
from safety.endpoint import TIMEOUT_MAX_S, TIMEOUT_MIN_S

# Train drivers' vigilance devices ask every 30 to 60 s; who watches a robot moves a hand less often: chosen twice that.
_PRESENT_S = 120.0


def run(argv: list[str]) -> int:
    """Serve the console until Ctrl-C; see `fetlock console --help`."""
    options = _parser().read(argv)
    if not 5.0 <= options.present <= 3600.0:
        raise UsageError(f"--present {options.present:g}: give 5 to 3600 seconds")
    if options.heartbeat is not None and not TIMEOUT_MIN_S <= options.heartbeat <= TIMEOUT_MAX_S:
        raise UsageError(f"--heartbeat {options.heartbeat:g}: give {TIMEOUT_MIN_S:g} to {TIMEOUT_MAX_S:g} seconds")
    choice = choose(options.runs_dir, options.run, options.motion)
    camera = None
    if options.camera is not None:
        # Only who looks through a camera needs OpenCV.
        from fetlock.console.picture import source_of

        camera = source_of(options.camera)
    listening = bind(options.host, options.port)
    # Of all processes of Fetlock this one alone loads a web server.
    from fetlock.console.server import ConsoleConfig, serve

    level = LEVELS[options.level]
    config = ConsoleConfig(choice, options.host, options.port, level, options.heartbeat, options.present, camera)
    if options.host not in LOOPBACK:
        sys.stderr.write(
            f"warning: {options.host} is reachable by others, unencrypted: whoever reads the token on its way may stop, release and arm "
            f"robots. Better: leave --host out, and forward the port: ssh -L {options.port}:127.0.0.1:{options.port} THIS_MACHINE\n"
        )
    serve(config, listening, lambda: options.parent in (None, os.getppid()))
    return 0


def _parser() -> VerbParser:
    parser = VerbParser(
        "console",
        "Serve the operator's console on this machine until Ctrl-C: mode and its reason, STOP, joints, loop, curves. Open the address that "
        "it prints. It watches what runs; nothing waits for it, and nothing stops because it died, unless --heartbeat says so.",
    )
    parser.add_argument("--run", metavar="NAME", help="a run's name in --runs-dir, or its folder; by default the newest that goes on")
    parser.add_argument("--motion", metavar="NAME", help="a motion process without a run")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), help="where run folders are")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"of the page ({DEFAULT_PORT}); 0 takes a free one")
    parser.add_argument("--host", default=LOOPBACK[0], metavar="ADDRESS", help="to listen at; any but loopback lets others in (127.0.0.1)")
    parser.add_argument("--level", choices=tuple(LEVELS), default="hold", help="what STOP asks of the robots (hold)")
    parser.add_argument(
        "--heartbeat",
        metavar="SECONDS",
        type=float,
        nargs="?",
        const=HEARTBEAT_S,
        help=f"robots hold when the open page, or its operator, is silent for so long ({HEARTBEAT_S:g})",
    )
    parser.add_argument(
        "--present",
        metavar="SECONDS",
        type=float,
        default=_PRESENT_S,
        help=f"with --heartbeat: an operator who touches nothing ({_PRESENT_S:g})",
    )
    parser.add_argument("--camera", metavar="SOURCE", help="a picture of the robot: /dev/videoN or http://...; not the robot's own camera")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this process is no longer the one that started it")
    return parser
