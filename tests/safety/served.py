"""A motion server without a process: it ticks when its client sleeps, on a time that nobody waits for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from robot import Clock, Command, RobotError, RobotState
from robot.clock import RealTimeClock
from safety import GuardConfig, GuardedRobot, Machine, MotionClient, MotionLink, MotionServer, Silence
from tests.fakes import InstantClock, InstantRobot

PERIOD_S = 0.01
CONFIG = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=10.0, acceleration_max_rad_s2=1e5)
SILENCE = Silence(freeze_s=0.04, hold_s=0.2)


class ErringRobot(InstantRobot):
    """Raises what it is told to, at its next read or write."""

    def __init__(self) -> None:
        super().__init__(3)
        self.read_error: RobotError | None = None
        self.write_error: RobotError | None = None
        self.stops = 0

    def read(self) -> RobotState:
        if self.read_error is not None:
            raise self.read_error
        return super().read()

    def write(self, command: Command) -> Command:
        if self.write_error is not None:
            raise self.write_error
        return super().write(command)

    def stop(self) -> None:
        self.stops += 1
        super().stop()


class Torque:
    """A drive of no motors."""

    def __init__(self) -> None:
        self.armed = False
        self.error: RobotError | None = None

    def arm(self) -> None:
        if self.error is not None:
            raise self.error
        self.armed = True

    def cut(self) -> None:
        self.armed = False


@dataclass
class Served:
    """One server, its link, and the time that its clients share with it."""

    machine: Machine
    link: MotionLink
    now_s: float = 100.0
    due_s: float = 100.0
    running: bool = True
    server: MotionServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = MotionServer(self.machine, self.link, SILENCE, self.read_s, ("one thing: granted",))

    def read_s(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        """Let time pass, and the server tick when it is due."""
        end_s = self.now_s + duration_s
        while self.running and self.due_s <= end_s:
            self.now_s = max(self.now_s, self.due_s)
            self.tick()
        self.now_s = end_s

    def tick(self) -> None:
        self.server.tick()
        self.machine.clock.wait()
        self.due_s = self.now_s + self.machine.clock.period_s

    def ticks(self, count: int) -> None:
        for _ in range(count):
            self.sleep(self.machine.clock.period_s)

    def client(self) -> MotionClient:
        return MotionClient(self.link.name, self.read_s, self.sleep)


def instant_machine(robot: InstantRobot, drive: Torque | None = None) -> Machine:
    clock: Clock = InstantClock(robot, PERIOD_S)
    guard = GuardedRobot(robot, CONFIG, PERIOD_S, now_s=clock.now_s, drive=drive)
    return Machine(guard, clock, RealTimeClock(PERIOD_S, lambda: 0.0), robot.reset, drive)


def unique() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@contextmanager
def serving(machine: Machine) -> Iterator[Served]:
    link = MotionLink.create(unique(), len(machine.robot.joint_names))
    try:
        yield Served(machine, link)
    finally:
        link.close()
        link.unlink()


@contextmanager
def serving_instant(drive: Torque | None = None) -> Iterator[tuple[Served, ErringRobot]]:
    robot = ErringRobot()
    with serving(instant_machine(robot, drive)) as served:
        yield served, robot


def spin(name: str, robot: Callable[[], InstantRobot]) -> None:
    """Serve as fast as the core goes, for ever: the body of a process that is killed."""
    machine = instant_machine(robot())
    link = MotionLink.create(name, len(machine.robot.joint_names))
    served = Served(machine, link)
    while True:
        served.now_s += PERIOD_S
        served.tick()


class CountingRobot(InstantRobot):
    """A robot all of whose measurements are the number of its tick, so that a state made of two shows."""

    def __init__(self) -> None:
        super().__init__(12)

    def tick(self, period_s: float) -> None:
        self.time_s += 1.0
        self._position = np.full(12, self.time_s)
        self._position.flags.writeable = False

    def read(self) -> RobotState:
        state = super().read()
        joints = state.joints
        object.__setattr__(joints, "velocity_rad_s", self._position)
        object.__setattr__(joints, "torque_nm", self._position)
        return state
