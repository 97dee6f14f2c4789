"""Turn a valve with three fingers: ROBEL's D'Claw tasks Turn and Screw (arXiv 1909.11639).

Actions are joint positions about a pose over the valve, which the fingers follow through a first-order low-pass; its state is part of the
observation, so that the process stays Markov. The valve's angle comes from the motor that it sits on, or from whatever else tracks it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot.errors import StaleError
from robot.types import Command, FloatArray, RobotState, TrackedAngle, frozen_array
from safety.motion import BusTick
from training.tasks.low_pass import LowPass
from training.tasks.task import Observation, Outcome, Step, intervention
from training.tasks.turn_config import AnyTurnConfig, TurnToSettings
from training.tasks.turn_goal import ERROR_NAMES, GOAL_NAMES, TurnGoals

# Fingers, and the joints of each.
_FINGERS, _JOINTS = ("first", "second", "thumb"), ("side", "middle", "tip")
# Scale of angular rates in the observation: it maps what the guard allows the fingers, +-4 rad/s, to +-0.8.
_RATE_SCALE = 0.2
# Joints that are slower cost nothing, rad/s (ROBEL).
_SLOW_RAD_S = 0.5
OBSERVATION_BOUND = 10.0


@dataclass(frozen=True, slots=True)
class TurnMemory:
    """What the task carries from tick to tick.

    Attributes:
        pose: Shape (9,), [-1, 1]: state of the low-pass, as applied.
        goal_rad: Where the valve should be at the newest observation.
    """

    pose: FloatArray
    goal_rad: float


class TurnTask:
    """Bring the valve to its goal and keep it there; the goal stands, or goes ahead at a speed."""

    observation_bound = OBSERVATION_BOUND
    action_names = tuple(f"{finger} {joint}" for finger in _FINGERS for joint in _JOINTS)

    def __init__(self, config: AnyTurnConfig, policy_period_s: float) -> None:
        self.config = config
        self._period_s = policy_period_s
        self._low_pass = LowPass(config.action_smoothing, self._pose)
        self._goals = TurnGoals(config, self.observation_names)
        fingers = len(_FINGERS)
        self._centre = frozen_array(np.tile([0.0, config.middle_center_rad, config.tip_center_rad], fingers))
        self._scale = frozen_array(np.tile([config.side_scale_rad, config.middle_scale_rad, config.tip_scale_rad], fingers))

    @property
    def observation_names(self) -> tuple[str, ...]:
        """Fingers: angles, rates and state of the low-pass; then where the valve is for them, and to its goal; or the goal alone."""
        fingers = (f"{what}{name}" for what in ("", "rate ", "applied ") for name in self.action_names)
        if self.config.valve_hidden:
            return (*fingers, *GOAL_NAMES, "goal rate")
        return (*fingers, "lobe sine", "lobe cosine", "valve rate", *ERROR_NAMES, "goal rate")

    @property
    def scaling(self) -> tuple[str, ...]:
        """Scales and low-pass of the action, as "name=value"."""
        return self.config.scaling

    def start(self, state: RobotState, rng: np.random.Generator) -> tuple[Observation, TurnMemory]:
        """Begin an episode: the low-pass starts from the measured pose. Raises StaleError if nothing measures the valve."""
        config = self.config
        if isinstance(config, TurnToSettings):
            goal_rad = config.goal_center_rad + config.goal_spread_rad * float(rng.uniform(-1.0, 1.0))
        else:
            goal_rad = _valve(state).angle_rad
        memory = TurnMemory(self._pose(state.joints.position_rad), goal_rad)
        return self._observation(state, memory), memory

    def target(self, action: FloatArray, memory: TurnMemory) -> Command:
        """Map an action (9,) in [-1, 1] through the low-pass to joint targets. Shape (9,), rad."""
        return Command(frozen_array(self._centre + self._scale * self._low_pass.after(action, memory.pose)))

    def finish(self, action: FloatArray, memory: TurnMemory, ticks: Sequence[BusTick], state: RobotState) -> Step[TurnMemory]:
        """Judge one policy tick; `ticks` are its bus ticks, `state` was read at its end."""
        applied_action, pose = self._low_pass.applied(action, memory.pose, ticks)
        after = TurnMemory(pose, memory.goal_rad + self.config.goal_rad_s * self._period_s)
        outcome = self._outcome(state, after, intervention(action, applied_action))
        return Step(applied_action, outcome, self._observation(state, after), after)

    def error_rad(self, state: RobotState, memory: TurnMemory) -> float:
        """Return how far the valve has to turn to its goal, rad, within half a turn."""
        return math.remainder(memory.goal_rad - _valve(state).angle_rad, 2.0 * math.pi)

    def goal_rad(self, memory: TurnMemory) -> float:
        """Return where the valve should be, rad."""
        return memory.goal_rad

    def _pose(self, position_rad: FloatArray) -> FloatArray:
        return frozen_array((position_rad - self._centre) / self._scale)

    def _outcome(self, state: RobotState, memory: TurnMemory, changed: float) -> Outcome:
        config = self.config
        distance = abs(self.error_rad(state, memory))
        speeds = np.abs(state.joints.velocity_rad_s)
        reward = (
            float(self._goals.worth(np.float64(distance)))
            - config.velocity_weight * float(np.where(speeds >= _SLOW_RAD_S, speeds, 0.0).mean())
            - config.intervention_weight * changed
        )
        return Outcome(reward, False, float(distance < config.success_rad))

    def _observation(self, state: RobotState, memory: TurnMemory) -> Observation:
        joints = state.joints
        turning = self._turning(state, memory)
        whole = np.concatenate([self._pose(joints.position_rad), _RATE_SCALE * joints.velocity_rad_s, memory.pose, turning])
        bounded: Observation = np.minimum(np.maximum(whole, -OBSERVATION_BOUND), OBSERVATION_BOUND).astype(np.float32)
        return bounded

    def _turning(self, state: RobotState, memory: TurnMemory) -> tuple[float, ...]:
        goal_rate = _RATE_SCALE * self.config.goal_rad_s
        if self.config.valve_hidden:
            return math.sin(memory.goal_rad), math.cos(memory.goal_rad), goal_rate
        valve, error = _valve(state), self.error_rad(state, memory)
        lobe = self.config.lobes * valve.angle_rad
        felt = math.sin(lobe), math.cos(lobe), _RATE_SCALE * valve.velocity_rad_s
        return (*felt, *map(float, self._goals.seen(np.float64(error))), goal_rate)


def _valve(state: RobotState) -> TrackedAngle:
    if state.tracked_object is None:
        raise StaleError("turning a valve needs its angle, from the motor under it or a tracker, and this robot has none")
    return state.tracked_object
