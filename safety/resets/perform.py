"""Drives a motion on a robot: the only part of resets that touches one."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from robot.protocols import Clock, Robot
from robot.types import Command, FloatArray, RobotState

ResultT = TypeVar("ResultT")


def perform(motion: Generator[FloatArray, RobotState, ResultT], robot: Robot, clock: Clock) -> ResultT:
    """Write each target, wait for the tick, and send the motion what was then read.

    Args:
        motion: Yields targets of shape (n,), rad.
        robot: Behind its guard.
        clock: Of the bus; its period is the motion's.

    Returns:
        What the motion returns.
    """
    try:
        target = next(motion)
        while True:
            robot.write(Command(target))
            clock.wait()
            target = motion.send(robot.read())
    except StopIteration as end:
        result: ResultT = end.value
        return result
