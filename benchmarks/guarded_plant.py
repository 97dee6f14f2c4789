"""The guards of all robots around a plant that costs next to nothing: what attacks and timings run against."""

from __future__ import annotations

import math

import numpy as np

from fetlock.guarding import capability, fingers_of, read_limits
from robot.description import load_description
from robot.dynamixel.units import POSITION_RAD
from robot.types import Command, JointState, RobotState, frozen_array
from safety import GuardConfig, GuardedRobot
from safety.limits import Limits
from sim import MinitaurConfig, joint_names

# Bus tick, s.
H = 0.01
# Natural frequency and damping of a position servo's loop on a light leg, rad/s: it overshoots by a tenth.
_NATURAL_RAD_S, _DAMPING = 60.0, 0.6
# Its free motion over a tick, exactly: from x'' = -w^2 x - 2 d w x', with the damped frequency w sqrt(1 - d^2).
_DAMPED = _NATURAL_RAD_S * math.sqrt(1.0 - _DAMPING**2)
_DECAY, _ANGLE = math.exp(-_DAMPING * _NATURAL_RAD_S * H), _DAMPED * H
_SKEW = _DAMPING * _NATURAL_RAD_S / _DAMPED * math.sin(_ANGLE)
_FREE = _DECAY * np.array(
    [[math.cos(_ANGLE) + _SKEW, math.sin(_ANGLE) / _DAMPED], [-(_NATURAL_RAD_S**2) / _DAMPED * math.sin(_ANGLE), math.cos(_ANGLE) - _SKEW]]
)
# Bus ticks of a policy tick.
RAMP = 4
ROBOTS = ("minitaur", "kitty", "claw")


class Plant:
    """Implements Robot: joints that follow their targets as a servo does, and never stop at a limit."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.joint_names = names
        self.time_s = 0.0
        self.position = np.zeros(len(names))
        self.velocity = np.zeros(len(names))
        self._target = self.position

    def read(self) -> RobotState:
        position, velocity = frozen_array(self.position), frozen_array(self.velocity)
        return RobotState(JointState(self.time_s, position, velocity, frozen_array(np.zeros(len(self.joint_names)))))

    def write(self, command: Command) -> Command:
        self._target = command.position_rad
        return command

    def stop(self) -> None:
        self._target = self.position

    def close(self) -> None:
        """Hold nothing."""

    def now_s(self) -> float:
        """Return its time, s."""
        return self.time_s

    def wait(self) -> None:
        """Let a bus tick pass."""
        self.time_s += H
        off, speed = self.position - self._target, self.velocity
        self.position = self._target + _FREE[0, 0] * off + _FREE[0, 1] * speed
        self.velocity = _FREE[1, 0] * off + _FREE[1, 1] * speed


def make_guard(robot: str) -> tuple[GuardedRobot, Plant, Limits]:
    """Return the guard of a robot with its limits, its plant in the middle of the box, and the limits of a policy."""
    config = GuardConfig.model_validate(read_limits(robot))
    # The plant is no servo of this robot: how far it lags says nothing.
    config = config.model_copy(update={"tracking_error_max_rad": None})
    servos = robot != "minitaur"
    description = load_description(robot) if servos else None
    names = joint_names(MinitaurConfig()) if description is None else description.joint_names
    limits = config.limits(names)
    plant = Plant(names)
    plant.position = 0.5 * (limits.position_min_rad + limits.position_max_rad)
    guard = GuardedRobot(
        plant,
        config,
        H,
        now_s=plant.now_s,
        ramp_ticks=RAMP,
        capability=None if description is None else capability(description),
        pulse_rad=POSITION_RAD if servos else None,
        fingers=None if description is None else fingers_of(description),
    )
    return guard, plant, limits
