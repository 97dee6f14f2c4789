"""Swings all joints of a robot, through its guard, so that a log says how they answer: what `fetlock identify` needs.

Each joint follows a sum of sines of its own frequencies and phases about its home pose (a multisine: R. Pintelon and J. Schoukens, System
Identification: A Frequency Domain Approach, 2nd ed., 2012, chapter 2). No task is asked and nothing is learned: a robot without tracker
or IMU can be recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fetlock.config import RunConfig
from fetlock.guarding import describe_servos
from fetlock.machines import names_of_joints
from fetlock.recording import metadata_of
from fetlock.staging import staged
from robot.errors import RobotError
from robot.types import Command, FloatArray, frozen_array
from safety import BusTick, Mode
from sim import MinitaurConfig
from training.collector import episode_rng
from training.records import bus_dtype, pack_bus, step_dtype
from training.rollout_log import EpisodeWriter
from training.runs import RunFolder

# From slow enough for friction to show to beyond where a servo of the kitty follows: its stiffness over its back-EMF is 6 Hz.
_SLOWEST_HZ, _FASTEST_HZ, _SINES = 0.3, 4.0, 6
# Widest swing, rad, and the share of the way to the nearest limit that is used: the guard's filters are not to shape the motion.
_SWING_RAD, _ROOM = 0.4, 0.7
# Share of the guard's speed limit that a joint never exceeds.
_SPEED = 0.5
# Time to get from where the robot stands into the swing, s.
_BLEND_S = 2.0


class Swings:
    """Joint goals over time.

    Args:
        centre_rad: Shape (n,), rad.
        amplitude_rad: Never exceeded, shape (n,), rad.
        velocity_max_rad_s: Neither is this, shape (n,).
        rng: Draws frequencies and phases.
    """

    def __init__(self, centre_rad: FloatArray, amplitude_rad: FloatArray, velocity_max_rad_s: FloatArray, rng: np.random.Generator) -> None:
        shape = (_SINES, len(centre_rad))
        # One in each part of the range, so that slow and fast are in every joint.
        places = (np.arange(_SINES)[:, None] + rng.uniform(size=shape)) / _SINES
        self._rate_rad_s: NDArray[np.float64] = 2.0 * np.pi * _SLOWEST_HZ * (_FASTEST_HZ / _SLOWEST_HZ) ** places
        self._phase_rad = rng.uniform(0.0, 2.0 * np.pi, shape)
        share = 1.0 / np.sqrt(self._rate_rad_s)
        self._amplitude_rad = amplitude_rad * share / share.sum(axis=0)
        fastest = (self._amplitude_rad * self._rate_rad_s).sum(axis=0)
        self._amplitude_rad = self._amplitude_rad * np.minimum(1.0, velocity_max_rad_s / np.maximum(fastest, 1e-9))
        self._centre_rad = centre_rad

    def goal_rad(self, time_s: float) -> FloatArray:
        """Return the goals at a time. Shape (n,), rad."""
        swing = (self._amplitude_rad * np.sin(self._rate_rad_s * time_s + self._phase_rad)).sum(axis=0)
        goal: FloatArray = self._centre_rad + swing
        return goal


@dataclass(frozen=True, slots=True)
class ExcitationReport:
    """What was recorded.

    Attributes:
        run: Folder with the log.
        seconds: Of robot time.
        bus_ticks: Recorded.
        finished: Nothing stopped the robot.
        why: What did.
    """

    run: str
    seconds: float
    bus_ticks: int
    finished: bool
    why: str = ""


def swings_of(config: RunConfig) -> Swings:
    """Return the swings of a robot: about its home, within the limits that its guard has for policies."""
    limits = config.guard.limits(names_of_joints(config.robot))
    described = describe_servos(config.robot)
    if described is not None:
        home = np.array([joint.home_rad for joint in described.joints])
    else:
        start_rad = config.robot.start_pose_rad if isinstance(config.robot, MinitaurConfig) else 0.0
        home = np.full(len(limits.position_min_rad), start_rad)
    room = np.minimum(home - limits.position_min_rad, limits.position_max_rad - home)
    amplitude = np.clip(_ROOM * room, 0.0, _SWING_RAD)
    return Swings(home, amplitude, _SPEED * limits.velocity_max_rad_s, np.random.default_rng(config.seed))


def excite(folder: RunFolder, config: RunConfig, seconds: float, *, realtime: bool) -> ExcitationReport:
    """Swing all joints and record it; the robot holds where it is at the end.

    Args:
        folder: Gets the log.
        config: Of the robot.
        seconds: How long.
        realtime: An emulated machine follows the clock; metal always does, and a plain simulation never.

    Raises:
        RobotError: If the robot cannot be reached or armed.
    """
    swings = swings_of(config)
    ticks: list[BusTick] = []
    why = ""
    try:
        # As an episode begins, so that `fetlock replay` begins there too.
        with staged(config, episode_rng(config.seed, 0, 0), realtime=realtime) as stage:
            guard, clock = stage.guard, stage.clock
            guard.arm()
            guard.engage()
            state = guard.read()
            start = state.joints.position_rad
            for number in range(round(seconds / clock.period_s)):
                goal = Command(frozen_array(_blended(swings, start, number * clock.period_s)))
                ticks.append(BusTick(clock.period_s, state, goal, guard.write(goal)))
                clock.wait()
                state = guard.read()
                if guard.mode is not Mode.ACTIVE:
                    why = f"the guard stopped it: {guard.fault}"
                    break
    except (RobotError, KeyboardInterrupt) as error:
        if not ticks:
            raise
        # What was recorded until then is worth something.
        why = str(error) or "interrupted"
    _write(folder, config, ticks)
    return ExcitationReport(str(folder.path), len(ticks) / config.bus_hz, len(ticks), not why, why)


def _blended(swings: Swings, start_rad: FloatArray, time_s: float) -> FloatArray:
    """Come from where the robot stands into the swing."""
    share = min(1.0, time_s / _BLEND_S)
    # Smooth at both ends.
    share = share * share * (3.0 - 2.0 * share)
    return (1.0 - share) * start_rad + share * swings.goal_rad(time_s)


def _write(folder: RunFolder, config: RunConfig, ticks: list[BusTick]) -> None:
    joints = len(names_of_joints(config.robot))
    packed = (part for number, tick in enumerate(ticks) for part in pack_bus(number, 0, 0, tick))
    records = np.frombuffer(b"".join(packed), bus_dtype(joints))
    rollouts = folder.path / "rollouts"
    rollouts.mkdir(exist_ok=True)
    step = step_dtype(1, 1)
    writer = EpisodeWriter(rollouts, 0, 0, step, bus_dtype(joints), metadata_of(folder.config_sha, config))
    writer.write(records, np.zeros(0, step))
    writer.finish(complete=True)
