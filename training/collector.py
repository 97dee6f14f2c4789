"""The collector: acts in an environment, and hands every policy tick and bus tick to the logger."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policy.acting import Actor
from policy.layout import Vector
from robot.errors import RobotError
from robot.types import CameraFrame
from safety import Cause
from safety.faults import cause_of
from safety.motion import BusTick
from safety.types import Mode
from training.caution import ActionBox
from training.env import RobotEnv, StepResult
from training.records import STEP_END, STEP_HEAD, pack_bus, pack_frame

# From the whole second of an episode's last step to the next episode: more than a policy tick and the delays, at most 0.2 s, take.
_EPISODE_GAP_S = 2.0
# A robot that fails in so many episodes in a row will not be better in the next one: chosen, above what a bad minute of a line brings.
_INTERRUPTIONS = 10

_log = logging.getLogger(__name__)


class Stream(Protocol):
    """Where records go: `robot.transport.Ring`, or a list in a test."""

    @property
    def head(self) -> int:
        """Number of records ever appended."""

    def append(self, *parts: bytes | NDArray[Any]) -> bool:
        """Append one record, given as its bytes in parts; False when there is no room."""


def episode_rng(seed: int, collector: int, episode: int) -> np.random.Generator:
    """Return the only source of randomness of an episode: its reset, its exploration and its noise.

    Because it depends on nothing but the three numbers, an episode can be repeated, and a resumed run continues the same sequence.
    """
    return np.random.default_rng([seed, collector, episode])


class Collector:
    """Runs episodes one policy tick at a time.

    Args:
        env: Its own environment.
        actor: The policy at batch 1; random actions are taken until it is given weights.
        steps: Stream of step records.
        bus: Stream of bus records.
        seed: Of the run.
        index: Of this collector.
        episode: Number of its first episode.
        stamp_s: Of the newest step that an earlier collector of this index recorded, 0 if there was none.
        goes_on: Asked where a robot that does not begin is waited for: whether the run goes on.
        mean: Whether to take the policy's mean action, as a robot does that has learned.
        box: What the policy's actions are clipped to.
        person: Returns the action of a person who drives now, shape (a,); None while nobody does.
        frames: Stream of frame records, one of each observation; None: none is recorded.

    Attributes:
        mean: Whether the policy's mean action is taken.
        box: What actions are clipped to now.
        episode: Number of the present episode, or of the next one between episodes.
        stamp_s: Of the newest step.
        lateness_s: Worst of the present or the newest episode.
        lost: Records that found no room in their stream.
    """

    def __init__(
        self,
        env: RobotEnv[Any],
        actor: Actor,
        steps: Stream,
        bus: Stream,
        *,
        seed: int,
        index: int,
        episode: int,
        stamp_s: float = 0.0,
        goes_on: Callable[[], bool] = lambda: True,
        mean: bool = False,
        box: ActionBox | None = None,
        person: Callable[[], Vector | None] = lambda: None,
        frames: Stream | None = None,
    ) -> None:
        self._env = env
        self._actor = actor
        self._steps = steps
        self._bus = bus
        self._seed = seed
        self._index = index
        self._rng = episode_rng(seed, index, episode)
        self._observation: Vector | None = None
        self._step = 0
        actions = len(env.task.action_names)
        self._frames = frames
        self._noise_size = actions
        self._version: int | None = None
        self._goes_on = goes_on
        self.mean = mean
        self.box = box or ActionBox(None)
        self._person = person
        self._helped = False
        self._interrupted = 0
        self.episode = episode
        self.stamp_s = stamp_s
        self.lateness_s = 0.0
        self.lost = 0

    @property
    def between_episodes(self) -> bool:
        """Whether the next `collect` begins an episode."""
        return self._observation is None

    def adopt(self, version: int, vector: Vector) -> None:
        """Act with new weights from the next tick on; raises PolicyError and keeps the old ones if they are not finite or do not fit."""
        self._actor.load(vector)
        self._version = version

    def hold(self, cause: Cause) -> None:
        """Stop the robot for a cause and keep it held for a policy tick; an episode under way is cut off where it is."""
        if self._observation is not None:
            self._observation = None
            self.episode += 1
        self._env.hold(cause)

    def collect(self, *, explore: bool) -> StepResult | None:
        """Run one policy tick, beginning an episode if needed, and append its records.

        A robot that fails in the tick is held and its episode cut off: the tick's end was not measured, so that nothing is recorded of it,
        and None is returned. The next call begins anew.

        Args:
            explore: Take a uniformly random action, whatever the policy.

        Raises:
            RobotError: If an episode does not begin, or too many in a row were cut off.
        """
        if self._observation is None:
            self._rng = episode_rng(self._seed, self._index, self.episode)
            # A whole second behind everything recorded: simulated time is the same whether or not the process was a new one.
            self._observation = self._env.begin(self._rng, math.floor(self.stamp_s) + _EPISODE_GAP_S, self._goes_on)
            # What a routine did is logged in front of the episode that it prepared; no step spans it, and nothing is learned from it.
            self._append_bus(self._env.reset_ticks)
            self._step = 0
            self._helped = False
            self.lateness_s = 0.0
        observation = self._observation
        # Whose gamepad is gone ends the run: nobody is to wait until it comes back.
        person = self._person()
        try:
            frame = self._env.frame
            action = self.box.clip(self._action(observation, explore=explore)) if person is None else person
            result = self._env.advance(action)
        except RobotError as error:
            self._interrupted += 1
            if self._interrupted > _INTERRUPTIONS:
                raise
            _log.warning("episode %d was cut off after %d steps: %s", self.episode, self._step, error)
            self.hold(cause_of(error))
            return None
        if person is not None:
            self._helped = True
            if result.mode is Mode.ACTIVE:
                result = replace(result, mode=Mode.TELEOP)
        # A value that goes on beyond the episode is that of what is seen then.
        last = result.frame if result.terminated or result.truncated else None
        version = self._version if person is None and not explore else None
        self._append(observation, action, result, version or 0, (frame, last))
        self._observation = result.observation
        self._step += 1
        if result.terminated or result.truncated:
            self._observation = None
            self._interrupted = 0
            self.episode += 1
            # What a person did says nothing of the policy.
            if not self._helped:
                self.box.judge(failed=result.terminated or result.mode is Mode.HOLD)
        return result

    def _action(self, observation: Vector, *, explore: bool) -> Vector:
        if explore or self._version is None:
            return self._rng.uniform(-1.0, 1.0, self._noise_size).astype(np.float32)
        if self.mean:
            return self._actor.act(observation, None, self._env.image)
        return self._actor.act(observation, self._rng.standard_normal(self._noise_size, dtype=np.float32), self._env.image)

    def _append(
        self, observation: Vector, action: Vector, result: StepResult, version: int, frames: tuple[CameraFrame | None, CameraFrame | None]
    ) -> None:
        # A step comes last: who sees one finds what belongs to it.
        for later, frame in enumerate(frames):
            if frame is not None:
                self._append_frame(frame, later)
        first = self._bus.head
        self._append_bus(result.ticks)
        self.stamp_s = result.ticks[0].state.joints.stamp_s
        lateness_s = self._env.timing.take_worst_lateness_s()
        self.lateness_s = max(self.lateness_s, lateness_s)
        place = (self._steps.head, self.episode, version, first, first + len(result.ticks) - 1)
        rows = [np.asarray(row, np.float32) for row in (observation, action, result.applied_action, result.observation)]
        head = STEP_HEAD.pack(*place, self.stamp_s, result.reward, result.measure, lateness_s, *result.object_rad)
        end = STEP_END.pack(self._index, self._step, result.reasons, result.mode, result.terminated, result.truncated)
        self.lost += not self._steps.append(head, *rows, end)

    def _append_frame(self, frame: CameraFrame, later: int) -> None:
        if self._frames is not None:
            self.lost += not self._frames.append(*pack_frame(self._steps.head + later, self.episode, frame))

    def _append_bus(self, ticks: Sequence[BusTick]) -> None:
        for tick in ticks:
            self.lost += not self._bus.append(*pack_bus(self._bus.head, self.episode, self._index, tick))
