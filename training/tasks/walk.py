"""Walk forward: the Minitaur task of arXiv 1812.05905 with a smoother command and a bounded speed reward.

Actions are swing and extension of each leg; the legs follow a first-order low-pass of them, whose state is part of the observation, so
that the process stays Markov. Only what an IMU, joint encoders and a tracked base measure is used: the task runs unchanged on hardware.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from robot.errors import StaleError
from robot.types import Command, FloatArray, ImuState, RobotState, TrackedPose, frozen_array
from safety.motion import BusTick
from safety.types import INTERVENTIONS
from training.tasks.task import Observation, Outcome, Step

# Leg order and the side's sign s in m[2i] = extension - s swing, m[2i+1] = extension + s swing: bullet3's Minitaur (docs/robots.md).
LEGS = ("front_left", "back_left", "front_right", "back_right")
_SIDE = np.array([1.0, 1.0, -1.0, -1.0])
# Scale of angular rates in the observation: 0.2 maps the +-5 rad/s of a trot to +-1.
_RATE_SCALE = 0.2
# Elements beyond it are cut: a base thrown at more than 50 rad/s is past saving, and networks see no outliers.
# Walking stays below 3 (measured).
OBSERVATION_BOUND = 10.0


class WalkConfig(BaseModel):
    """Scales, weights and bounds of the walking task; the defaults are the recipe of `docs/learning.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_limit_steps: int = Field(default=500, ge=1)
    swing_scale_rad: float = Field(default=0.5, gt=0.0, le=1.5)
    extension_center_rad: float = Field(default=2.0, ge=0.5, le=2.8)
    extension_scale_rad: float = Field(default=0.3, gt=0.0, le=1.5)
    # Weight of the new action in the policy-rate low-pass; 1 switches it off.
    action_smoothing: float = Field(default=0.5, gt=0.0, le=1.0)
    speed_weight: float = Field(default=2.0, ge=0.0)
    # Speed beyond which nothing more is gained, m/s.
    speed_cap_m_s: float = Field(default=0.8, gt=0.0)
    action_change_weight: float = Field(default=0.1, ge=0.0)
    power_weight_per_w: float = Field(default=0.002, ge=0.0)
    sideways_weight: float = Field(default=0.3, ge=0.0)
    tilt_weight_per_rad: float = Field(default=0.2, ge=0.0)
    heading_weight_per_rad: float = Field(default=0.2, ge=0.0)
    fall_penalty: float = Field(default=5.0, ge=0.0)
    # A fall: the base's vertical axis points less than this upwards (0.85: 32 deg), or the base is lower than this.
    fall_upright: float = Field(default=0.85, ge=-1.0, lt=1.0)
    # World height; null on ground that is not flat.
    fall_height_m: float | None = Field(default=0.10, ge=0.0)
    # The mark that the task is learned at: mean forward speed with no fall.
    mark_speed_m_s: float = Field(default=0.6, gt=0.0)


@dataclass(frozen=True, slots=True)
class WalkMemory:
    """What the task carries from tick to tick.

    Attributes:
        legs: Shape (8,), [-1, 1]: state of the low-pass, as applied: swing then extension of each leg.
        newest: Shape (14,): the newest frame of the observation.
        heading_rad: Yaw at the episode's start: the direction called forward.
        position_world_m: Shape (3,): where the tracked base was.
    """

    legs: FloatArray
    newest: FloatArray
    heading_rad: float
    position_world_m: FloatArray


class WalkTask:
    """Walk along the heading of the episode's start, at up to `speed_cap_m_s`."""

    observation_names = tuple(
        [
            f"{age}{name}"
            for age in ("", "previous ")
            for name in (
                *(f"motor {leg} {side}" for leg in LEGS for side in ("a", "b")),
                *("roll", "pitch", "roll rate", "pitch rate", "yaw", "yaw rate"),
            )
        ]
        + [f"applied {part} {leg}" for part in ("swing", "extension") for leg in LEGS]
    )
    observation_bound = OBSERVATION_BOUND
    action_names = tuple(f"{part} {leg}" for part in ("swing", "extension") for leg in LEGS)

    def __init__(self, config: WalkConfig, policy_period_s: float) -> None:
        self.config = config
        self._period_s = policy_period_s

    @property
    def scaling(self) -> tuple[str, ...]:
        """Scales and low-pass of the action, as "name=value"."""
        names = ("swing_scale_rad", "extension_center_rad", "extension_scale_rad", "action_smoothing")
        return tuple(f"{name}={getattr(self.config, name)!r}" for name in names)

    def start(self, state: RobotState) -> tuple[Observation, WalkMemory]:
        """Begin an episode: the low-pass starts from the measured pose. Raises StaleError without IMU or tracked base."""
        heading_rad = _roll_pitch_yaw(_imu(state))[2]
        legs = self._legs_of(state.joints.position_rad)
        newest = self._frame(state, heading_rad)
        memory = WalkMemory(legs, newest, heading_rad, _tracked(state).position_world_m)
        return self._observation(newest, newest, legs), memory

    def target(self, action: FloatArray, memory: WalkMemory) -> Command:
        """Map swing and extension (8,) in [-1, 1] to motor targets, m = extension -+ s swing. Shape (8,), rad."""
        return Command(frozen_array(self._motors_of(self._smoothed(action, memory))))

    def finish(self, action: FloatArray, memory: WalkMemory, ticks: Sequence[BusTick], state: RobotState) -> Step[WalkMemory]:
        """Judge one policy tick; `ticks` are its bus ticks, `state` was read at its end."""
        applied_action, legs = self._applied(action, memory, ticks)
        newest = self._frame(state, memory.heading_rad)
        tracked = _tracked(state)
        memory_next = WalkMemory(legs, newest, memory.heading_rad, tracked.position_world_m)
        outcome = self._outcome(memory, memory_next, ticks, state)
        return Step(applied_action, outcome, self._observation(newest, memory.newest, legs), memory_next)

    def _smoothed(self, action: FloatArray, memory: WalkMemory) -> FloatArray:
        weight = self.config.action_smoothing
        return (1.0 - weight) * memory.legs + weight * np.minimum(np.maximum(action, -1.0), 1.0)

    def _applied(self, action: FloatArray, memory: WalkMemory, ticks: Sequence[BusTick]) -> tuple[FloatArray, FloatArray]:
        """Return the action that would have led to the last emission, and the low-pass state that it left."""
        if not ticks[-1].reasons & INTERVENTIONS:
            return action, self._smoothed(action, memory)
        legs = self._legs_of(ticks[-1].applied.position_rad)
        weight = self.config.action_smoothing
        return (legs - (1.0 - weight) * memory.legs) / weight, legs

    def _outcome(self, before: WalkMemory, after: WalkMemory, ticks: Sequence[BusTick], state: RobotState) -> Outcome:
        config = self.config
        (x, y, _), (x_before, y_before, _) = after.position_world_m.tolist(), before.position_world_m.tolist()
        vx, vy = (x - x_before) / self._period_s, (y - y_before) / self._period_s
        forward, left = math.cos(before.heading_rad), math.sin(before.heading_rad)
        speed, sideways = vx * forward + vy * left, vy * forward - vx * left
        roll, pitch, _, _, yaw, _ = after.newest[8:].tolist()
        change = sum(map(abs, (after.legs - before.legs).tolist())) / len(after.legs)
        terminated = self.fallen(state)
        reward = (
            config.speed_weight * min(max(speed, -config.speed_cap_m_s), config.speed_cap_m_s)
            - config.action_change_weight * change
            - config.power_weight_per_w * _mean_power_w(ticks, state)
            - config.sideways_weight * abs(sideways)
            - config.tilt_weight_per_rad * (abs(roll) + abs(pitch))
            - config.heading_weight_per_rad * abs(yaw)
            - config.fall_penalty * terminated
        )
        return Outcome(reward, terminated, speed)

    def fallen(self, state: RobotState) -> bool:
        """Tell whether the base is tilted or low beyond the bounds."""
        low = self.config.fall_height_m is not None and _tracked(state).position_world_m[2] < self.config.fall_height_m
        return bool(_imu(state).rotation_base_to_world[2, 2] < self.config.fall_upright or low)

    def _motors_of(self, legs: FloatArray) -> FloatArray:
        swing = self.config.swing_scale_rad * legs[:4] * _SIDE
        extension = self.config.extension_center_rad + self.config.extension_scale_rad * legs[4:]
        motors = np.empty(8)
        motors[0::2] = extension - swing
        motors[1::2] = extension + swing
        return motors

    def _legs_of(self, motors: FloatArray) -> FloatArray:
        """The exact inverse of `_motors_of`."""
        swing = (motors[1::2] - motors[0::2]) * 0.5 * _SIDE / self.config.swing_scale_rad
        extension = ((motors[1::2] + motors[0::2]) * 0.5 - self.config.extension_center_rad) / self.config.extension_scale_rad
        return frozen_array(np.concatenate([swing, extension]))

    def _frame(self, state: RobotState, heading_rad: float) -> FloatArray:
        imu = _imu(state)
        roll, pitch, yaw = _roll_pitch_yaw(imu)
        p, q, r = imu.angular_velocity_base_rad_s.tolist()
        turn = (yaw - heading_rad + math.pi) % (2.0 * math.pi) - math.pi
        frame = np.empty(14)
        np.subtract(state.joints.position_rad, self.config.extension_center_rad, out=frame[:8])
        frame[8:] = roll, pitch, _RATE_SCALE * p, _RATE_SCALE * q, turn, _RATE_SCALE * r
        frame.flags.writeable = False
        return frame

    @staticmethod
    def _observation(newest: FloatArray, previous: FloatArray, legs: FloatArray) -> Observation:
        whole = np.concatenate([newest, previous, legs])
        bounded: Observation = np.minimum(np.maximum(whole, -OBSERVATION_BOUND), OBSERVATION_BOUND).astype(np.float32)
        return bounded


def _tracked(state: RobotState) -> TrackedPose:
    if state.tracked_base is None:
        raise StaleError("the walking task needs a tracked base (motion capture, overhead camera or simulation) and this robot has none")
    return state.tracked_base


def _imu(state: RobotState) -> ImuState:
    if state.imu is None:
        raise StaleError("the walking task needs an IMU and this robot has none")
    return state.imu


def _roll_pitch_yaw(imu: ImuState) -> tuple[float, float, float]:
    """Return the angles of R = Rz(yaw) Ry(pitch) Rx(roll), rad."""
    # Plain floats here and below: a NumPy operation on so few numbers costs 1 us, and an environment step has 75 us beside its physics.
    (xx, _, _), (yx, _, _), (zx, zy, zz) = imu.rotation_base_to_world.tolist()
    return math.atan2(zy, zz), -math.asin(min(1.0, max(-1.0, zx))), math.atan2(yx, xx)


def _mean_power_w(ticks: Sequence[BusTick], state: RobotState) -> float:
    """Return the mean over the ends of the bus ticks of sum |torque velocity|, W; 0 where torque is not measured."""
    states = [tick.state for tick in ticks[1:]] + [state]
    powers = [
        sum(abs(torque * rate) for torque, rate in zip(s.joints.torque_nm.tolist(), s.joints.velocity_rad_s.tolist(), strict=True))
        for s in states
        if s.joints.torque_nm is not None
    ]
    return sum(powers) / len(powers) if powers else 0.0
