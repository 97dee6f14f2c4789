"""Builds the objects of a run from its configuration: the only place that knows all rooms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fetlock.beginning import EpisodeReset, Patience, Repair
from fetlock.cameras import open_eye
from fetlock.config import RunConfig, task_of
from fetlock.guarding import guard_of
from fetlock.machines import PICTURE_PX, EmulatedConfig, HardwareConfig, body_kind, names_of_joints
from fetlock.resets import routine_of
from policy.image import FrameStack
from policy.layout import PolicyLayout
from robot.clock import PacedClock, RealTimeClock, TickClock, TickStatistics
from robot.protocols import Camera, Clock
from safety import MotionLoop
from safety.motion import BusTick
from sim import LateCamera, SimulatedRobot, Simulation, simulate
from training.contract import Contract
from training.env import ResetRoutine, RobotEnv
from training.evaluation import Mark
from training.tasks import AnyTurnConfig, AnyWalkConfig, SeeingTask, Task, TurnGoals, TurnTask, WalkTask


def make_env(
    config: RunConfig, *, realtime: bool = False, render_mode: str | None = None, picture_px: tuple[int, int] = PICTURE_PX
) -> RobotEnv[Any]:
    """Build the environment of a configuration: robot, guard, task, reset.

    Args:
        config: Of the run.
        realtime: Slow a simulation to real time; a robot of metal is always in real time.
        render_mode: None or "rgb_array".
        picture_px: Width and height of what its camera shows.

    Raises:
        UsageError: If there is no task.
        RobotError: If a robot on a bus cannot be reached, or is not as described.
    """
    # Before any machine is started.
    task_of(config)
    robot = config.robot
    if isinstance(robot, EmulatedConfig | HardwareConfig):
        return _bus_env(config, realtime=realtime, render_mode=render_mode, picture_px=picture_px)
    simulation = simulate(robot, config.bus_hz)
    return env_around(config, simulation, realtime=realtime, render_mode=render_mode, picture_px=picture_px)


def _bus_env(config: RunConfig, *, realtime: bool, render_mode: str | None, picture_px: tuple[int, int]) -> RobotEnv[Any]:
    # Only who has a bus imports what drives one.
    from fetlock.emulated import connect_emulated, connect_hardware

    emulated = isinstance(config.robot, EmulatedConfig)
    machine = connect_emulated(config, realtime=realtime) if emulated else connect_hardware(config)
    attended = realtime or not emulated
    guard = guard_of(config, machine.robot, machine.clock, machine.robot, stoppable=attended)
    try:
        # Where time is real a camera has a latency of its own.
        seeing = _seeing(config, machine.clock, open_eye(config, machine.eye), late=not attended)
    except BaseException:
        machine.close()
        raise
    clock, eye = seeing.clock, seeing.eye
    motion = MotionLoop(guard, clock, round(config.bus_hz / config.control_hz))
    reset = EpisodeReset(
        guard,
        clock,
        machine.reset,
        routine_of(config, machine.robot),
        patience=Patience(config.train.retry_s, config.train.operator_wait_s if attended else 0.0),
        repair=Repair(machine.robot.reconnect, machine.robot.recover),
        resume=machine.schedule.start,
        look=(lambda: None) if eye is None else eye.capture,
    )
    return RobotEnv(
        motion,
        make_task(config, motion.policy_period_s),
        seeing.after(reset),
        machine.close,
        task_of(config).time_limit_steps,
        arena=config.arena,
        timing=machine.schedule.statistics,
        skip_to=machine.skip_to,
        camera=None if machine.camera is None else partial(machine.camera, *picture_px),
        eye=eye,
        stack=frame_stack(config),
        render_mode=render_mode,
        bus_errors=lambda: machine.robot.bus_errors,
    )


def env_around(
    config: RunConfig,
    simulation: Simulation[SimulatedRobot],
    *,
    realtime: bool = False,
    render_mode: str | None = None,
    picture_px: tuple[int, int] = PICTURE_PX,
) -> RobotEnv[Any]:
    """Build the environment of a simulated robot that somebody else has a hand on as well; arguments as of `make_env`."""
    clock: Clock = simulation.clock
    real = RealTimeClock(1.0 / config.bus_hz) if realtime else None
    if real is not None:
        clock = PacedClock(simulation.clock, real)
    robot = guard_of(config, simulation.robot, simulation.clock)
    seeing = _seeing(config, clock, open_eye(config, simulation.camera), late=True)
    clock = seeing.clock
    motion = MotionLoop(robot, clock, round(config.bus_hz / config.control_hz))
    task = make_task(config, motion.policy_period_s)

    def place(rng: np.random.Generator) -> None:
        simulation.robot.reset(rng)
        if real is not None:
            real.start()

    reset = EpisodeReset(
        robot,
        clock,
        place,
        routine_of(config),
        patience=Patience(config.train.retry_s),
        resume=(lambda: None) if real is None else real.start,
    )
    return RobotEnv(
        motion,
        task,
        seeing.after(reset),
        robot.close,
        task_of(config).time_limit_steps,
        arena=config.arena,
        timing=TickStatistics() if real is None else real.statistics,
        skip_to=simulation.clock.skip_to,
        camera=partial(simulation.camera, *picture_px),
        eye=seeing.eye,
        stack=frame_stack(config),
        render_mode=render_mode,
    )


@dataclass(frozen=True, slots=True)
class _Seeing:
    """The camera whose frames are recorded, and the clock at whose ticks it looks."""

    clock: Clock
    eye: Camera | None

    def after(self, reset: ResetRoutine) -> ResetRoutine:
        """Let a late camera begin an episode when the robot has."""
        eye = self.eye
        if not isinstance(eye, LateCamera):
            return reset

        def begin(rng: np.random.Generator, goes_on: Callable[[], bool]) -> Sequence[BusTick]:
            eye.rest()
            ticks = reset(rng, goes_on)
            eye.begin(rng)
            return ticks

        return begin


def _seeing(config: RunConfig, clock: Clock, eye: Camera | None, *, late: bool) -> _Seeing:
    if eye is None or config.camera is None or not config.camera.late or not late:
        return _Seeing(clock, eye)
    camera = LateCamera(eye, clock, round(config.bus_hz / config.control_hz) * clock.period_s, config.camera.latency_s)
    return _Seeing(TickClock(camera, clock), camera)


def judged_config(config: RunConfig) -> RunConfig:
    """Return the configuration to judge policies of a run with.

    Each begins in the same start poses, however the run's episodes do, and goes as far as it gets in its time; nothing of it is recorded,
    and nobody looks but a policy that sees.
    """
    blind = {} if config.sac.encoder is not None else {"camera": None}
    return config.model_copy(update={"reset": "teleport", "arena": None, **blind})


def make_task(config: RunConfig, policy_period_s: float) -> Task[Any]:
    """Build the task of a configuration."""
    chosen = task_of(config)
    task: Task[Any] = WalkTask(chosen, policy_period_s) if isinstance(chosen, AnyWalkConfig) else TurnTask(chosen, policy_period_s)
    return task if config.sac.encoder is None else SeeingTask(task, policy_period_s)


def goals_of(config: RunConfig) -> TurnGoals | None:
    """Return the goals of a task that are exchanged while it is learned, or told to critics; None where neither is."""
    task, encoder = task_of(config), config.sac.encoder
    used = config.sac.hindsight_share or (encoder is not None and encoder.asymmetric)
    if not used or not isinstance(task, AnyTurnConfig):
        return None
    return TurnGoals(task, policy_layout(config).observation_names)


def frame_stack(config: RunConfig) -> FrameStack | None:
    """Return what gathers the frames that a policy sees; None if it sees nothing."""
    return None if config.image is None else FrameStack(config.image)


def policy_layout(config: RunConfig) -> PolicyLayout:
    """Describe the policy that fits a configuration, without reaching for its robot.

    Raises:
        UsageError: If there is no task.
    """
    task = make_task(config, round(config.bus_hz / config.control_hz) / config.bus_hz)
    return PolicyLayout(
        robot=body_kind(config.robot),
        task=task_of(config).kind,
        joint_names=names_of_joints(config.robot),
        observation_names=task.observation_names,
        action_names=task.action_names,
        control_hz=config.control_hz,
        action_scaling=task.scaling,
        hidden=config.sac.network.hidden,
        image=config.image,
    )


def contract_of(config: RunConfig) -> Contract:
    """Return the update-to-data contract of a configuration."""
    train = config.train
    random_steps = train.learning_starts if config.prior is None or config.prior.policy is None else 0
    return Contract(
        config.sac.updates_per_step, train.learning_starts, random_steps, train.collector_lead, train.total_steps, config.realtime
    )


def mark_of(config: RunConfig) -> Mark:
    """Return when the task counts as learned."""
    return Mark(measure=task_of(config).mark)
