"""One bus tick as a record of fixed size: on its way out of the motion process, and in the rollout log.

What a robot does not have is NaN, and missing in `has`: a state that is read back is equal to the one that was written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot.types import Command, FloatArray, ImuState, JointState, RobotState, TrackedAngle, TrackedPose, frozen_array
from safety.motion import BusTick
from safety.types import AppliedCommand, Cause, Mode, Note, Reason

Record = NDArray[np.void]
Columns = dict[str, NDArray[Any]]
Fields = list[tuple[str, str] | tuple[str, str, tuple[int]]]


class Has(IntFlag):
    """Which optional parts of a state a tick record holds, and whether torque was on."""

    TORQUE = 1
    CURRENT = 2
    TEMPERATURE = 4
    HARDWARE_ERROR = 8
    IMU = 16
    BASE = 32
    OBJECT = 64
    VOLTAGE = 128
    ARMED = 256


# Each optional part: its bit, a plain number because a flag takes a microsecond to be combined, its fields, and what they hold where there
# is none.
_PARTS: tuple[tuple[int, tuple[str, ...], tuple[float, ...]], ...] = tuple(
    (int(part), names, (nothing,) * len(names))
    for part, names, nothing in (
        (Has.TORQUE, ("torque_nm",), math.nan),
        (Has.CURRENT, ("current_a",), math.nan),
        (Has.TEMPERATURE, ("temperature_c",), math.nan),
        (Has.HARDWARE_ERROR, ("hardware_error",), 0),
        (Has.VOLTAGE, ("voltage_v",), math.nan),
        (Has.IMU, ("rotation_base_to_world", "angular_velocity_base_rad_s", "imu_age_s"), math.nan),
        (Has.BASE, ("base_position_world_m", "base_velocity_world_m_s", "base_age_s"), math.nan),
        (Has.OBJECT, ("object_angle_rad", "object_velocity_rad_s", "object_age_s"), math.nan),
    )
)


def tick_fields(joints: int) -> tuple[Fields, Fields, Fields]:
    """Return the fields of a tick, of eight bytes, of four, of one; records that need no padding have them in this order.

    The state at the start of the tick, what was asked for (`target_rad`), what was sent (`emission_rad`), and what the guard says of it.
    """
    per_joint = (
        *("target_rad", "emission_rad", "position_rad", "velocity_rad_s", "torque_nm", "current_a", "temperature_c", "age_s"),
        "heating_a2",
    )
    eights: Fields = [
        ("stamp_s", "<f8"),
        ("period_s", "<f8"),
        *((name, "<f8", (joints,)) for name in per_joint),
        ("rotation_base_to_world", "<f8", (9,)),
        ("angular_velocity_base_rad_s", "<f8", (3,)),
        ("imu_age_s", "<f8"),
        ("base_position_world_m", "<f8", (3,)),
        ("base_velocity_world_m_s", "<f8", (3,)),
        ("base_age_s", "<f8"),
        ("object_angle_rad", "<f8"),
        ("object_velocity_rad_s", "<f8"),
        ("object_age_s", "<f8"),
        ("voltage_v", "<f8"),
    ]
    fours: Fields = [("hardware_error", "<u4", (joints,)), ("has", "<u4"), ("filter_mask", "<u4"), ("causes", "<u4"), ("notes", "<u4")]
    return eights, fours, [("mode", "u1")]


def columns_of(record: Record) -> Columns:
    """Return a view of each field of a record, shape (1,): filling one costs a quarter of what the field of a row costs (0.1 us to 0.5)."""
    return {name: record[name][0] if record.dtype[name].shape else record[name] for name in record.dtype.names or ()}


def fill_tick(columns: Columns, tick: BusTick) -> None:
    """Write a bus tick into the fields of `tick_fields` of a record, given by its columns."""
    columns["has"][...] = fill_state(columns, tick.state)
    columns["period_s"][...] = tick.period_s
    columns["target_rad"][...] = tick.target.position_rad
    applied = tick.applied
    fill_applied(columns, applied if isinstance(applied, AppliedCommand) else AppliedCommand(applied.position_rad, Reason.NONE))


def fill_applied(columns: Columns, applied: AppliedCommand) -> None:
    """Write what was sent, and what the guard says of it."""
    columns["emission_rad"][...] = applied.position_rad
    columns["filter_mask"][...] = int(applied.reasons)
    columns["causes"][...] = int(applied.causes)
    columns["notes"][...] = int(applied.notes)
    columns["mode"][...] = int(applied.mode)
    columns["heating_a2"][...] = np.nan if applied.heating_a2 is None else applied.heating_a2


def fill_state(columns: Columns, state: RobotState) -> int:
    """Write a state into a tick record, and return which parts it has, a sum of `Has`.

    The camera's frame stays out: frames are recorded by policy tick, not by bus tick.
    """
    joints = state.joints
    columns["stamp_s"][...] = joints.stamp_s
    columns["position_rad"][...] = joints.position_rad
    columns["velocity_rad_s"][...] = joints.velocity_rad_s
    columns["age_s"][...] = joints.age_s
    has = 0
    for (part, names, nothing), values in zip(_PARTS, _parts_of(state), strict=True):
        for name, value in zip(names, values or nothing, strict=True):
            columns[name][...] = value
        if values:
            has += part
    return has


def _parts_of(state: RobotState) -> Iterator[tuple[ArrayLike, ...]]:
    """Yield the values of the fields of each part in `_PARTS`; none where a state has no such part."""
    joints, imu, base, turned = state.joints, state.imu, state.tracked_base, state.tracked_object
    yield () if joints.torque_nm is None else (joints.torque_nm,)
    yield () if joints.current_a is None else (joints.current_a,)
    yield () if joints.temperature_c is None else (joints.temperature_c,)
    yield () if joints.hardware_error is None else (joints.hardware_error,)
    yield () if state.voltage_v is None else (state.voltage_v,)
    yield () if imu is None else (imu.rotation_base_to_world.ravel(), imu.angular_velocity_base_rad_s, imu.age_s)
    yield () if base is None else (base.position_world_m, base.velocity_world_m_s, base.age_s)
    yield () if turned is None else (turned.angle_rad, turned.velocity_rad_s, turned.age_s)


def state_of(row: np.void) -> RobotState:
    """Read the state of a tick record's row back, equal to the one that was written, its frame apart."""
    has = Has(int(row["has"]))

    def array(name: str, part: Has) -> FloatArray | None:
        return frozen_array(row[name]) if part in has else None

    joints = JointState(
        float(row["stamp_s"]),
        frozen_array(row["position_rad"]),
        frozen_array(row["velocity_rad_s"]),
        frozen_array(row["age_s"]),
        torque_nm=array("torque_nm", Has.TORQUE),
        current_a=array("current_a", Has.CURRENT),
        temperature_c=array("temperature_c", Has.TEMPERATURE),
        hardware_error=tuple(int(error) for error in row["hardware_error"]) if Has.HARDWARE_ERROR in has else None,
    )
    return RobotState(
        joints,
        imu=_imu_of(row) if Has.IMU in has else None,
        tracked_base=_base_of(row) if Has.BASE in has else None,
        tracked_object=_object_of(row) if Has.OBJECT in has else None,
        voltage_v=float(row["voltage_v"]) if Has.VOLTAGE in has else None,
    )


