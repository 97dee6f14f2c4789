"""`fetlock VERB`: starts the module of a verb and turns every error into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. A verb's module is imported when the verb is called: `--help` needs
none of them.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Protocol, cast

from robot.errors import FetlockError, UsageError

# Module and summary of each verb, in the order of a project's life.
VERBS = {
    "train": ("fetlock.train", "train a policy, in simulation as fast as it goes or in real time"),
    "bus": ("fetlock.bus.verb", "find, set up and watch the motors of a bus: find-port, scan, setup, monitor, ..."),
    "calibrate": ("fetlock.calibrate", "measure where a robot's joints are on its motors; nothing moves"),
    "floor": ("fetlock.calibrate_floor", "measure where an overhead camera sees the floor, from tags at known places"),
    "check": ("fetlock.check", "move each joint of a robot slightly, then try stop and watchdog"),
    "emulate": ("fetlock.emulate", "serve an emulated motor bus that any Protocol 2.0 client can open"),
    "inject": ("fetlock.inject", "break something of an emulated machine, a motion process or a run on purpose, by name"),
    "eval": ("fetlock.evaluate", "run episodes of a trained policy's mean action and report returns, speed and falls"),
    "run": ("fetlock.run_policy", "run a learned policy on a robot, in simulated or in real time; nothing is learned"),
    "teleop": ("fetlock.teleop", "drive a robot by keyboard or gamepad, or take over one that learns; all of it is logged"),
    "reset": ("fetlock.reset_robot", "bring a robot back to where an episode begins, from any fallen pose"),
    "stop": ("fetlock.stop", "stop every robot on this machine, watch over them, or release the stop; needs nothing else to work"),
    "console": ("fetlock.console.verb", "serve the operator's page: mode and reason, STOP, joints, loop, curves; it watches what runs"),
    "log": ("fetlock.log.verb", "look at recorded rollouts, check and mend them: ls, info, verify, recover, cut"),
    "replay": ("fetlock.replay", "play a recorded episode back in simulation, or decide its commands again"),
    "export": ("fetlock.export", "write logs for LeRobot, Minari and Rerun, or a policy as ONNX"),
    "identify": ("fetlock.identify", "fit the actuators of a simulation to a recorded log: one hardware log makes a better simulator"),
    "plot": ("fetlock.plots.verb", "draw pictures of runs: learning curves, gait, joint tracking, interventions"),
    "report": ("fetlock.report", "write one page about a run, with its pictures and videos in it"),
    "doctor": ("fetlock.doctor", "check this machine: versions, cores, real time, disk, ports; each problem with its fix"),
    "config": ("fetlock.show_config", "print the resolved configuration of a file and flags"),
}


class Verb(Protocol):
    """What a verb's module offers."""

    def run(self, argv: list[str]) -> int:
        """Execute the verb with its own arguments and return the exit code."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Args:
        argv: Arguments without the program's name; by default those of the process.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in ("--help", "-h", "help"):
        sys.stdout.write(_usage())
        return 0
    if words[0] == "--version":
        sys.stdout.write(f"fetlock {_version()}\n")
        return 0
    verb = words[0]
    if verb not in VERBS:
        close = difflib.get_close_matches(verb, VERBS, n=1)
        return _fail(f"fetlock: unknown verb {verb!r}: " + (f"the nearest is {close[0]}" if close else f"choose {', '.join(VERBS)}"), 2)
    return _guarded(verb, words[1:], debug=debug)


def _guarded(verb: str, argv: list[str], *, debug: bool) -> int:
    """Run a verb; errors become one line, unless `debug` asks for the traceback."""
    try:
        module = cast("Verb", importlib.import_module(VERBS[verb][0]))
        code = module.run(argv)
        sys.stdout.flush()
        return code
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        return _fail(f"fetlock {verb}: interrupted", 130)
    except BrokenPipeError:
        # The reader of our output left, as `head` does. Nothing more can be said; flushing at exit must not try.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except FetlockError as error:
        if debug:
            raise
        return _fail(f"fetlock {verb}: {error}", 2 if isinstance(error, UsageError) else 1)
    except Exception as error:
        if debug:
            raise
        words = " ".join(str(error).split())
        return _fail(f"fetlock {verb}: unexpected {type(error).__name__}: {words} (run again with --debug for the traceback)", 1)


def _fail(line: str, code: int) -> int:
    sys.stderr.write(" ".join(line.split()) + "\n")
    return code


def _usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, (_, summary) in VERBS.items())
    return (
        "usage: fetlock VERB [OPTIONS]\n\n"
        f"{verbs}\n\n"
        "fetlock VERB --help explains a verb. --debug shows tracebacks. --version prints the version.\n"
    )


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fetlock")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
