"""`fetlock run`: a learned policy on a robot; no learner."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from fetlock.arguments import VerbParser
from fetlock.build import make_env, make_task, policy_layout
from fetlock.config import RunConfig, config_yaml, load_config, task_of
from fetlock.evaluate import default_config_of
from fetlock.machines import HardwareConfig
from fetlock.motion_process import MotionProcess
from fetlock.resets import routine_of
from policy.acting import NumpyActor
from policy.snapshot import load_policy
from robot.clock import TickStatistics, monotonic_s, set_timer_slack, sleep_s
from robot.errors import RobotError, UsageError
from safety import MotionClient, MotionClock, RemoteMotion
from safety.modes import needs_person
from safety.motion_records import Outcome
from safety.types import Mode
from training.env import RobotEnv
from training.tasks.walk import WalkMemory

# How often it is looked whether an operator has helped, s.
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run on a robot did.

    Attributes:
        policy: Where the policy was read.
        seconds: Of robot time.
        policy_ticks: Actions taken.
        episodes: Begun.
        falls: Ends by a fall.
        measure: Mean of the task's figure over all ticks, for walking the forward speed in m/s.
        held: Policy ticks in which the guard held the robot.
        bus_ticks: Run by whoever owns the robot.
        missed: Bus ticks that were skipped.
        lateness_ms: Of the bus ticks: p50, p99, p99.9, max; None where no time is real.
        granted: What the motion process asked of the kernel, and whether it got it.
        said: What the motion process printed: warnings, and how punctual an emulated machine was.
    """

    policy: str
    seconds: float
    policy_ticks: int
    episodes: int
    falls: int
    measure: float
    held: int
    bus_ticks: int
    missed: int
    lateness_ms: dict[str, float] | None = None
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


def run(argv: list[str]) -> int:
    """Run a policy; see `fetlock run --help`."""
    parser = VerbParser("run", "Run a policy's mean action on the robot of a configuration, episode after episode; nothing is learned.")
    parser.add_argument("--policy", type=Path, help="run folder, or the folder of a policy")
    parser.add_argument("--seconds", type=float, default=60.0, help="of robot time (60)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode, where a start pose is drawn (0)")
    parser.add_argument("--realtime", action="store_true", help="in real time, the robot in a process of its own; always so on metal")
    parser.add_argument("--scheduler", choices=("fifo", "default"), default="fifo", help="of that process (fifo, where it is granted)")
    parser.add_argument("--cut-on-exit", action="store_true", help="switch torque off at the end: the robot drops")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    options, rest = parser.read_before_config(argv)
    if options.policy is None:
        raise UsageError("which policy? give --policy RUN_FOLDER; `fetlock train` makes one")
    if not 0.1 <= options.seconds <= 86_400.0:
        raise UsageError(f"--seconds {options.seconds}: give 0.1 to 86400")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: at least 0")
    config = load_config(rest, prog=parser.prog, others=parser.flags, default=default_config_of(options.policy))
    if options.realtime or isinstance(config.robot, HardwareConfig):
        report = run_realtime(options.policy, config, options.seconds, options.seed, scheduler=options.scheduler, cut=options.cut_on_exit)
    else:
        report = run_simulated(options.policy, config, options.seconds, options.seed)
    sys.stdout.write(json.dumps(asdict(report)) + "\n" if options.json else _sentences(report))
    return 0


def run_simulated(path: Path, config: RunConfig, seconds: float, seed: int) -> RunReport:
    """Run a policy in simulated time, as fast as it goes.

    Raises:
        PolicyError: If the policy is of another robot or task.
    """
    env = make_env(config)
    try:
        return _drive(path, config, env, seconds, seed)
    finally:
        env.close()


def run_realtime(path: Path, config: RunConfig, seconds: float, seed: int, *, scheduler: str = "fifo", cut: bool = False) -> RunReport:
    """Run a policy in real time, the robot and its guard in the motion process.

    Args:
        path: Of the policy.
        config: Of the robot; a simulated one is slowed to real time.
        seconds: How long.
        seed: Of the first episode.
        scheduler: Of the motion process: fifo or default.
        cut: Switch torque off at the end.

    Raises:
        RobotError: If the robot cannot be reached, or its process dies.
        PolicyError: If the policy is of another robot or task.
    """
    # Read first: a policy that cannot be read must not start a robot.
    load_policy(path)
    name = f"fetlock-run-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="fetlock-run-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(config_yaml(config))
        arguments = ["--config", str(file), "--scheduler", scheduler, *(["--cut-on-exit"] if cut else [])]
        log = Path(folder) / "motion.log"
        with MotionProcess(name, arguments, log):
            client = MotionClient(name, monotonic_s, sleep_s)
            try:
                report = _drive_client(path, config, client, seconds, seed)
            finally:
                client.stop()
                client.close()
        said = tuple(line for line in log.read_text(errors="replace").splitlines() if line)
    return replace(report, said=said)


