"""Machines that can be put into any recorded state and stepped from there: what system identification compares a log with.

Time is counted in physics steps from that state on. A goal may come between two steps: the step in which it comes is driven by both goals,
each for its share, so that what the joints do is a smooth function of when it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from robot.description import RobotDescription
from robot.protocols import MotorPhysics
from robot.types import BodyMotion, FloatArray
from sim.servo_robot import provisioned_servos


class PutBody(MotorPhysics, Protocol):
    """What moves under servos, and can be put anywhere."""

    def put(self, position_rad: Sequence[float], velocity_rad_s: Sequence[float], base: BodyMotion | None) -> None:
        """Put the machine into a state, as if nothing had touched it before; None leaves the base where it is bolted down."""

    def close(self) -> None:
        """Release the world; once."""


class Replica(Protocol):
    """A simulated machine that begins anywhere."""

    @property
    def step_s(self) -> float:
        """Length of a physics step, s."""

    def begin(self, position_rad: FloatArray, velocity_rad_s: FloatArray, base: BodyMotion | None) -> None:
        """Put the machine into a state. Shapes (n,), rad and rad/s, in the robot's joint convention; None: the base is bolted down."""

    def step(self, goal_rad: FloatArray, before_rad: FloatArray | None = None, share: float = 0.0) -> None:
        """Move on by one physics step.

        Args:
            goal_rad: Joint goals, shape (n,), rad.
            before_rad: Those that counted for the first `share` of the step; None: there were no others.
            share: 0 to 1.
        """

    def position_rad(self) -> FloatArray:
        """Return the exact joint angles. Shape (n,), rad."""

    def close(self) -> None:
        """Release the world; once."""


class ServoReplica:
    """Implements Replica for a robot on Dynamixel servos.

    Args:
        description: Of the robot: its servos and their settings.
        physics: What they move.
    """

    def __init__(self, description: RobotDescription, physics: PutBody) -> None:
        self._physics = physics
        self._map = description.joint_map
        self._servos = provisioned_servos(description, physics.step_s, len(description.joints))
        drawn = physics.reset(np.random.default_rng(0))
        for servo, strength in zip(self._servos, drawn.strength, strict=True):
            servo.meet(drawn.supply_v, strength, drawn.gain_scale)
        self._joints = physics.joints()
        self._goal_rad: FloatArray | None = None

    @property
    def step_s(self) -> float:
        return self._physics.step_s

    def begin(self, position_rad: FloatArray, velocity_rad_s: FloatArray, base: BodyMotion | None) -> None:
        self._physics.put(position_rad.tolist(), velocity_rad_s.tolist(), base)
        for servo in self._servos:
            servo.restart()
        self._joints = self._physics.joints()
        # Looking at a base moves the ground below it along.
        self._physics.body()

    def step(self, goal_rad: FloatArray, before_rad: FloatArray | None = None, share: float = 0.0) -> None:
        # An integral gain would be counted twice where two goals share a step, which is one in each bus period.
        before = None if before_rad is None else self._torques_nm(before_rad)
        torques = self._torques_nm(goal_rad)
        if before is not None:
            torques = [share * one + (1.0 - share) * other for one, other in zip(before, torques, strict=True)]
        self._physics.step(torques)
        self._joints = self._physics.joints()

    def _torques_nm(self, goal_rad: FloatArray) -> list[float]:
        """Let the servos drive to a goal; an array that is known already is not rounded to pulses again."""
        if goal_rad is not self._goal_rad:
            self._goal_rad = goal_rad
            for servo, raw in zip(self._servos, self._map.to_raw(goal_rad).tolist(), strict=True):
                servo.registers.goal_position = raw
        return [servo.torque_nm(joint[0], joint[1]) for servo, joint in zip(self._servos, self._joints, strict=True)]

    def position_rad(self) -> FloatArray:
        return np.array([joint[0] for joint in self._joints])

    def close(self) -> None:
        self._physics.close()
