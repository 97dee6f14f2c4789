"""The simulated Minitaur, with its stock motors."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from robot.types import Command, RobotState
from sim.config import MinitaurConfig
from sim.engine import upright, whole_steps
from sim.fall import FALL_MAX_S, draw_linkages, draw_orientation
from sim.ground import slope_quaternion
from sim.model import JOINT_NAMES, feet_of
from sim.physics import MinitaurPhysics
from sim.randomise import EpisodeParameters, draw
from sim.sensing import Sensors
from sim.stepped import SteppedRobot, fall_intact, stand_up
from sim.world import World

# A reset drives to the start pose for at least the first time, then until the robot is still, which it looks at every third, and at most
# for the second, s. It does not depend on the bus rate.
_DRIVE_MIN_S, _DRIVE_MAX_S, _DRIVE_LOOK_S = 0.06, 1.0, 0.01


class SimulatedMinitaur(SteppedRobot):
    """Implements Robot and Resettable. Standing at its start pose when made.

    Joint angles are the motors': m[2i] = extension - s_i swing, m[2i+1] = extension + s_i swing, s = (1, 1, -1, -1) for the legs front
    left, back left, front right, back right. A larger extension makes the leg longer (0.157 m of height at pi/2, 0.207 m at 2.0, measured);
    a positive swing moves the foot backwards. The base's frame: x forward, y left, z up.

    Args:
        config: Physics, motors, delays, sensors, ground.
        bus_period_s: Time between two reads, a whole number of physics steps.
        seed: Of the first episode.

    Raises:
        UsageError: If the bus period does not fit the physics, or a window is asked for and there is no display.
    """

    joint_names = JOINT_NAMES

    def __init__(self, config: MinitaurConfig, bus_period_s: float, seed: int = 0) -> None:
        self.config = config
        self._physics = MinitaurPhysics(config, whole_steps(bus_period_s, config.physics_hz))
        self._ground = slope_quaternion(config.ground)
        super().__init__(self._physics, self._physics)
        self.reset(np.random.default_rng(seed))

    @property
    def world(self) -> World:
        """Handles of the PyBullet world, for cameras.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        return self._physics.world

    @property
    def feet(self) -> dict[str, tuple[int, ...]]:
        return feet_of(self.world.knees)

    @property
    def parameters(self) -> EpisodeParameters:
        """What the newest reset drew."""
        return self._parameters

    @property
    def motors_enabled(self) -> tuple[bool, ...]:
        """Whether each motor works; one that overheated is off until the next reset."""
        return self._physics.motors_enabled

    def _measure(self) -> RobotState:
        return self._sensors.state(self._physics.newest_sample(), self._physics.step)

    def _send(self, command: Command) -> Command:
        self._physics.put_targets(command.position_rad.tolist())
        return command

    def reset(self, rng: np.random.Generator) -> None:
        """Restore the snapshot, draw a machine and a pose from `rng`, and drive there until the robot stands still.

        Raises:
            ClosedError: After `close`.
            RobotError: If the robot stands after none of them: the ground or the randomised machine does not let it.
        """
        self._begin_reset()
        self._begin_episode(stand_up(partial(self._attempt, rng)))

    def drop(self, rng: np.random.Generator) -> None:
        """Draw a machine, any motor angles and any orientation from `rng`; let the robot fall and wait until it is at rest.

        Angles are within bullet3's ranges of swing and motor gap. The motors hold them, and are cool at the end. A fall that pushes a
        leg beyond its range of gaps, where it may turn inside out for good, is drawn anew.

        Raises:
            ClosedError: After `close`.
            RobotError: If ten falls in a row do.
        """
        self._begin_reset()
        self._begin_episode(fall_intact(partial(self._fall, rng)))

    def _fall(self, rng: np.random.Generator) -> tuple[EpisodeParameters, bool]:
        """Let the robot fall; return what was drawn and whether its legs are within their ranges."""
        physics = self._physics
        drawn = draw(self.config, rng)
        pose = draw_linkages(rng, (-math.inf,) * len(JOINT_NAMES), (math.inf,) * len(JOINT_NAMES))
        parameters = replace(drawn, start_pose_rad=pose)
        physics.drop(parameters, draw_orientation(rng))
        self._run_until_still(FALL_MAX_S)
        physics.cool_motors(parameters)
        return parameters, physics.intact()

    def _begin_episode(self, parameters: EpisodeParameters) -> None:
        physics = self._physics
        self._parameters = parameters
        self._sensors = Sensors(self.config.noise, parameters.noise_seed, physics.step, physics.step_s, parameters.battery_v)
        physics.begin_delays(parameters.control_latency_s, parameters.sensing_latency_s)

    def _attempt(self, rng: np.random.Generator) -> tuple[EpisodeParameters, float]:
        """Drive to a drawn pose; return what was drawn and the cosine of the tilt at the end."""
        physics = self._physics
        parameters = draw(self.config, rng)
        physics.restore(parameters)
        self._run_until_still(_DRIVE_MAX_S)
        return parameters, upright(physics.base_pose()[1], self._ground)

    def _run_until_still(self, max_s: float) -> None:
        physics = self._physics
        physics.run(round(_DRIVE_MIN_S / physics.step_s))
        look_steps = round(_DRIVE_LOOK_S / physics.step_s)
        for _ in range(round((max_s - _DRIVE_MIN_S) / _DRIVE_LOOK_S)):
            if physics.still():
                break
            physics.run(look_steps)
