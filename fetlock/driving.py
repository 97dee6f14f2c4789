"""Lets something that acts drive a robot, episode after episode, with the log of a run: a policy, or what was recorded of one."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fetlock.build import frame_stack, make_env, make_task, policy_layout
from fetlock.cameras import eye_beside
from fetlock.config import RunConfig, task_of
from fetlock.host import stolen_s
from fetlock.keyboard import space_stops
from fetlock.motion_process import MotionProcess, motion_name
from fetlock.recording import recording
from fetlock.resets import routine_of
from fetlock.served_reset import ServedReset
from policy.acting import Actor, NumpyActor
from policy.layout import PolicyLayout, Vector
from policy.snapshot import Policy, load_policy
from robot.clock import TickStatistics, monotonic_s, set_timer_slack, sleep_s
from robot.protocols import Camera
from safety import MotionClient, MotionClock, RemoteMotion
from safety.types import Cause, Mode
from training.collector import Collector
from training.env import RobotEnv, StepResult
from training.roles.collect import ring_full
from training.runs import RunFolder

# How long is waited for the logger, or for room on its disk, s.
_WAIT_S = 0.005


@dataclass(frozen=True, slots=True)
class Pilot:
    """Who drives.

    Attributes:
        actor: Acts at every policy tick.
        layout: What it sees and does; fits the robot.
        vector: Its parameters, shape (layout.vector_size,).
        version: Goes into the log; at least 1, for 0 stands for nobody.
        person: Returns the action of a person who drives in its place, shape (a,); None while nobody does.
        turn: Returns how fast the heading that is walked along turns to the left, rad/s.
        keys: Told every key that is pressed at the terminal, in a thread, where time is real.
        once: For one episode only; then the robot is brought back to where one begins, if it has a routine.
        episode: Number of the first episode: draws its start.
    """

    actor: Actor
    layout: PolicyLayout
    vector: Vector
    version: int
    person: Callable[[], Vector | None] = lambda: None
    turn: Callable[[], float] | None = None
    keys: Callable[[bytes], None] = lambda _: None
    once: bool = False
    episode: int = 0


def pilot_of(path: Path, config: RunConfig) -> tuple[Pilot, Policy]:
    """Read a policy; return it as a pilot, its mean action, and as it is.

    Args:
        path: Run folder, or the folder of a policy.
        config: Of the robot that it is to drive.

    Raises:
        PolicyError: If it cannot be read, or is of another robot or task.
    """
    policy = load_policy(path)
    layout = policy.config.layout
    layout.require_same(policy_layout(config), str(path))
    return Pilot(NumpyActor(layout), layout, policy.vector, max(1, policy.config.version)), policy


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run on a robot did.

    Attributes:
        policy: Where the policy was read.
        log: Folder with the log.
        seconds: Of robot time.
        policy_ticks: Actions taken.
        episodes: Begun.
        falls: Ends by a fall.
        measure: Mean of the task's figure over all ticks, for walking the forward speed in m/s.
        held: Policy ticks in which the guard held the robot.
        bus_ticks: Run by whoever owns the robot.
        missed: Bus ticks that were skipped.
        lost: Records that are not in the log, because nobody took them in time.
        lateness_ms: Of the bus ticks: p50, p99, p99.9, max; None where no time is real.
        stolen_s: What the hypervisor of a virtual machine took from all cores meanwhile, s; None where no time is real.
        granted: What the motion process asked of the kernel, and whether it got it.
        said: What the motion process printed: warnings, and how punctual an emulated machine was.
    """

    policy: str
    log: str
    seconds: float
    policy_ticks: int
    episodes: int
    falls: int
    measure: float
    held: int
    bus_ticks: int
    missed: int
    lost: int
    lateness_ms: dict[str, float] | None = None
    stolen_s: float | None = None
    granted: tuple[str, ...] = ()
    said: tuple[str, ...] = ()


class LatenessLog(TickStatistics):
    """Keeps the lateness of every tick."""

    def __init__(self) -> None:
        super().__init__()
        self.all_s: list[float] = []

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "lateness_s" and isinstance(value, float) and hasattr(self, "all_s"):
            self.all_s.append(value)

    def percentiles_ms(self) -> dict[str, float]:
        """Return p50, p99, p99.9 and max, ms."""
        values = np.percentile(np.array(self.all_s or [0.0]) * 1e3, (50, 99, 99.9, 100))
        return dict(zip(("p50", "p99", "p99.9", "max"), values.round(4).tolist(), strict=True))


def run_simulated(folder: RunFolder, pilot: Pilot, config: RunConfig, seconds: float) -> RunReport:
    """Drive in simulated time, as fast as it goes."""
    env = make_env(config)
    try:
        return _drive(folder, pilot, config, env, seconds, realtime=False)
    finally:
        env.close()


