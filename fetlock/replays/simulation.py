"""Plays a recorded episode back in simulation and compares where the joints were.

The simulated robot is reset with the episode's own generator and given what the guard sent, bus tick by bus tick. Physics, delays and noise
draw from nothing else, so that an episode of an unchanged simulation comes back bit for bit; a difference measures what changed, in the
code, in the configuration (flags), or between simulation and a real robot.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetlock.config import RunConfig
from fetlock.machines import simulated
from fetlock.replays.gap import lag_s, rms_by_joint
from fetlock.replays.logs import another_robot, require_undamaged
from fetlock.video import Film
from robot.errors import LogError, UsageError
from robot.types import Command, frozen_array
from sim import Simulation, simulate
from sim.simulation import SimulatedRobot
from training.collector import episode_rng
from training.rollout_log import RolloutLog

# The file says when a tick was to the nanosecond.
_PERIOD_TOLERANCE_S = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a replay was from its recording.

    Attributes:
        log: File that was played.
        bus_ticks: Number of ticks compared.
        seconds: Of robot time.
        max_rad: Largest difference of a measured joint position, rad.
        rms_rad: Root mean square over ticks and joints, rad.
        rms_by_joint: The same of each joint, by name.
        lag_ms: By how much the recorded joints come behind the simulated ones; None where nothing moves.
        base_max_m: Largest distance between the tracked base positions, m; None where none was recorded.
        exact: Every compared number is the same, bit for bit.
    """

    log: str
    bus_ticks: int
    seconds: float
    max_rad: float
    rms_rad: float
    rms_by_joint: dict[str, float]
    lag_ms: float | None
    base_max_m: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Played:
    """What was recorded, and what the simulation did.

    Attributes:
        log: The recording.
        joint_names: n of them.
        position_rad: Shape (ticks, n), as the simulated robot measured it.
        base_m: Shape (ticks, 3); NaN where no base is tracked.
        feet: f of them, by their legs' names.
        feet_down: Shape (ticks, f): whether the ground carries each foot at the tick's start.
    """

    log: RolloutLog
    joint_names: tuple[str, ...]
    position_rad: np.ndarray
    base_m: np.ndarray
    feet: tuple[str, ...]
    feet_down: np.ndarray

    @property
    def exact(self) -> bool:
        """Whether every measured joint and tracked base is the recorded one, bit for bit."""
        bus = self.log.bus
        return bool((self.position_rad == bus["position_rad"]).all()) and np.array_equal(
            self.base_m, bus["base_position_world_m"], equal_nan=True
        )


def play(path: Path, log: RolloutLog, config: RunConfig, video: Path | None = None) -> Played:
    """Play one log in simulation.

    Args:
        path: Of the log.
        log: What it holds.
        config: Of the simulation; that of an emulated machine is played without its bus.
        video: File to film it into.

    Raises:
        LogError: If it holds no tick, is damaged, or does not begin with its episode.
        UsageError: If the log is of another robot or rate, or the configuration has no simulation.
    """
    _require_whole(path, log)
    machine = simulated(config.robot)
    if machine is None:
        raise UsageError(f"robot.kind {config.robot.kind} is no simulation: give the --config of one, such as configs/kitty_walk.yaml")
    simulation = simulate(machine, config.bus_hz)
    try:
        _require_same_robot(path, log, simulation.robot.joint_names, config)
        simulation.robot.reset(episode_rng(int(log.metadata["seed"]), int(log.metadata["collector"]), int(log.metadata["episode"])))
        with nullcontext() if video is None else Film(_picture(simulation), video, config.bus_hz) as film:
            return _play(simulation, log, (lambda: None) if film is None else film.step)
    finally:
        simulation.robot.close()


def _picture(simulation: Simulation[SimulatedRobot]) -> Callable[[], np.ndarray]:
    camera = simulation.camera()
    return lambda: camera.capture().image


