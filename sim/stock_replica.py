"""The Minitaur with its stock motors, put anywhere."""

from __future__ import annotations

import numpy as np
import pybullet

from robot.types import BodyMotion, FloatArray
from sim.actuator import MotorState
from sim.config import MinitaurConfig
from sim.dynamics import put_base
from sim.engine import body_motion
from sim.linkage import put_legs
from sim.model import DIRECTIONS
from sim.physics import MinitaurPhysics, motor_bank
from sim.randomise import nominal


class StockReplica:
    """Implements Replica. Motors begin cool.

    Args:
        config: Of the robot.
    """

    def __init__(self, config: MinitaurConfig) -> None:
        self._physics = MinitaurPhysics(config, bus_steps=1)
        self._config = config
        self._parameters = nominal(config)
        self._directions = np.array(DIRECTIONS)
        self._bank = motor_bank(config, self._parameters)
        self._joints = self._states()

    @property
    def step_s(self) -> float:
        return self._physics.step_s

    def begin(self, position_rad: FloatArray, velocity_rad_s: FloatArray, base: BodyMotion | None) -> None:
        world = self._physics.world
        self._physics.restore(self._parameters)
        put_legs(world.client, world.body, world.motors, world.knees, position_rad.tolist(), velocity_rad_s.tolist())
        if base is not None:
            put_base(world.client, world.body, base)
        # It also keeps the ground below.
        body_motion(world.client, world.body)
        self._bank = motor_bank(self._config, self._parameters)
        self._joints = self._states()

    def step(self, goal_rad: FloatArray, before_rad: FloatArray | None = None, share: float = 0.0) -> None:
        # Below saturation a motor is linear in its goal: a step with two goals is one with their mean.
        goal = goal_rad if before_rad is None else share * before_rad + (1.0 - share) * goal_rad
        world = self._physics.world
        torques = self._bank.torques(self._joints, (self._directions * goal).tolist())
        pybullet.setJointMotorControlArray(world.body, world.motors, pybullet.TORQUE_CONTROL, forces=torques, physicsClientId=world.client)
        pybullet.stepSimulation(physicsClientId=world.client)
        self._joints = self._states()

    def _states(self) -> tuple[MotorState, ...]:
        world = self._physics.world
        states: tuple[MotorState, ...] = pybullet.getJointStates(world.body, world.motors, physicsClientId=world.client)
        return states

    def position_rad(self) -> FloatArray:
        angles: FloatArray = self._directions * np.array([state[0] for state in self._joints])
        return angles

    def close(self) -> None:
        self._physics.close()
