"""A robot without physics, its joints where they were told to be: for the laws of what stands around a robot, never for its own."""

from __future__ import annotations

import numpy as np

from robot import ClosedError, Command, FloatArray, ImuState, JointState, RobotState, TrackedPose, frozen_array, require_executable


class InstantRobot:
    """Implements Robot: a command is executed completely by the next tick of `InstantClock`."""

    def __init__(self, joints: int = 3, start_rad: float = 0.0) -> None:
        self.joint_names = tuple(f"joint_{i}" for i in range(joints))
        self.time_s = 0.0
        self.written: list[FloatArray] = []
        self._target = frozen_array(np.full(joints, start_rad))
        self._position = self._target
        self._held = False
        self._closed = False

    def tick(self, period_s: float) -> None:
        self.time_s += period_s
        self._position = self._target

    def read(self) -> RobotState:
        if self._closed:
            raise ClosedError("this robot is closed: make a new one")
        zeros = frozen_array(np.zeros(len(self.joint_names)))
        return RobotState(
            JointState(self.time_s, self._position, zeros, zeros, torque_nm=zeros),
            imu=ImuState(frozen_array(np.eye(3)), frozen_array(np.zeros(3)), 0.0),
            tracked_base=TrackedPose(frozen_array([0.0, 0.0, 0.2]), frozen_array(np.zeros(3)), 0.0),
        )

    def write(self, command: Command) -> Command:
        if self._closed:
            raise ClosedError("this robot is closed: make a new one")
        require_executable(command, len(self.joint_names))
        if not self._held:
            self._target = command.position_rad
            self.written.append(command.position_rad)
        return Command(self._target)

    def stop(self) -> None:
        self._held = True
        self._target = self._position

    def close(self) -> None:
        self._closed = True

    def reset(self, rng: np.random.Generator, centre_rad: float = 0.0) -> None:
        self._held = False
        self.time_s = 0.0
        self._target = self._position = frozen_array(centre_rad + rng.uniform(-0.1, 0.1, len(self.joint_names)))


class InstantClock:
    """Implements Clock for an `InstantRobot`."""

    def __init__(self, robot: InstantRobot, period_s: float) -> None:
        self.period_s = period_s
        self._robot = robot

    def now_s(self) -> float:
        return self._robot.time_s

    def wait(self) -> float:
        self._robot.tick(self.period_s)
        return 0.0
