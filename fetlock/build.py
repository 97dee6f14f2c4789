"""Builds the objects of a run from its configuration: the only place that knows all rooms."""

from __future__ import annotations

import numpy as np

from fetlock.config import RunConfig
from policy.layout import PolicyLayout
from robot.clock import PacedClock, RealTimeClock, TickStatistics
from robot.protocols import Clock
from safety import GuardedRobot, MotionLoop
from sim import simulate_minitaur
from training.contract import Contract
from training.env import RobotEnv
from training.evaluation import Mark
from training.tasks.walk import WalkMemory, WalkTask


def make_env(config: RunConfig, *, realtime: bool = False, render_mode: str | None = None) -> RobotEnv[WalkMemory]:
    """Build the environment of a configuration: simulated robot, guard, task, teleport reset.

    Args:
        config: Of the run.
        realtime: Slow the simulation to real time.
        render_mode: None or "rgb_array".
    """
    period_s = 1.0 / config.bus_hz
    simulation = simulate_minitaur(config.robot, config.bus_hz)
    robot = GuardedRobot(simulation.robot, config.guard, period_s)
    clock: Clock = simulation.clock
    real = RealTimeClock(period_s) if realtime else None
    if real is not None:
        clock = PacedClock(simulation.clock, real)
    motion = MotionLoop(robot, clock, round(config.bus_hz / config.control_hz))
    task = WalkTask(config.task, motion.policy_period_s)

    def reset(rng: np.random.Generator) -> None:
        simulation.robot.reset(rng)
        robot.reseed()
        if real is not None:
            real.start()

    return RobotEnv(
        motion,
        task,
        reset,
        robot.close,
        config.task.time_limit_steps,
        timing=TickStatistics() if real is None else real.statistics,
        skip_to=simulation.clock.skip_to,
        camera=simulation.camera,
        render_mode=render_mode,
    )


def policy_layout(config: RunConfig, env: RobotEnv[WalkMemory]) -> PolicyLayout:
    """Describe the policy that fits an environment of `config`."""
    return PolicyLayout(
        robot=config.robot.kind,
        task="walk",
        joint_names=env.motion.robot.joint_names,
        observation_names=env.task.observation_names,
        action_names=env.task.action_names,
        control_hz=config.control_hz,
        action_scaling=env.task.scaling,
        hidden=config.sac.network.hidden,
    )


def contract_of(config: RunConfig) -> Contract:
    """Return the update-to-data contract of a configuration."""
    train = config.train
    return Contract(config.sac.updates_per_step, train.learning_starts, train.collector_lead, train.total_steps, train.realtime)


def mark_of(config: RunConfig) -> Mark:
    """Return when the task counts as learned."""
    return Mark(measure=config.task.mark_speed_m_s)
