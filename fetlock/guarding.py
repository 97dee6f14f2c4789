"""Puts a guard before a robot: its limits by name, what its motors can do, its pulses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pydantic import JsonValue

from fetlock import document
from fetlock.machines import AnyRobotConfig, description_of, names_of_joints
from robot.clock import monotonic_s
from robot.description import NEWEST_FIRMWARE, RobotDescription
from robot.dynamixel.tables import control_table
from robot.dynamixel.units import POSITION_RAD
from robot.errors import UsageError
from robot.protocols import Clock, Robot
from robot.types import frozen_array
from safety import BoardWatch, Capability, GuardConfig, GuardedRobot, StopBoard
from safety.collisions import separation
from safety.drive import Drive, Outside
from safety.emission import Emitter
from safety.fingers import Capsule, Fingers
from sim import MinitaurConfig

if TYPE_CHECKING:
    # It reads limits by this module.
    from fetlock.config import RunConfig

LIMITS = Path(__file__).resolve().parent.parent / "configs" / "limits"
# The stock motors of the Minitaur have no load at 16 V / 0.0954 V s/rad, and turn without end (docs/robots.md).
_STOCK_NO_LOAD_RAD_S = 16.0 / 0.0954
_LINKS = ("side", "middle", "tip")


def read_limits(name: str) -> dict[str, JsonValue]:
    """Read limits by their name in `configs/limits/`, or from a file.

    Raises:
        UsageError: If there are none.
    """
    path = Path(name) if Path(name).suffix in (".yaml", ".yml") else LIMITS / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LIMITS.glob("*.yaml")))
        raise UsageError(f"there are no limits {path}: choose {known}, or give a .yaml file")
    return document.read(path)


def describe_servos(robot: AnyRobotConfig) -> RobotDescription | None:
    """Return the description of a robot on servos; None for the Minitaur with its stock motors."""
    return None if isinstance(robot, MinitaurConfig) else description_of(robot)


def capability(description: RobotDescription) -> Capability:
    """Return what the motors of a description can do: its mechanics, and the tables of their models."""
    tables = [control_table(joint.model, NEWEST_FIRMWARE) for joint in description.joints]
    return Capability(
        position_min_rad=frozen_array([joint.lower_rad for joint in description.joints]),
        position_max_rad=frozen_array([joint.upper_rad for joint in description.joints]),
        velocity_max_rad_s=frozen_array([table.motor.no_load_rpm * 2.0 * math.pi / 60.0 for table in tables]),
        current_max_a=frozen_array([table.motor.stall_current_a for table in tables]),
        temperature_max_c=frozen_array([table["temperature_limit"].initial or 0 for table in tables]),
    )


def fingers_of(description: RobotDescription) -> Fingers | None:
    """Return where the fingers of a described claw are; None for any other robot."""
    described = description.fingers
    if described is None:
        return None
    capsules = [Capsule(_LINKS.index(part.link), part.from_m, part.to_m, part.radius_m) for part in described.capsules]
    return Fingers(described.base_radius_m, described.azimuth_rad, described.side_m, described.middle_m, capsules)


def require_able(robot: AnyRobotConfig, config: GuardConfig, joint_names: Sequence[str], where: str) -> None:
    """Refuse limits that do not fit a robot, or are wider than what its motors can do.

    Raises:
        UsageError: With every one of them.
    """
    description = describe_servos(robot)
    separation(config.collision_margin_m, None if description is None else fingers_of(description), len(joint_names))
    if description is None:
        fastest = float(config.limits(joint_names).velocity_max_rad_s.max())
        if fastest > _STOCK_NO_LOAD_RAD_S:
            raise UsageError(
                f"{where}: guard.velocity_max_rad_s {fastest:g} is more than the motors turn, {_STOCK_NO_LOAD_RAD_S:.1f} rad/s: lower it"
            )
        return
    complaints = capability(description).complaints(config, joint_names)
    if complaints:
        more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
        raise UsageError(f"{where}: guard: {complaints[0]}{more}: narrow the limit, or correct the robot's description")


def guarded(
    robot: Robot,
    machine: AnyRobotConfig,
    config: GuardConfig,
    *,
    bus_hz: float,
    control_hz: float,
    now_s: Callable[[], float],
    drive: Drive | None = None,
    outside: Sequence[Outside] = (),
) -> GuardedRobot:
    """Put a guard before a robot.

    Args:
        robot: Nobody else may hold it.
        machine: Its configuration.
        config: Limits.
        bus_hz: Ticks of the guard, 1/s.
        control_hz: Commands, 1/s.
        now_s: Its clock, s.
        drive: Its torque; None where that has no switch.
        outside: Reasons to stop from outside.
    """
    description = describe_servos(machine)
    return GuardedRobot(
        robot,
        config,
        1.0 / bus_hz,
        now_s=now_s,
        drive=drive,
        capability=None if description is None else capability(description),
        outside=outside,
        **_mechanics(description, bus_hz, control_hz),
    )


def emitter_of(config: RunConfig) -> Emitter:
    """Return what decides in the guard of a run, without a robot: to decide again what is recorded."""
    mechanics = _mechanics(describe_servos(config.robot), config.bus_hz, config.control_hz)
    return Emitter(names_of_joints(config.robot), config.guard, 1.0 / config.bus_hz, **mechanics)


class _Mechanics(TypedDict):
    """What the chain knows of a robot beside its limits."""

    ramp_ticks: int
    pulse_rad: float | None
    fingers: Fingers | None


def _mechanics(description: RobotDescription | None, bus_hz: float, control_hz: float) -> _Mechanics:
    return _Mechanics(
        ramp_ticks=round(bus_hz / control_hz),
        pulse_rad=None if description is None else POSITION_RAD,
        fingers=None if description is None else fingers_of(description),
    )


def guard_of(config: RunConfig, robot: Robot, clock: Clock, drive: Drive | None = None, *, stoppable: bool = False) -> GuardedRobot:
    """Put the guard of a run before its robot.

    Args:
        config: Of the run.
        robot: Nobody else may hold it.
        clock: Its bus clock.
        drive: Its torque; None where that has no switch.
        stoppable: It moves in real time, so the stop board stops it; the board stays open as long as this process lives.
    """
    outside = (BoardWatch(StopBoard(), monotonic_s),) if stoppable else ()
    return guarded(
        robot,
        config.robot,
        config.guard,
        bus_hz=config.bus_hz,
        control_hz=config.control_hz,
        now_s=clock.now_s,
        drive=drive,
        outside=outside,
    )
