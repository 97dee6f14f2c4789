"""The environment: robot behind its guard + task + reset. The same class in simulation, on the emulated bus and on hardware."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from policy.image import FrameStack, Image
from robot.clock import TickStatistics
from robot.errors import CameraError, RobotError, UsageError
from robot.protocols import Camera
from robot.types import CameraFrame, Command, FloatArray, RobotState, frozen_array
from safety import ArenaConfig, Cause, GuardedRobot, MotionClient
from safety.motion import BusTick, Motion
from safety.types import Mode, Reason
from training.tasks.task import Aimed, Headed, Memory, Observation, Task

# Puts the robot into a start pose and lets the policy drive; returns the bus ticks that a routine took, none after a teleport. Where it
# waits, it asks whether an episode is still wanted.
ResetRoutine = Callable[[np.random.Generator, Callable[[], bool]], Sequence[BusTick]]


@dataclass(frozen=True, slots=True)
class StepResult:
    """One policy tick in full: what a transition and the rollout log are made of.

    Attributes:
        observation: Shape (o,), after the tick.
        applied_action: Shape (a,): the action that the emitted command amounts to.
        reward: Of the tick.
        terminated: The task failed: no value beyond.
        truncated: Cut off by the time limit, by the border of the arena or by a HOLD: the value goes on.
        measure: The task's headline figure.
        mode: HOLD when the guard took over: such a tick is never trained on.
        reasons: Stages of the guard that changed a command in this tick.
        ticks: The bus ticks.
        object_rad: Angle of the tracked object before and after the tick, NaN without one: what a policy that sees has to find out.
        frame: Of the camera, taken with the observation; None where nobody looks.
    """

    observation: Observation
    applied_action: FloatArray
    reward: float
    terminated: bool
    truncated: bool
    measure: float
    mode: Mode
    reasons: Reason
    ticks: list[BusTick]
    object_rad: tuple[float, float] = (math.nan, math.nan)
    frame: CameraFrame | None = None


class RobotEnv(gymnasium.Env[Observation, NDArray[np.float32]], Generic[Memory]):
    """Gymnasium environment over a guarded robot.

    Observation: Box (o,), float32. Action: Box (a,), float32, in [-1, 1]; values outside are clipped by the task, NaN is rejected by the
    guard.

    Args:
        motion: The guarded robot with its clock.
        task: Commands, observations, rewards and terminations.
        reset: Puts the robot into a start pose and lets the policy drive.
        close: Releases the robot.
        time_limit_steps: Steps after which an episode is truncated.
        arena: An episode is truncated by the first step at whose end the tracked base is outside; None: it may go anywhere.
        timing: What the loop's real-time clock counts; stays at 0 where no clock is real.
        skip_to: Moves a simulated clock on to a time, s; does nothing where time is real.
        camera: For `rgb_array` and films, made when first needed.
        eye: The camera of which each observation has a frame; closed with the environment.
        stack: Of frames, for a policy that sees; None: its frames are recorded and no more.
        render_mode: None or "rgb_array".
        bus_errors: Returns how many answers of motors did not come or were errors; NaN where there is no bus.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 (Gymnasium's own attribute)

    def __init__(
        self,
        motion: Motion,
        task: Task[Memory],
        reset: ResetRoutine,
        close: Callable[[], None],
        time_limit_steps: int,
        arena: ArenaConfig | None = None,
        timing: TickStatistics | None = None,
        skip_to: Callable[[float], None] = lambda _: None,
        camera: Callable[[], Camera] | None = None,
        eye: Camera | None = None,
        stack: FrameStack | None = None,
        render_mode: str | None = None,
        bus_errors: Callable[[], float] = lambda: math.nan,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"render mode {render_mode!r} is not one of None, 'rgb_array'")
        self.motion = motion
        self.task = task
        self.time_limit_steps = time_limit_steps
        self.arena = arena
        self.timing = TickStatistics() if timing is None else timing
        self.render_mode = render_mode
        self.bus_errors = bus_errors
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(1.0 / motion.policy_period_s)}
        bound = task.observation_bound
        self.observation_space = spaces.Box(-bound, bound, (len(task.observation_names),), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (len(task.action_names),), np.float32)
        self._reset = reset
        self._close = close
        self._skip_to = skip_to
        self._make_camera = camera
        self._camera: Camera | None = None
        self.eye = eye
        # Those of the newest observation: shape (stack, height, width, 3), uint8, oldest first.
        self.frame: CameraFrame | None = None
        self.image: Image | None = None
        self.stack = stack
        # Of the newest reset, for the log.
        self.reset_ticks: Sequence[BusTick] = ()
        self._state: RobotState | None = None
        self._memory: Memory | None = None
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        return self.begin(self.np_random), {}

    def begin(self, rng: np.random.Generator, not_before_s: float = 0.0, goes_on: Callable[[], bool] = lambda: True) -> Observation:
        """Start an episode and return the first observation, shape (o,).

        Args:
            rng: Draws the episode.
            not_before_s: Simulated time is this or later, s.
            goes_on: Asked where a robot that does not begin is waited for: whether the episode is still wanted.

        Raises:
            RobotError: If the robot does not begin.
            CameraError: If its camera gives no picture.
        """
        self._skip_to(not_before_s)
        self.reset_ticks = self._reset(rng, goes_on)
        if self.stack is not None:
            self.stack.clear()
        self._state = self._seen(self.motion.robot.read())
        self._steps = 0
        observation, self._memory = self.task.start(self._state, rng)
        return observation

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        result = self.advance(action)
        info = {
            "measure": result.measure,
            "applied_action": result.applied_action,
            "filter_mask": int(result.reasons),
            "mode": int(result.mode),
            **({} if math.isnan(result.object_rad[1]) else {"object_rad": result.object_rad[1]}),
        }
        return result.observation, result.reward, result.terminated, result.truncated, info

    def advance(self, action: NDArray[np.float32]) -> StepResult:
        """Run one policy tick with `action`, shape (a,).

        Raises:
            UsageError: If called before `reset`.
            RobotError: If the robot or its camera fails: the end of this tick was not measured, and there is no transition.
            StaleError: If there is an arena and the robot has no tracked base.
        """
        if self._state is None or self._memory is None:
            raise UsageError("step was called before reset: call reset first")
        wanted, before_rad = frozen_array(action), _object_rad(self._state)
        state, ticks = self.motion.advance(self.task.target(wanted, self._memory), self._state)
        self._state = self._seen(state)
        step = self.task.finish(wanted, self._memory, ticks, self._state)
        self._memory = step.memory
        self._steps += 1
        reasons = Reason.NONE
        for tick in ticks:
            reasons |= tick.reasons
        held = Reason.HOLD in reasons
        ended = self._steps >= self.time_limit_steps or (self.arena is not None and self.arena.left_by(self._state))
        truncated = held or (ended and not step.outcome.terminated)
        return StepResult(
            step.observation,
            step.applied_action,
            step.outcome.reward,
            step.outcome.terminated and not held,
            truncated,
            step.outcome.measure,
            Mode.HOLD if held else Mode.ACTIVE,
            reasons,
            ticks,
            (before_rad, _object_rad(self._state)),
            self.frame,
        )

    def turn(self, angle_rad: float) -> None:
        """Turn the heading that the task is about to the left, rad, from the next step on.

        Raises:
            UsageError: If the task has none, or before `reset`.
        """
        if not isinstance(self.task, Headed):
            raise UsageError("this task has no heading that could be turned")
        if self._memory is None:
            raise UsageError("turn was called before reset: call reset first")
        self._memory = self.task.turned(self._memory, angle_rad)

    @property
    def aim_rad(self) -> tuple[float, float] | None:
        """Angle of the tracked object now and where it should be, rad; None where a task turns nothing, and between episodes."""
        if self._state is None or self._memory is None or not isinstance(self.task, Aimed):
            return None
        angle_rad, goal_rad = _object_rad(self._state), self.task.goal_rad(self._memory)
        return None if goal_rad is None or math.isnan(angle_rad) else (angle_rad, goal_rad)

    def hold(self, cause: Cause) -> None:
        """Stop the robot for a cause and keep it held for a policy tick; then comes `begin`. A robot that has not begun stays as it is.

        Does not raise: one that fails meanwhile is stopped all the same.

        Args:
            cause: What the guard is told, NONE if it knows; one in another process hears of what it cannot know, else it is told to stop.
        """
        if self._state is None:
            return
        robot = self.motion.robot
        if isinstance(robot, GuardedRobot | MotionClient):
            robot.trip(cause)
        else:
            robot.stop()
        with contextlib.suppress(RobotError):
            self._state, _ = self.motion.advance(Command(self._state.joints.position_rad), self._state)
        self._memory = None

    def _seen(self, state: RobotState) -> RobotState:
        """Return a state with the newest frame of the camera, if there is one: what an action can be chosen by."""
        if self.eye is None:
            return state
        try:
            self.frame = self.eye.capture()
        except RobotError as error:
            raise CameraError(str(error)) from error
        if self.stack is not None:
            self.image = self.stack.push(self.frame.image)
        return replace(state, frame=self.frame)

    def render(self) -> NDArray[np.uint8] | None:
        if self.render_mode is None:
            return None
        return self.picture()

    def picture(self) -> NDArray[np.uint8]:
        """Return what the camera sees now, shape (height, width, 3), uint8.

        Raises:
            UsageError: If the robot has no camera.
        """
        if self._camera is None:
            if self._make_camera is None:
                raise UsageError("this robot has no camera: videos need one")
            self._camera = self._make_camera()
        return self._camera.capture().image

    def close(self) -> None:
        # A camera whose driver hangs keeps a robot waiting for nothing.
        self._close()
        for camera in (self._camera, self.eye):
            if camera is not None:
                camera.close()


def _object_rad(state: RobotState) -> float:
    return math.nan if state.tracked_object is None else state.tracked_object.angle_rad
