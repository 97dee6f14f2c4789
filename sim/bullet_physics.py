"""Joints of a PyBullet body that take torques: what every simulated robot on servos is made of."""

from __future__ import annotations

from collections.abc import Sequence

import pybullet

from robot.types import BodyMotion
from sim.engine import Vector, body_motion, pull
from sim.renderer import close_world


class BulletJoints:
    """A body with its driven joints, one physics step at a time.

    Args:
        client: Number of the physics client.
        body: The robot.
        joints: Numbers of the driven joints.
        physics_hz: Physics steps per second.
    """

    def __init__(self, client: int, body: int, joints: Sequence[int], physics_hz: int) -> None:
        self.client = client
        self.body = body
        self.step_s = 1.0 / physics_hz
        self._joints = tuple(joints)
        self._force_world_n: Vector = (0.0, 0.0, 0.0)
        self._pull_steps = 0
        self._jammed: dict[int, float] = {}

    def states(self) -> Sequence[Sequence[float]]:
        """Return angle, rad, velocity, rad/s, and more of each joint, as PyBullet counts."""
        states: Sequence[Sequence[float]] = pybullet.getJointStates(self.body, self._joints, self.client)
        return states

    def step(self, torques_nm: Sequence[float]) -> None:
        """Move on by one step with these torques, N m."""
        client = self.client
        pybullet.setJointMotorControlArray(self.body, self._joints, pybullet.TORQUE_CONTROL, forces=torques_nm, physicsClientId=client)
        if self._pull_steps:
            self._pull_steps -= 1
            pull(client, self.body, self._force_world_n)
        pybullet.stepSimulation(physicsClientId=client)
        for joint, angle in self._jammed.items():
            pybullet.resetJointState(self.body, joint, angle, 0.0, physicsClientId=client)

    def motion(self) -> BodyMotion:
        """Return where the base is and how it moves."""
        return body_motion(self.client, self.body)

    def push(self, force_world_n: Vector, steps: int) -> None:
        """Pull at the base's centre for a number of physics steps from now; 0 ends it."""
        self._force_world_n, self._pull_steps = force_world_n, steps

    def jam(self, index: int, *, on: bool) -> None:
        """Block a driven joint where it is, or free it. It is put back after each step: contacts may push it by what a step moves."""
        joint = self._joints[index]
        if on:
            self._jammed[joint] = float(self.states()[index][0])
        else:
            self._jammed.pop(joint, None)

    def close(self) -> None:
        """Disconnect from PyBullet; once."""
        close_world(self.client)
