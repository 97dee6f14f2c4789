"""`fetlock bus monitor`: a robot's motors, live."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from fetlock.arguments import VerbParser
from fetlock.bus.options import add_port, add_robot, robot_of
from robot.clock import RealTimeClock, TickClock, monotonic_s
from robot.dynamixel.tables import hardware_errors
from robot.hardware import HardwareRobot
from robot.types import RobotState

# Redrawn this often, s: as fast as a person reads.
_DRAW_S = 0.2


def run(argv: list[str]) -> int:
    """Watch; see `fetlock bus monitor --help`."""
    parser = VerbParser("bus monitor", "Watch a robot's motors, with torque off: joints can be moved by hand. Ctrl-C ends it.")
    add_port(parser)
    add_robot(parser)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after this time")
    parser.add_argument("--json", action="store_true", help="print one line of JSON for each reading")
    options = parser.read(argv)
    robot = robot_of(options)
    try:
        if options.json:
            for state in _states(robot, options.seconds):
                sys.stdout.write(json.dumps(_record(robot, state)) + "\n")
        else:
            with Live(console=Console(stderr=False), auto_refresh=False) as live:
                for state in _states(robot, options.seconds):
                    live.update(_table(robot, state), refresh=True)
    except KeyboardInterrupt:
        return 0
    finally:
        robot.close()
    return 0


def _states(robot: HardwareRobot, seconds: float) -> Iterator[RobotState]:
    clock = TickClock(robot, RealTimeClock(_DRAW_S))
    end_s = monotonic_s() + seconds
    while True:
        yield robot.read()
        if monotonic_s() + _DRAW_S > end_s:
            return
        clock.wait()


def _record(robot: HardwareRobot, state: RobotState) -> dict[str, object]:
    joints = state.joints
    return {
        "stamp_s": joints.stamp_s,
        "joints": list(robot.joint_names),
        "position_rad": joints.position_rad.tolist(),
        "velocity_rad_s": joints.velocity_rad_s.tolist(),
        "current_a": None if joints.current_a is None else joints.current_a.tolist(),
        "temperature_c": None if joints.temperature_c is None else [None if np.isnan(value) else value for value in joints.temperature_c],
        "age_s": joints.age_s.tolist(),
        "hardware_error": list(joints.hardware_error or ()),
        "voltage_v": state.voltage_v,
    }


def _table(robot: HardwareRobot, state: RobotState) -> Table:
    joints = state.joints
    table = Table(
        "joint", "id", "rad", "rad/s", "A", "deg C", "age ms", "errors", title=f"{robot.description.name}  {state.voltage_v:.1f} V"
    )
    for index, joint in enumerate(robot.description.joints):
        error = joints.hardware_error[index] if joints.hardware_error else 0
        table.add_row(
            joint.name,
            str(joint.id),
            f"{joints.position_rad[index]:+.3f}",
            f"{joints.velocity_rad_s[index]:+.2f}",
            "" if joints.current_a is None else f"{joints.current_a[index]:+.2f}",
            "" if joints.temperature_c is None else f"{joints.temperature_c[index]:.0f}",
            f"{joints.age_s[index] * 1e3:.0f}",
            ", ".join(hardware_errors(error)),
        )
    return table