def _imu_of(row: np.void) -> ImuState:
    rotation = frozen_array(row["rotation_base_to_world"].reshape(3, 3))
    return ImuState(rotation, frozen_array(row["angular_velocity_base_rad_s"]), float(row["imu_age_s"]))


def _base_of(row: np.void) -> TrackedPose:
    position = frozen_array(row["base_position_world_m"])
    return TrackedPose(position, frozen_array(row["base_velocity_world_m_s"]), float(row["base_age_s"]))


def _object_of(row: np.void) -> TrackedAngle:
    return TrackedAngle(float(row["object_angle_rad"]), float(row["object_velocity_rad_s"]), float(row["object_age_s"]))


def applied_of(row: np.void) -> AppliedCommand:
    """Return what a tick sent, and what the guard said of it."""
    heating_a2 = frozen_array(row["heating_a2"])
    return AppliedCommand(
        frozen_array(row["emission_rad"]),
        Reason(int(row["filter_mask"])),
        Mode(int(row["mode"])),
        Cause(int(row["causes"])),
        Note(int(row["notes"])),
        None if np.isnan(heating_a2).all() else heating_a2,
    )


def bus_tick_of(row: np.void) -> BusTick:
    """Return a record's row as the tick that a loop in this process would have made."""
    return BusTick(float(row["period_s"]), state_of(row), Command(frozen_array(row["target_rad"])), applied_of(row))
