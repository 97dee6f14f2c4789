"""Time of an environment step over that of its physics alone, without and with the guard, in turns within one run.

    ./run bench env [--steps 500] [--repeats 9] [--bus-hz 100]

The robot trots through motor model, bus ticks and walking task. "Physics alone" is what PyBullet must be asked for in any case at every
physics step: put the torques on, step, read the joints; from the same state and with the torques recorded before, so that it comes to the
same pose, bit for bit, which is checked. Resets are outside of all figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import numpy as np
import pybullet
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.build import make_env, make_task
from fetlock.config import RunConfig, load_config, task_of
from robot.clock import monotonic_s
from robot.errors import FetlockError
from safety import MotionLoop
from sim import MinitaurConfig, MinitaurSimulation, simulate_minitaur
from training.env import RobotEnv

_TROT_HZ = 2.0

Actions = np.ndarray
Torques = list[list[float]]


def trot(steps: int, control_hz: float) -> Actions:
    """Return actions, shape (steps, 8): swings, then extensions; diagonal legs swing together, shorter on their way forwards."""
    phase = 2.0 * np.pi * _TROT_HZ * np.arange(steps)[:, None] / control_hz + np.array([0.0, np.pi, np.pi, 0.0])
    return np.concatenate([-np.sin(phase), -np.maximum(0.0, np.cos(phase))], axis=1).astype(np.float32)


def steps_s(env: RobotEnv[Any], actions: Actions, seed: int) -> float:
    """Run an episode through the environment; return the seconds that its steps took.

    Raises:
        FetlockError: If the robot falls.
    """
    env.begin(np.random.default_rng(seed))
    start_s = monotonic_s()
    for action in actions:
        if env.advance(action).terminated:
            raise FetlockError("the benchmark's trot fell: it is made for flat ground and the machine of configs/minitaur_walk.yaml")
    return monotonic_s() - start_s


def _minitaur(config: RunConfig) -> MinitaurConfig:
    if not isinstance(config.robot, MinitaurConfig):
        raise FetlockError(f"the benchmark's trot is the Minitaur's: robot.kind is {config.robot.kind}")
    return config.robot


class Unguarded:
    """An episode of a robot without a guard, which can be repeated as the physics alone."""

    def __init__(self, config: RunConfig, actions: Actions) -> None:
        self._simulation: MinitaurSimulation = simulate_minitaur(_minitaur(config), config.bus_hz)
        robot = self._simulation.robot
        motion = MotionLoop(robot, self._simulation.clock, round(config.bus_hz / config.control_hz))
        task = make_task(config, motion.policy_period_s)
        self.env: RobotEnv[Any] = RobotEnv(motion, task, self._begin, robot.close, task_of(config).time_limit_steps)
        self._actions = actions
        self._seed = config.seed

    def _begin(self, rng: np.random.Generator, _goes_on: Callable[[], bool]) -> tuple[()]:
        self._simulation.robot.reset(rng)
        return ()

    def record(self) -> tuple[int, Torques]:
        """Run the episode once; return a saved state of its beginning and the torques of its physics steps."""
        torques: Torques = []
        put = pybullet.setJointMotorControlArray

        def recording(body: int, motors: Sequence[int], mode: int, *, forces: list[float], physicsClientId: int) -> None:
            torques.append(list(forces))
            put(body, motors, mode, forces=forces, physicsClientId=physicsClientId)

        self.env.begin(np.random.default_rng(self._seed))
        state = pybullet.saveState(physicsClientId=self._simulation.robot.world.client)
        with mock.patch.object(pybullet, "setJointMotorControlArray", recording):
            for action in self._actions:
                self.env.advance(action)
        return state, torques

    def physics(self, state: int, torques: Torques) -> float:
        """Run recorded torques from a saved state with the fewest calls; return the seconds that it took."""
        world = self._simulation.robot.world
        client, body, motors, mode = world.client, world.body, world.motors, pybullet.TORQUE_CONTROL
        put, step, read = pybullet.setJointMotorControlArray, pybullet.stepSimulation, pybullet.getJointStates
        pybullet.restoreState(stateId=state, physicsClientId=client)
        start_s = monotonic_s()
        for forces in torques:
            put(body, motors, mode, forces=forces, physicsClientId=client)
            step(physicsClientId=client)
            read(body, motors, client)
        return monotonic_s() - start_s

    def pose(self) -> tuple[object, object]:
        """Return position and orientation of the base."""
        world = self._simulation.robot.world
        position, quaternion = pybullet.getBasePositionAndOrientation(world.body, physicsClientId=world.client)
        return position, quaternion


def main(argv: Sequence[str]) -> Report:
    """Measure; ours and the limit are microseconds of one environment step, the ratio of interest is ours over the limit."""
    parser = argparse.ArgumentParser(prog="bench env")
    parser.add_argument("--steps", type=int, default=500, help="environment steps of one measurement")
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each, in turns; the median is reported")
    parser.add_argument("--bus-hz", type=float, default=100.0)
    options = parser.parse_args(list(argv))
    config = load_config(["--bus-hz", str(options.bus_hz)], prog="bench env")
    actions = trot(options.steps, config.control_hz)
    plain, guarded = Unguarded(config, actions), make_env(config)
    try:
        state, torques = plain.record()
        end = plain.pose()
        calls: dict[str, Callable[[], float]] = {
            "physics alone": lambda: plain.physics(state, torques),
            "without guard": lambda: steps_s(plain.env, actions, config.seed),
            "with guard": lambda: steps_s(guarded, actions, config.seed),
        }
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(options.repeats):
            for name, call in calls.items():
                seconds[name].append(call())
                if name == "physics alone" and plain.pose() != end:
                    raise FetlockError("the physics alone came to another pose than the environment: it is not the same work")
    finally:
        plain.env.close()
        guarded.close()
    step_us = {name: float(np.median(values)) / options.steps * 1e6 for name, values in seconds.items()}
    details: dict[str, JsonValue] = {f"{name} [us]": round(value, 1) for name, value in step_us.items()}
    details["without guard over physics"] = round(step_us["without guard"] / step_us["physics alone"], 3)
    details["guard's share of a step"] = round((step_us["with guard"] - step_us["without guard"]) / step_us["with guard"], 3)
    details["physics steps in a step"] = len(torques) // options.steps
    details["bus ticks in a step"] = round(config.bus_hz / config.control_hz)
    details["steps/s with guard"] = round(1e6 / step_us["with guard"])
    return Report("env", step_us["without guard"], None, step_us["physics alone"], "us per environment step", [config.seed], details)
