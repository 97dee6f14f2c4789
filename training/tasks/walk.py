"""Walk forward on legs: the Minitaur task of arXiv 1812.05905 with a smoother command and a bounded speed reward.

Actions are the shape of the legs (`training/tasks/legs.py`), which follow a first-order low-pass of them; its state is part of the
observation, so that the process stays Markov. Only what an IMU, joint encoders and a tracked base measure is used: the task runs unchanged
on hardware.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot.errors import StaleError
from robot.types import Command, FloatArray, ImuState, JointState, RobotState, TrackedPose
from safety.motion import BusTick
from training.tasks.low_pass import LowPass
from training.tasks.task import Observation, Outcome, Step, intervention
from training.tasks.walk_config import AnyWalkConfig, KittyWalkConfig, WalkConfig

__all__ = ["OBSERVATION_BOUND", "KittyWalkConfig", "WalkConfig", "WalkMemory", "WalkTask"]

# Scale of angular rates in the observation: 0.2 maps the +-5 rad/s of a trot to +-1.
_RATE_SCALE = 0.2
# Elements beyond it are cut: a base thrown at more than 50 rad/s is past saving, and networks see no outliers.
# Walking stays below 3 (measured).
OBSERVATION_BOUND = 10.0


@dataclass(frozen=True, slots=True)
class WalkMemory:
    """What the task carries from tick to tick.

    Attributes:
        legs: Shape (a,), [-1, 1]: state of the low-pass, as applied.
        newest: Shape (n + 6,): the newest frame of the observation.
        heading_rad: Yaw at the episode's start: the direction called forward.
        position_world_m: Shape (3,): where the tracked base was.
    """

    legs: FloatArray
    newest: FloatArray
    heading_rad: float
    position_world_m: FloatArray


class WalkTask:
    """Walk along the heading of the episode's start, at up to `speed_cap_m_s`."""

    observation_bound = OBSERVATION_BOUND

    def __init__(self, config: AnyWalkConfig, policy_period_s: float) -> None:
        self.config = config
        self.legs = config.legs
        self._low_pass = LowPass(config.action_smoothing, self.legs.legs)
        self._joints = len(self.legs.joint_names)
        self._period_s = policy_period_s

    @property
    def observation_names(self) -> tuple[str, ...]:
        """The newest frame, the one before, and the state of the low-pass."""
        frame = (*self.legs.joint_names, "roll", "pitch", "roll rate", "pitch rate", "yaw", "yaw rate")
        applied = (f"applied {name}" for name in self.legs.action_names)
        return (*frame, *(f"previous {name}" for name in frame), *applied)

    @property
    def action_names(self) -> tuple[str, ...]:
        """As the legs name them."""
        return self.legs.action_names

    @property
    def scaling(self) -> tuple[str, ...]:
        """Scales and low-pass of the action, as "name=value"."""
        return self.config.scaling

    def start(self, state: RobotState, _rng: np.random.Generator) -> tuple[Observation, WalkMemory]:
        """Begin an episode, of which nothing is random: the low-pass starts from the measured pose.

        Raises:
            StaleError: Without IMU or tracked base.
        """
        heading_rad = _roll_pitch_yaw(_imu(state))[2]
        legs = self.legs.legs(state.joints.position_rad)
        newest = self._frame(state, heading_rad)
        memory = WalkMemory(legs, newest, heading_rad, _tracked(state).position_world_m)
        return self._observation(newest, newest, legs), memory

    def turned(self, memory: WalkMemory, angle_rad: float) -> WalkMemory:
        """Turn the direction called forward to the left, rad: the policy sees that it has strayed to the right, and follows."""
        return replace(memory, heading_rad=memory.heading_rad + angle_rad)

    def target(self, action: FloatArray, memory: WalkMemory) -> Command:
        """Map an action (a,) in [-1, 1] through the low-pass to joint targets. Shape (n,), rad."""
        return Command(self.legs.joints_rad(self._low_pass.after(action, memory.legs)))

    def finish(self, action: FloatArray, memory: WalkMemory, ticks: Sequence[BusTick], state: RobotState) -> Step[WalkMemory]:
        """Judge one policy tick; `ticks` are its bus ticks, `state` was read at its end."""
        applied_action, legs = self._low_pass.applied(action, memory.legs, ticks)
        newest = self._frame(state, memory.heading_rad)
        tracked = _tracked(state)
        memory_next = WalkMemory(legs, newest, memory.heading_rad, tracked.position_world_m)
        outcome = self._outcome(memory, memory_next, ticks, state, intervention(action, applied_action))
        return Step(applied_action, outcome, self._observation(newest, memory.newest, legs), memory_next)

    def _outcome(self, before: WalkMemory, after: WalkMemory, ticks: Sequence[BusTick], state: RobotState, intervention: float) -> Outcome:
        config = self.config
        (x, y, _), (x_before, y_before, _) = after.position_world_m.tolist(), before.position_world_m.tolist()
        vx, vy = (x - x_before) / self._period_s, (y - y_before) / self._period_s
        forward, left = math.cos(before.heading_rad), math.sin(before.heading_rad)
        speed, sideways = vx * forward + vy * left, vy * forward - vx * left
        roll, pitch, _, _, yaw, _ = after.newest[self._joints :].tolist()
        change = sum(map(abs, (after.legs - before.legs).tolist())) / len(after.legs)
        terminated = self.fallen(state)
        reward = (
            config.speed_weight * min(max(speed, -config.speed_cap_m_s), config.speed_cap_m_s)
            - config.action_change_weight * change
            - config.power_weight_per_w * _mean_power_w(ticks, state, config.torque_nm_per_a)
            - config.sideways_weight * abs(sideways)
            - config.tilt_weight_per_rad * (abs(roll) + abs(pitch))
            - config.heading_weight_per_rad * abs(yaw)
            - config.intervention_weight * intervention
            - config.fall_penalty * terminated
        )
        return Outcome(reward, terminated, speed)

    def fallen(self, state: RobotState) -> bool:
        """Tell whether the base is tilted or low beyond the bounds."""
        low = self.config.fall_height_m is not None and _tracked(state).position_world_m[2] < self.config.fall_height_m
        return bool(_imu(state).rotation_base_to_world[2, 2] < self.config.fall_upright or low)

    def _frame(self, state: RobotState, heading_rad: float) -> FloatArray:
        imu = _imu(state)
        roll, pitch, yaw = _roll_pitch_yaw(imu)
        p, q, r = imu.angular_velocity_base_rad_s.tolist()
        turn = (yaw - heading_rad + math.pi) % (2.0 * math.pi) - math.pi
        joints = self._joints
        frame = np.empty(joints + 6)
        np.subtract(state.joints.position_rad, self.legs.centre_rad, out=frame[:joints])
        frame[joints:] = roll, pitch, _RATE_SCALE * p, _RATE_SCALE * q, turn, _RATE_SCALE * r
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


def _mean_power_w(ticks: Sequence[BusTick], state: RobotState, torque_nm_per_a: float) -> float:
    """Return the mean over the ends of the bus ticks of sum |torque velocity|, W; 0 where neither torque nor current is measured.

    Where a robot measures current alone, `torque_nm_per_a` of its motors makes it a torque.
    """
    states = [tick.state.joints for tick in ticks[1:]] + [state.joints]
    powers = [power for joints in states if (power := _power_w(joints, torque_nm_per_a)) is not None]
    return sum(powers) / len(powers) if powers else 0.0


def _power_w(joints: JointState, torque_nm_per_a: float) -> float | None:
    rates = joints.velocity_rad_s.tolist()
    if joints.torque_nm is not None:
        return _sum_of_products(joints.torque_nm.tolist(), rates)
    if joints.current_a is not None:
        return torque_nm_per_a * _sum_of_products(joints.current_a.tolist(), rates)
    return None


def _sum_of_products(one: list[float], other: list[float]) -> float:
    return sum(abs(a * b) for a, b in zip(one, other, strict=True))