def _drive_client(path: Path, config: RunConfig, client: MotionClient, seconds: float, seed: int) -> RunReport:
    timing = LatenessLog()
    motion = RemoteMotion(client, MotionClock(client), round(config.bus_hz / config.control_hz), timing)
    env: RobotEnv[WalkMemory] = RobotEnv(
        motion,
        make_task(config, motion.policy_period_s),
        Beginning(client, routine=routine_of(config) is not None),
        client.close,
        task_of(config).time_limit_steps,
        arena=config.arena,
        timing=timing,
    )
    set_timer_slack()
    gc.freeze()
    gc.disable()
    try:
        report = _drive(path, config, env, seconds, seed)
    finally:
        gc.enable()
    return replace(report, lateness_ms=timing.percentiles_ms(), granted=client.about.granted)


class Beginning:
    """Begins episodes where the robot is served: by a release, or, but for the first one's place, by its routine.

    Args:
        client: Of the motion process.
        routine: Whether a routine brings the robot to where an episode begins.
    """

    def __init__(self, client: MotionClient, *, routine: bool) -> None:
        self._client = client
        self._routine = routine
        self._placed = False

    def __call__(self, rng: np.random.Generator, goes_on: Callable[[], bool] = lambda: True) -> tuple[()]:
        """Begin an episode drawn from `rng`.

        Raises:
            RobotError: If the robot cannot be released, or its routine fails or is stopped.
        """
        if not self._routine or not self._placed:
            self._client.release(int(rng.integers(2**31)))
            self._placed = True
        while self._routine and (end := self._client.reset(int(rng.integers(2**31)))).outcome is not Outcome.DONE:
            if end.outcome is not Outcome.OPERATOR or not goes_on():
                raise RobotError(f"the reset routine ended, {end.outcome.name.lower()}: {end.history}")
            sys.stderr.write(f"waiting for an operator: {end.history}\n")
            while needs_person(self._client.causes) and goes_on():
                sleep_s(_LOOK_S)
        return ()


def _drive(path: Path, config: RunConfig, env: RobotEnv[WalkMemory], seconds: float, seed: int) -> RunReport:
    policy = load_policy(path)
    policy.config.layout.require_same(policy_layout(config, env), str(path))
    actor = NumpyActor(policy.config.layout)
    actor.load(policy.vector)
    ticks = max(1, round(seconds * config.control_hz))
    episodes = falls = held = bus_ticks = 0
    measures: list[float] = []
    observation = None
    for _ in range(ticks):
        if observation is None:
            observation = env.begin(np.random.default_rng(seed + episodes))
            episodes += 1
        result = env.advance(actor.act(observation, None))
        measures.append(result.measure)
        falls += result.terminated
        held += result.mode == Mode.HOLD
        bus_ticks += len(result.ticks)
        observation = None if result.terminated or result.truncated else result.observation
    return RunReport(
        policy=str(path),
        seconds=ticks / config.control_hz,
        policy_ticks=ticks,
        episodes=episodes,
        falls=falls,
        measure=float(np.mean(measures)),
        held=held,
        bus_ticks=bus_ticks,
        missed=env.timing.missed,
    )


def _sentences(report: RunReport) -> str:
    late = report.lateness_ms
    timing = (
        ""
        if late is None
        else f"bus ticks {report.bus_ticks}, missed {report.missed}; late by {late['p50']:.3f} ms (median), {late['p99']:.3f} (99%), "
        f"{late['p99.9']:.3f} (99.9%), {late['max']:.3f} (most)\n"
    )
    grants = "".join(f"{line}\n" for line in (*report.granted, *report.said))
    return (
        f"{report.policy}: {report.seconds:.1f} s on the robot in {report.episodes} episodes, {report.measure:.3f} m/s, "
        f"{report.falls} falls, {report.held} ticks held by the guard\n{timing}{grants}"
    )
