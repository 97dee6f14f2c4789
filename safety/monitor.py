"""What is watched at every bus tick: pure functions of state, memory and limits that name causes to stop."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from robot.types import CameraFrame, FloatArray, JointState, RobotState
from safety.limits import GuardConfig, Limits
from safety.types import Cause, Mode

# No motor turns half a turn within a bus tick: at 100 Hz that would be 3,000 rev/min.
_JUMP_RAD = math.pi
# A motor that starts draws the supply down for some tenths of a second.
_BATTERY_S = 1.0
# Current beyond the limit slows a joint, to a standstill at this multiple: heat grows with its square, to 2.25 times that of the limit.
_CURRENT_STANDSTILL = 1.5


_NOTHING = np.empty(0)


class MonitorMemory(NamedTuple):
    """What the monitor remembers. Arrays have shape (n,).

    Attributes:
        position_rad: Measured before; empty: nothing yet.
        measured_s: When that was, by joint.
        far_s: How long each joint has been too far from its target.
        still_s: How long each encoder has shown one value in new measurements.
        lowest_rad: Lowest target since.
        highest_rad: Highest target since; a target that trembles goes nowhere.
        heating_a2: Mean square of each motor's current, A^2, with newer ones counting more.
        low_s: How long the supply has been too low.
        frame_stamp_s: Of the newest camera frame.
        frame_hash: Of its content.
        frozen_s: How long the content has not changed.
    """

    position_rad: FloatArray = _NOTHING
    measured_s: FloatArray = _NOTHING
    far_s: FloatArray = _NOTHING
    still_s: FloatArray = _NOTHING
    lowest_rad: FloatArray = _NOTHING
    highest_rad: FloatArray = _NOTHING
    heating_a2: FloatArray = _NOTHING
    low_s: float = 0.0
    frame_stamp_s: float = -math.inf
    frame_hash: int = 0
    frozen_s: float = 0.0


def watch(
    state: RobotState, applied_rad: FloatArray, mode: Mode, memory: MonitorMemory, config: GuardConfig, limits: Limits, h: float
) -> tuple[Cause, MonitorMemory]:
    """Look at a state.

    Args:
        state: Just measured.
        applied_rad: Shape (n,): the newest emission.
        mode: Of the guard.
        memory: Of the tick before.
        config: What is watched, and how closely.
        limits: Of the robot.
        h: Length of a bus tick, s.

    Returns:
        The causes that hold now, and the memory for the next tick.
    """
    joints = state.joints
    if len(memory.position_rad) != len(joints.position_rad):
        memory = _begun(memory, joints, applied_rad)
    causes, memory = _encoders(joints, applied_rad, memory, limits, config, h)
    causes |= _motors(joints, config)
    if joints.current_a is not None:
        memory = memory._replace(heating_a2=_heating(joints.current_a, memory.heating_a2, config.current_time_s, h))
    causes |= _body(state, mode, config)
    causes |= _camera_age(state, config)
    low_s = memory.low_s + h if _empty(state, config) else 0.0
    memory = memory._replace(low_s=low_s)
    if low_s >= _BATTERY_S:
        causes |= Cause.BATTERY
    if config.camera_frozen_s is not None and state.frame is not None:
        memory = _frozen(state.frame, memory)
        causes |= Cause.CAMERA if memory.frozen_s >= config.camera_frozen_s else Cause.NONE
    return causes, memory


def _begun(memory: MonitorMemory, joints: JointState, applied_rad: FloatArray) -> MonitorMemory:
    zeros = np.zeros_like(joints.position_rad)
    return memory._replace(
        position_rad=joints.position_rad,
        measured_s=zeros - math.inf,
        far_s=zeros,
        still_s=zeros,
        lowest_rad=applied_rad,
        highest_rad=applied_rad,
        # What was hot before a pause is hot after it.
        heating_a2=memory.heating_a2 if len(memory.heating_a2) else zeros,
    )


def _heating(current_a: FloatArray, heating_a2: FloatArray, time_s: float, h: float) -> FloatArray:
    """Return the mean square of the current, weighted by an exponential of `time_s`; what is no number heats nothing."""
    change = current_a * current_a - heating_a2
    return heating_a2 - math.expm1(-h / time_s) * np.where(np.isfinite(change), change, 0.0)


def _encoders(
    joints: JointState, applied_rad: FloatArray, memory: MonitorMemory, limits: Limits, config: GuardConfig, h: float
) -> tuple[Cause, MonitorMemory]:
    """Compare what joints show with what they were told."""
    position = joints.position_rad
    causes = Cause.NONE
    moved = position != memory.position_rad
    # A measurement that is not a number is nowhere.
    if not (np.abs(position - memory.position_rad) <= _JUMP_RAD).all():
        causes |= Cause.JUMPED
    far_s = np.where(np.abs(applied_rad - position) > limits.tracking_error_max_rad, memory.far_s + h, 0.0)
    # Half a tick of slack: sums of h are not exact.
    if (far_s > config.tracking_time_s - 0.5 * h).any():
        causes |= Cause.BLOCKED
    # What was not measured anew says nothing of the encoder; how old it may be is the robot's own bound.
    measured_s = joints.stamp_s - joints.age_s
    still_s = np.where(moved, 0.0, np.where(measured_s > memory.measured_s + 0.5 * h, memory.still_s + h, memory.still_s))
    lowest = np.where(moved, applied_rad, np.minimum(memory.lowest_rad, applied_rad))
    highest = np.where(moved, applied_rad, np.maximum(memory.highest_rad, applied_rad))
    if ((still_s > config.encoder_still_s - 0.5 * h) & (highest - lowest > config.encoder_still_rad)).any():
        causes |= Cause.STUCK
    return causes, memory._replace(
        position_rad=position, measured_s=measured_s, far_s=far_s, still_s=still_s, lowest_rad=lowest, highest_rad=highest
    )


def _motors(joints: JointState, config: GuardConfig) -> Cause:
    """Look at what motors say of themselves."""
    causes = Cause.NONE
    if joints.hardware_error is not None and any(joints.hardware_error):
        causes |= Cause.MOTOR
    # A temperature that has not been asked for yet is NaN, and compares as not too hot.
    if joints.temperature_c is not None and (joints.temperature_c >= config.temperature_max_c).any():
        causes |= Cause.HOT
    return causes


def _body(state: RobotState, mode: Mode, config: GuardConfig) -> Cause:
    """Look at the base and at what measures it."""
    causes = Cause.NONE
    imu = state.imu
    # A routine may right a robot that has fallen; it is judged by its own checks.
    if imu is not None and config.tilt_max_rad is not None and mode is not Mode.RESETTING:
        cosine = float(imu.rotation_base_to_world[2, 2])
        causes |= Cause.NONE if cosine >= math.cos(config.tilt_max_rad) else Cause.TILTED
    for sensor in (imu, state.tracked_base, state.tracked_object):
        if sensor is not None and not sensor.age_s <= config.sensor_age_max_s:
            causes |= Cause.STALE
    return causes


def _camera_age(state: RobotState, config: GuardConfig) -> Cause:
    if state.frame is None or config.camera_age_max_s is None:
        return Cause.NONE
    return Cause.NONE if state.joints.stamp_s - state.frame.stamp_s <= config.camera_age_max_s else Cause.CAMERA


def _frozen(frame: CameraFrame, memory: MonitorMemory) -> MonitorMemory:
    """Count how long new frames have had the content of the one before; a camera's noise makes no two alike."""
    if frame.stamp_s == memory.frame_stamp_s:
        return memory
    content = hash(frame.image.tobytes())
    same = content == memory.frame_hash and math.isfinite(memory.frame_stamp_s)
    frozen_s = memory.frozen_s + frame.stamp_s - memory.frame_stamp_s if same else 0.0
    return memory._replace(frame_stamp_s=frame.stamp_s, frame_hash=content, frozen_s=frozen_s)


def _empty(state: RobotState, config: GuardConfig) -> bool:
    return state.voltage_v is not None and config.voltage_min_v is not None and state.voltage_v < config.voltage_min_v


def derating(joints: JointState, memory: MonitorMemory, config: GuardConfig, limits: Limits) -> FloatArray:
    """Return the share of its speed that each joint may use, shape (n,): all of it while cool, none at the greatest heat or current.

    100% below `temperature_derate_c`, linear to 0 at `temperature_max_c`; the same for the root mean square of the current, from
    `current_max_a` to 1.5 times it.
    """
    share = np.ones_like(joints.position_rad)
    if joints.temperature_c is not None:
        heat = (config.temperature_max_c - joints.temperature_c) / (config.temperature_max_c - config.temperature_derate_c)
        share = np.fmin(share, heat)
    if config.current_max_a is not None and len(memory.heating_a2):
        top = _CURRENT_STANDSTILL * limits.current_max_a
        share = np.fmin(share, (top - np.sqrt(memory.heating_a2)) / (top - limits.current_max_a))
    return np.fmax(share, 0.0)
