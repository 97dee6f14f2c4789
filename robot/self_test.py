"""Moves each joint of a connected robot a little and sees whether it does what it was told; then tries its stop and its watchdog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot.clock import sleep_s
from robot.errors import MotorError, RobotError
from robot.hardware import HardwareRobot
from robot.protocols import Clock
from robot.types import Command, FloatArray, frozen_array

# Far enough to be seen behind the play of the gears (15 arcmin, e-manual), little enough to hurt nobody: 0.05 rad is 33 pulses.
MOVE_RAD = 0.05
# Time to get there and back, s: 40 times what a free motor needs.
_MOVE_S = 0.5
# A joint that has gone at least this share of the way obeys.
_REACHED = 0.5
# A joint that holds stays within this, rad: 5 pulses and the play of the gears.
_HELD_RAD = 0.015


@dataclass(frozen=True, slots=True)
class JointResult:
    """What one joint did.

    Attributes:
        name: Of the joint.
        moved_rad: In the direction of the command.
        others_rad: Largest motion of any other joint meanwhile.
        current_a: Largest magnitude.
        passed: It moved as told.
    """

    name: str
    moved_rad: float
    others_rad: float
    current_a: float
    passed: bool


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What the whole robot did.

    Attributes:
        joints: One result each.
        stop_held: After `stop`, a far command moved nothing.
        watchdog_stopped: After a silence, every motor had stopped by itself.
    """

    joints: tuple[JointResult, ...]
    stop_held: bool
    watchdog_stopped: bool

    @property
    def passed(self) -> bool:
        """Everything did what it should."""
        return all(joint.passed for joint in self.joints) and self.stop_held and self.watchdog_stopped


def self_test(robot: HardwareRobot, clock: Clock, say: Callable[[JointResult], None] = lambda _: None) -> SelfTest:
    """Arm the robot where it stands, move each joint by 0.05 rad and back, stop it, starve its watchdog, switch torque off.

    Args:
        robot: Connected, torque off.
        clock: Its bus clock.
        say: Is told each joint's result.

    Raises:
        RobotError: If the robot cannot be armed or read; torque is then off.
    """
    try:
        robot.arm()
        results = []
        for joint in range(len(robot.joint_names)):
            results.append(_move(robot, clock, joint))
            say(results[-1])
        held = _stops(robot, clock)
        robot.arm()
        return SelfTest(tuple(results), held, _watchdog_stops(robot))
    finally:
        robot.cut()


def _move(robot: HardwareRobot, clock: Clock, joint: int) -> JointResult:
    start = robot.read().joints.position_rad
    low, high = robot.description.joints[joint].lower_rad, robot.description.joints[joint].upper_rad
    # Towards the middle of its range.
    step = MOVE_RAD if start[joint] < (low + high) / 2.0 else -MOVE_RAD
    target = start.copy()
    target[joint] += step
    end, current = _drive(robot, clock, target)
    _drive(robot, clock, start)
    moved = (end - start) * np.sign(step)
    others = np.delete(np.abs(end - start), joint)
    return JointResult(
        robot.joint_names[joint],
        float(moved[joint]),
        float(others.max()) if len(others) else 0.0,
        current,
        bool(moved[joint] >= _REACHED * MOVE_RAD),
    )


def _drive(robot: HardwareRobot, clock: Clock, target: FloatArray) -> tuple[FloatArray, float]:
    """Hold a target for a while; return where the joints came to and the largest current, A."""
    current = 0.0
    for _ in range(max(2, round(_MOVE_S / clock.period_s))):
        robot.write(Command(frozen_array(target)))
        clock.wait()
        joints = robot.read().joints
        if joints.current_a is not None:
            current = max(current, float(np.abs(joints.current_a).max()))
    return robot.read().joints.position_rad, current


def _stops(robot: HardwareRobot, clock: Clock) -> bool:
    robot.stop()
    held = robot.read().joints.position_rad
    far = frozen_array(held + MOVE_RAD * 4.0)
    end, _ = _drive(robot, clock, far)
    return bool(np.abs(end - held).max() < _HELD_RAD + MOVE_RAD / 4.0)


def _watchdog_stops(robot: HardwareRobot) -> bool:
    """Send nothing for longer than the watchdog waits; every motor must say that it stopped."""
    robot.read()
    sleep_s(robot.description.servo.watchdog_s + 0.1)
    robot.advance()
    try:
        robot.read()
    except MotorError as error:
        return all(str(motor) in str(error) for motor in robot.description.ids)
    except RobotError:
        return False
    return False
