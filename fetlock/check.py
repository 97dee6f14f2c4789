"""`fetlock check`: does each joint do what it is told, and do stop and watchdog work?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from fetlock.arguments import VerbParser
from fetlock.bus.options import add_port, add_robot, robot_of
from robot.clock import RealTimeClock, TickClock
from robot.operator import ConsoleOperator
from robot.self_test import MOVE_RAD, JointResult, self_test


def run(argv: list[str]) -> int:
    """Test a robot; 1 if anything failed. See `fetlock check --help`."""
    parser = VerbParser(
        "check", f"Move each joint by {MOVE_RAD} rad and back, then try stop and watchdog. The motors move: lift the robot off the ground."
    )
    add_port(parser)
    add_robot(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask before the motors move")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options = parser.read(argv)
    robot = robot_of(options)
    try:
        if not options.yes:
            ConsoleOperator(sys.stdin, sys.stderr).confirm("The motors will move. Lift the robot off the ground and keep your hands away")
        result = self_test(robot, TickClock(robot, RealTimeClock(robot.bus_period_s)), (lambda _: None) if options.json else _say)
    finally:
        robot.close()
    if options.json:
        sys.stdout.write(json.dumps(asdict(result) | {"passed": result.passed}) + "\n")
    else:
        sys.stdout.write(f"stop holds: {_word(result.stop_held)}\nwatchdog stops the motors: {_word(result.watchdog_stopped)}\n")
    return 0 if result.passed else 1


def _say(joint: JointResult) -> None:
    sys.stdout.write(f"{joint.name}: moved {joint.moved_rad:+.3f} rad, up to {joint.current_a:.2f} A: {_word(joint.passed)}\n")


def _word(passed: bool) -> str:
    return "ok" if passed else "FAILED"
