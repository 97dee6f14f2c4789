"""Plays the actions of a recorded episode on a robot: the same commands, through task and guard, from where the robot stands now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetlock.build import policy_layout
from fetlock.config import RunConfig
from fetlock.driving import Pilot, run_realtime, run_simulated
from fetlock.machines import EmulatedConfig, HardwareConfig
from policy.acting import Backend
from policy.image import Image
from policy.layout import ACTION_FIELDS, Vector
from robot.errors import LogError, UsageError
from sim import MinitaurConfig
from training.records import DRIVEN
from training.rollout_log import RolloutLog, log_files, read_log
from training.runs import RunFolder


class Recorded:
    """Implements Actor: the actions of an episode, one after the other; the observation is not looked at.

    Args:
        actions: Shape (steps, a).
    """

    backend: Backend = "numpy"

    def __init__(self, actions: NDArray[np.float32]) -> None:
        self._actions = actions
        self._next = 0

    def load(self, vector: Vector) -> None:
        """Nothing to take: what was done is done."""

    def act(self, observation: Vector, noise: Vector | None, image: Image | None = None) -> Vector:
        action: Vector = self._actions[self._next]
        self._next += 1
        return action


@dataclass(frozen=True, slots=True)
class PlayReport:
    """How a motion was played.

    Attributes:
        log: What was played.
        on: sim, emulated or hardware.
        steps: Recorded policy ticks.
        played: Of them, played.
        finished: All that a policy had driven, and nothing stopped the robot.
        run: Folder with the log of it.
        rms_rad: Distance of the joints from where they had been, root mean square over policy ticks and joints, rad.
        held: Policy ticks in which the guard held the robot.
    """

    log: str
    on: str
    steps: int
    played: int
    finished: bool
    run: str
    rms_rad: float | None
    held: int


def machine_for(on: str, config: RunConfig) -> RunConfig:
    """Return the configuration of the robot that is asked for: the machine in simulation or behind an emulated bus, or one of metal.

    Frames of a camera are not recorded again: what is played looks at nothing.

    Raises:
        UsageError: If the configuration has none.
    """
    robot = config.robot
    config = config.model_copy(update={"camera": None})
    if on == "hardware":
        if not isinstance(robot, HardwareConfig):
            raise UsageError(f"robot.kind {robot.kind} is no robot of metal: give the --config of one (robot.kind dynamixel)")
        return config
    if isinstance(robot, HardwareConfig):
        raise UsageError(f"robot.kind dynamixel is a robot of metal: give --on hardware, or the --config of a machine that is {on}")
    if on == "sim":
        return config.model_copy(update={"robot": robot.machine}) if isinstance(robot, EmulatedConfig) else config
    if isinstance(robot, EmulatedConfig):
        return config
    if isinstance(robot, MinitaurConfig):
        raise UsageError("the stock motors of the minitaur have no bus: play it --on sim")
    return config.model_copy(update={"robot": EmulatedConfig(machine=robot)})


def actions_to_play(path: Path, log: RolloutLog, made: RunConfig, config: RunConfig) -> NDArray[np.float32]:
    """Return the actions of an episode, shape (steps, a), up to where the guard held the robot.

    Args:
        path: Of the recording.
        log: The recording.
        made: The configuration with which it was made.
        config: Of the robot to play it on.

    Raises:
        LogError: If the recording has no step, or not its first.
        UsageError: If its actions mean something else on this robot.
    """
    if not len(log.steps):
        raise LogError(f"{path} holds no step: choose another episode")
    if log.steps["step"][0] != 0:
        raise LogError(f"{path} begins at step {log.steps['step'][0]} of its episode: only from its start can a motion be played")
    if difference := policy_layout(made).difference(policy_layout(config), ACTION_FIELDS):
        raise UsageError(f"{path}: its actions were made for {difference}: give a fitting --config")
    driven = np.isin(log.steps["mode"], DRIVEN)
    count = len(driven) if driven.all() else int(np.argmin(driven))
    if not count:
        raise LogError(f"{path}: the guard held the robot from the first step on: choose another episode")
    actions: NDArray[np.float32] = log.steps["action"][:count]
    return actions


def play_on(
    folder: RunFolder, path: Path, log: RolloutLog, actions: NDArray[np.float32], config: RunConfig, on: str, *, scheduler: str = "fifo"
) -> PlayReport:
    """Play actions of an episode.

    Args:
        folder: Gets the log of it.
        path: Of the recording.
        log: The recording.
        actions: Of `actions_to_play`.
        config: Of the robot to play it on, from `machine_for`.
        on: sim, emulated or hardware; all but sim in real time.
        scheduler: Of the motion process: fifo or default.

    Raises:
        RobotError: If the robot cannot be reached.
    """
    layout = policy_layout(config)
    vector = np.zeros(layout.vector_size, np.float32)
    pilot = Pilot(Recorded(actions), layout, vector, 1, once=True, episode=int(log.metadata.get("episode", 0)))
    seconds = len(actions) / config.control_hz
    if on == "sim":
        report = run_simulated(folder, pilot, config, seconds)
    else:
        report = run_realtime(folder, pilot, config, seconds, scheduler=scheduler)
    return PlayReport(
        log=str(path),
        on=on,
        steps=len(log.steps),
        played=report.policy_ticks,
        finished=report.policy_ticks == len(actions) and not report.held,
        run=report.log,
        rms_rad=_distance(log, Path(report.log)),
        held=report.held,
    )


def sentence(report: PlayReport) -> str:
    """Say a report in words."""
    how = "all that was driven" if report.finished else f"then something stopped it ({report.held} ticks held by the guard)"
    apart = "" if report.rms_rad is None else f"; joints were {report.rms_rad:.4f} rad RMS from where they had been"
    return f"{report.log} on {report.on}: {report.played} of {report.steps} steps, {how}{apart}\nlog: {report.run}\n"


def _distance(log: RolloutLog, run: Path) -> float | None:
    """Compare where the joints were at the start of each policy tick, in both."""
    files = log_files(run / "rollouts")
    again = read_log(files[0]) if files else None
    if again is None or not (count := min(len(log.steps), len(again.steps))):
        return None
    then, now = (_at_steps(one, count) for one in (log, again))
    return float(np.sqrt(np.mean((then - now) ** 2)))


def _at_steps(log: RolloutLog, count: int) -> NDArray[np.float64]:
    places = np.searchsorted(log.bus["sequence"], log.steps["bus_first"][:count])
    positions: NDArray[np.float64] = log.bus["position_rad"][places]
    return positions