def _play(simulation: Simulation[SimulatedRobot], log: RolloutLog, each_tick: Callable[[], None]) -> Played:
    """Send what was sent, and look at the robot as each tick begins."""
    robot, clock, bus = simulation.robot, simulation.clock, log.bus
    positions = np.zeros_like(bus["position_rad"])
    bases = np.full((len(bus), 3), np.nan)
    down = []
    for index, tick in enumerate(bus):
        state = robot.read()
        positions[index] = state.joints.position_rad
        if state.tracked_base is not None:
            bases[index] = state.tracked_base.position_world_m
        down.append(tuple(robot.feet_down().values()))
        robot.write(Command(frozen_array(tick["emission_rad"])))
        clock.wait()
        each_tick()
    return Played(log, robot.joint_names, positions, bases, tuple(robot.feet_down()), np.array(down, np.bool_))


def compare(path: Path, played: Played) -> Comparison:
    """Reduce a replay to its figures."""
    bus = played.log.bus
    difference = played.position_rad - bus["position_rad"]
    distance = np.linalg.norm(played.base_m - bus["base_position_world_m"], axis=1)
    tracked = distance[np.isfinite(distance)]
    lag = lag_s(bus["position_rad"], played.position_rad, float(bus["period_s"][0]))
    return Comparison(
        log=str(path),
        bus_ticks=len(bus),
        seconds=float(bus["period_s"].sum()),
        max_rad=float(np.abs(difference).max()),
        rms_rad=float(np.sqrt(np.mean(difference**2))),
        rms_by_joint=dict(zip(played.joint_names, rms_by_joint(difference), strict=True)),
        lag_ms=None if lag is None else 1e3 * lag,
        base_max_m=float(tracked.max()) if len(tracked) else None,
        exact=played.exact,
    )


def _require_whole(path: Path, log: RolloutLog) -> None:
    if not len(log.bus):
        raise LogError(f"{path} holds no bus tick: choose another episode")
    missing = {"seed", "collector", "episode"} - log.metadata.keys()
    if missing:
        raise LogError(f"{path} does not say its {', '.join(sorted(missing))}: it was made by another program or is damaged")
    if len(log.steps) and log.steps["step"][0] != 0:
        raise LogError(f"{path} begins at step {log.steps['step'][0]} of its episode: only a log with the episode's start can be replayed")
    require_undamaged(path, log)


def _require_same_robot(path: Path, log: RolloutLog, joint_names: tuple[str, ...], config: RunConfig) -> None:
    # Logs of format 1 do not name their joints.
    same = log.joint_names == joint_names if log.joint_names else log.metadata.get("robot") == config.robot.kind
    if not same or log.bus["position_rad"].shape[1] != len(joint_names):
        raise another_robot(path, log, config)
    rate_hz = 1.0 / float(log.bus["period_s"][0])
    if (np.abs(log.bus["period_s"] - 1.0 / config.bus_hz) > _PERIOD_TOLERANCE_S).any():
        raise UsageError(f"{path} has {rate_hz:g} bus ticks a second, the configuration {config.bus_hz:g}: set bus_hz")


def sentence(comparison: Comparison) -> str:
    """Say a comparison in words."""
    verdict = "bit-exact" if comparison.exact else "not exact"
    base = "" if comparison.base_max_m is None else f", base up to {comparison.base_max_m:.3g} m apart"
    head = (
        f"{comparison.log}: {comparison.bus_ticks} bus ticks, {comparison.seconds:.2f} s\n"
        f"joint positions differ by at most {comparison.max_rad:.3g} rad, {comparison.rms_rad:.3g} rad RMS{base}: {verdict}\n"
    )
    if comparison.exact:
        return head
    lag = "" if comparison.lag_ms is None else f"the recorded joints come {comparison.lag_ms:+.1f} ms behind the simulated ones; "
    rows = "".join(f"  {name} {value:.4f} rad\n" for name, value in comparison.rms_by_joint.items())
    return f"{head}{lag}RMS by joint:\n{rows}"
