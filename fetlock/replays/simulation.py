"""Plays a recorded episode back in simulation and compares where the joints were.

The robot is reset with the episode's own generator and given the recorded emissions, bus tick by bus tick. Physics, delays and noise draw
from nothing else, so an episode of an unchanged simulation comes back bit for bit; a difference measures what changed, in the code, in
the configuration (flags), or between simulation and a real robot.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fetlock.build import make_env
from fetlock.config import RunConfig
from fetlock.video import Film
from robot.errors import LogError, UsageError
from robot.types import Command, frozen_array
from safety.types import Mode
from training.collector import episode_rng
from training.env import RobotEnv
from training.rollout_log import Records, RolloutLog, read_log
from training.tasks.walk import WalkMemory


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a replay was from its recording.

    Attributes:
        log: File that was played.
        bus_ticks: Number of ticks compared.
        seconds: Of robot time.
        max_rad: Largest difference of a measured joint position, rad.
        rms_rad: Root mean square over ticks and joints, rad.
        base_max_m: Largest distance between the tracked base positions, m; None where none was recorded.
        exact: Every compared number is the same, bit for bit.
    """

    log: str
    bus_ticks: int
    seconds: float
    max_rad: float
    rms_rad: float
    base_max_m: float | None
    exact: bool


def replay(path: Path, config: RunConfig, video: Path | None = None) -> Comparison:
    """Play one log.

    Args:
        path: The file.
        config: Of the simulation to play it in.
        video: File to film it into.

    Raises:
        LogError: If the file is no log, holds no tick, or does not begin with its episode.
        UsageError: If the log is of another robot.
    """
    log = read_log(path)
    _require_whole(path, log)
    env = make_env(config, render_mode=None if video is None else "rgb_array")
    try:
        joints = len(env.motion.robot.joint_names)
        if log.metadata.get("robot") != config.robot.kind or log.bus["position_rad"].shape[1] != joints:
            raise UsageError(
                f"{path} is of another robot ({log.metadata.get('robot')}) than the configuration ({config.robot.kind}): give its --config"
            )
        env.begin(episode_rng(int(log.metadata["seed"]), int(log.metadata["collector"]), int(log.metadata["episode"])))
        with nullcontext() if video is None else Film(env.picture, video, config.bus_hz) as film:
            positions, bases = _play(env, log.bus, (lambda: None) if film is None else film.step)
    finally:
        env.close()
    return _compare(path, log.bus, positions, bases)


def _play(env: RobotEnv[WalkMemory], bus: Records, each_tick: Callable[[], None]) -> tuple[np.ndarray, np.ndarray]:
    """Give the guard the recorded targets; return measured joint positions (ticks, n), rad, and base positions (ticks, 3), m."""
    positions = np.zeros_like(bus["position_rad"])
    bases = np.full((len(bus), 3), np.nan)
    robot, clock = env.motion.robot, env.motion.clock
    for index, tick in enumerate(bus):
        state = robot.read()
        positions[index] = state.joints.position_rad
        if state.tracked_base is not None:
            bases[index] = state.tracked_base.position_world_m
        if tick["mode"] == Mode.HOLD:
            robot.stop()
        robot.write(Command(frozen_array(tick["target_rad"])))
        clock.wait()
        each_tick()
    return positions, bases


def _compare(path: Path, bus: Records, positions: np.ndarray, bases: np.ndarray) -> Comparison:
    difference = positions - bus["position_rad"]
    distance = np.linalg.norm(bases - bus["base_position_world_m"], axis=1)
    tracked = distance[np.isfinite(distance)]
    exact = bool((difference == 0.0).all()) and bool((tracked == 0.0).all())
    return Comparison(
        log=str(path),
        bus_ticks=len(bus),
        seconds=float(bus["period_s"].sum()),
        max_rad=float(np.abs(difference).max()),
        rms_rad=float(np.sqrt(np.mean(difference**2))),
        base_max_m=float(tracked.max()) if len(tracked) else None,
        exact=exact,
    )


def _require_whole(path: Path, log: RolloutLog) -> None:
    if not len(log.bus):
        raise LogError(f"{path} holds no bus tick: choose another episode")
    missing = {"seed", "collector", "episode"} - log.metadata.keys()
    if missing:
        raise LogError(f"{path} does not say its {', '.join(sorted(missing))}: it was made by another program or is damaged")
    if len(log.steps) and log.steps["step"][0] != 0:
        raise LogError(f"{path} begins at step {log.steps['step'][0]} of its episode: only a log with the episode's start can be replayed")
    if (np.diff(log.bus["sequence"].astype(np.int64)) != 1).any():
        raise LogError(f"{path} lacks bus ticks in between: choose another episode")


def sentence(comparison: Comparison) -> str:
    """Say a comparison in words."""
    verdict = "bit-exact" if comparison.exact else "not exact"
    base = "" if comparison.base_max_m is None else f", base up to {comparison.base_max_m:.3g} m apart"
    return (
        f"{comparison.log}: {comparison.bus_ticks} bus ticks, {comparison.seconds:.2f} s\n"
        f"joint positions differ by at most {comparison.max_rad:.3g} rad, {comparison.rms_rad:.3g} rad RMS{base}: {verdict}\n"
    )