def run_realtime(
    folder: RunFolder, pilot: Pilot, config: RunConfig, seconds: float, *, scheduler: str = "fifo", cut: bool = False
) -> RunReport:
    """Drive in real time, the robot and its guard in the motion process; space holds it where a person sits at the terminal.

    Args:
        folder: Gets the log.
        pilot: Who drives; fits the robot.
        config: Of the robot; a simulated one is slowed to real time.
        seconds: How long.
        scheduler: Of the motion process: fifo or default.
        cut: Switch torque off at the end.

    Raises:
        RobotError: If the robot cannot be reached, or its process dies.
    """
    name = motion_name(os.getpid())
    log = folder.path / "motion.log"
    arguments = ["--config", str(folder.path / "config.yaml"), "--scheduler", scheduler, *(["--cut-on-exit"] if cut else [])]
    with eye_beside(config) as (words, open_camera), MotionProcess(name, [*arguments, *words], log):
        client = MotionClient(name, monotonic_s, sleep_s)
        try:
            with space_stops(pilot.keys):
                report = _drive_client(folder, pilot, config, client, open_camera(), seconds)
        finally:
            client.stop()
            client.close()
    said = tuple(line for line in log.read_text(errors="replace").splitlines() if line)
    return replace(report, said=said)


def served_env(config: RunConfig, motion: RemoteMotion, eye: Camera | None, timing: TickStatistics) -> RobotEnv[Any]:
    """Build the environment of a robot that a motion process serves.

    Args:
        config: Of the run.
        motion: Over a client of that process.
        eye: The camera whose frames are recorded, if there is one.
        timing: What `motion` counts in.
    """
    client = motion.robot
    return RobotEnv(
        motion,
        make_task(config, motion.policy_period_s),
        ServedReset(client, routine=routine_of(config) is not None, eye=eye),
        client.close,
        task_of(config).time_limit_steps,
        arena=config.arena,
        timing=timing,
        eye=eye,
        stack=frame_stack(config),
    )


def _drive_client(
    folder: RunFolder, pilot: Pilot, config: RunConfig, client: MotionClient, eye: Camera | None, seconds: float
) -> RunReport:
    timing = LatenessLog()
    motion = RemoteMotion(client, MotionClock(client), round(config.bus_hz / config.control_hz), timing)
    env = served_env(config, motion, eye, timing)
    set_timer_slack()
    before_s = stolen_s()
    report = replace(_drive(folder, pilot, config, env, seconds, realtime=True), stolen_s=round(stolen_s() - before_s, 2))
    if pilot.once and routine_of(config) is not None:
        end = client.reset(config.seed)
        sys.stderr.write(f"back to where an episode begins: {end.outcome.name.lower()}, {end.history}\n")
    return replace(report, lateness_ms=timing.percentiles_ms(), granted=client.about.granted, lost=report.lost + motion.lost)


def _drive(folder: RunFolder, pilot: Pilot, config: RunConfig, env: RobotEnv[Any], seconds: float, *, realtime: bool) -> RunReport:
    ticks = max(1, round(seconds * config.control_hz))
    figures = _Figures()
    with recording(folder, config, pilot.layout) as recorder:
        link = recorder.link
        collector = Collector(
            env,
            pilot.actor,
            link.steps[0],
            link.bus[0],
            seed=config.seed,
            index=0,
            episode=pilot.episode,
            mean=True,
            person=pilot.person,
            frames=link.frames_of(0),
        )
        collector.adopt(pilot.version, pilot.vector)
        if realtime:
            link.populate(0)
            gc.freeze()
            gc.disable()
        try:
            while figures.steps < ticks and not (pilot.once and figures.ended):
                recorder.look()
                if realtime and recorder.refused:
                    # What cannot be written is not worth moving motors for.
                    collector.hold(Cause.DISK)
                    sleep_s(_WAIT_S)
                elif not realtime and ring_full(link, 0):
                    sleep_s(_WAIT_S)
                else:
                    if pilot.turn is not None and not collector.between_episodes:
                        env.turn(pilot.turn() * env.motion.policy_period_s)
                    figures.count(collector, collector.collect(explore=False))
        finally:
            gc.enable()
            # Before the log is finished, which takes a while.
            if realtime:
                env.motion.robot.stop()
        return figures.report(config, env, lost=collector.lost, log=str(folder.path))


@dataclass(slots=True)
class _Figures:
    """What has happened so far."""

    steps: int = 0
    episodes: int = 0
    falls: int = 0
    held: int = 0
    bus_ticks: int = 0
    measure: float = 0.0
    ended: int = 0
    _episode: int = -1

    def count(self, collector: Collector, result: StepResult | None) -> None:
        """Take the result of a policy tick; None if the robot failed in it."""
        if result is None:
            self.ended += 1
            return
        ended = result.terminated or result.truncated
        episode = collector.episode - ended
        self.episodes += episode != self._episode
        self._episode = episode
        self.ended += ended
        self.steps += 1
        self.measure += result.measure
        self.falls += result.terminated
        self.held += result.mode == Mode.HOLD
        self.bus_ticks += len(result.ticks)

    def report(self, config: RunConfig, env: RobotEnv[Any], *, lost: int, log: str) -> RunReport:
        """Return what is to be said of the run."""
        return RunReport(
            policy="",
            log=log,
            seconds=self.steps / config.control_hz,
            policy_ticks=self.steps,
            episodes=self.episodes,
            falls=self.falls,
            measure=self.measure / max(1, self.steps),
            held=self.held,
            bus_ticks=self.bus_ticks,
            missed=env.timing.missed,
            lost=lost,
        )
