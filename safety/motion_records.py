"""What the motion process and its client say to each other: records of fixed size, and their way to and from the project's data types."""

from __future__ import annotations

from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

from robot.types import Command, FloatArray, ImuState, JointState, RobotState, TrackedAngle, TrackedPose, frozen_array
from safety.motion import BusTick
from safety.types import AppliedCommand, Mode, Reason

Record = NDArray[np.void]

# Bytes of the texts: an error is one line, and a robot has at most some dozens of joints.
_TEXT, _NAMES = 400, 4096
# A routine's history: two steps of five attempts, each of up to 100 bytes, and what a person is asked for.
_HISTORY = 1200


class Request(IntEnum):
    """What a command record asks for. A stop has its own word, which needs no ownership: see `MotionLink.ask_stop`."""

    MOVE = 0
    ARM = 1
    CUT = 2
    RELEASE = 3
    CLOSE = 4
    # The mode that drives, in the place of the seed.
    ENGAGE = 5
    # Of an operator.
    CLEAR = 6
    # The robot's reset routine. Answered when it has begun; `Outcome` says how it ended.
    RESET = 7


class Outcome(IntEnum):
    """How the newest reset routine ended."""

    NONE = 0
    RUNNING = 1
    # The robot is where an episode begins; whoever asked drives.
    DONE = 2
    # Something stopped it that the next one may end.
    FAILED = 3
    # Something stopped it that only a person ends.
    OPERATOR = 4
    # Somebody stopped it, or who asked for it is gone.
    STOPPED = 5


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


# Written once, when the server is ready. `granted` says what the kernel gave it, one line each.
ABOUT = np.dtype(
    [
        ("pid", "<u8"),
        ("period_s", "<f8"),
        ("capacity", "<u4"),
        ("joints", "<u4"),
        ("joint_names", f"S{_NAMES}"),
        ("granted", f"S{_NAMES}"),
    ]
)
# Written when a request was executed, when the robot failed, when a routine ended, and at the end. `failed` is of the acknowledged request.
STATUS = np.dtype(
    [
        ("epoch", "<u8"),
        ("acknowledged", "<u8"),
        ("errors", "<u8"),
        ("failed", "u1"),
        ("closed", "u1"),
        ("outcome", "u1"),
        ("history", f"S{_HISTORY}"),
        ("text", f"S{_TEXT}"),
        ("error", f"S{_TEXT}"),
    ]
)


def command_dtype(joints: int) -> np.dtype[np.void]:
    """Return the record of a command: who (epoch), which (sequence), when (monotonic, s), what, and the seed of a RELEASE."""
    return np.dtype(
        [
            ("epoch", "<u8"),
            ("sequence", "<u8"),
            ("seed", "<u8"),
            ("stamp_s", "<f8"),
            ("target_rad", "<f8", (joints,)),
            ("request", "u1"),
        ]
    )


def tick_dtype(joints: int) -> np.dtype[np.void]:
    """Return the record of one bus tick: the whole state at its start, what was asked, what was sent, and how punctual it was.

    `clock_s` is the time of the robot's clock, `published_s` and `deadline_s` (of the next tick) are monotonic; `missed` and `errors`
    count from the start of the process; `epoch` and `command` name the newest command that was taken, 0 for none.
    """
    per_joint = ("target_rad", "emission_rad", "position_rad", "velocity_rad_s", "torque_nm", "current_a", "temperature_c", "age_s")
    return np.dtype(
        [
            ("sequence", "<u8"),
            ("epoch", "<u8"),
            ("command", "<u8"),
            ("missed", "<u8"),
            ("errors", "<u8"),
            ("stamp_s", "<f8"),
            ("clock_s", "<f8"),
            ("published_s", "<f8"),
            ("deadline_s", "<f8"),
            ("period_s", "<f8"),
            ("lateness_s", "<f8"),
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
            ("hardware_error", "<u4", (joints,)),
            ("has", "<u4"),
            ("filter_mask", "<u4"),
            ("causes", "<u4"),
            ("mode", "u1"),
        ]
    )


def fill_state(record: Record, state: RobotState) -> Has:
    """Write a state into a tick record, shape (1,), and return which parts it has.

    The camera's frame stays out: images reach a learner from the camera's own process.
    """
    joints = state.joints
    row = record[0]
    row["stamp_s"] = joints.stamp_s
    row["position_rad"], row["velocity_rad_s"], row["age_s"] = joints.position_rad, joints.velocity_rad_s, joints.age_s
    has = Has(0)
    optional = (
        ("torque_nm", joints.torque_nm, Has.TORQUE),
        ("current_a", joints.current_a, Has.CURRENT),
        ("temperature_c", joints.temperature_c, Has.TEMPERATURE),
        ("hardware_error", joints.hardware_error, Has.HARDWARE_ERROR),
        ("voltage_v", state.voltage_v, Has.VOLTAGE),
    )
    for name, values, part in optional:
        if values is not None:
            row[name] = values
            has |= part
    return has | _fill_bodies(row, state)


def _fill_bodies(row: np.void, state: RobotState) -> Has:
    has = Has(0)
    if state.imu is not None:
        row["rotation_base_to_world"] = state.imu.rotation_base_to_world.ravel()
        row["angular_velocity_base_rad_s"], row["imu_age_s"] = state.imu.angular_velocity_base_rad_s, state.imu.age_s
        has |= Has.IMU
    if (base := state.tracked_base) is not None:
        row["base_position_world_m"], row["base_velocity_world_m_s"] = base.position_world_m, base.velocity_world_m_s
        row["base_age_s"] = base.age_s
        has |= Has.BASE
    if (turned := state.tracked_object) is not None:
        row["object_angle_rad"], row["object_velocity_rad_s"], row["object_age_s"] = turned.angle_rad, turned.velocity_rad_s, turned.age_s
        has |= Has.OBJECT
    return has


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
    """Return what a tick sent, which stages changed the target, and the mode."""
    return AppliedCommand(frozen_array(row["emission_rad"]), Reason(int(row["filter_mask"])), Mode(int(row["mode"])))


def bus_tick_of(row: np.void) -> BusTick:
    """Return a tick record's row as the tick that a loop in this process would have made."""
    return BusTick(float(row["period_s"]), state_of(row), Command(frozen_array(row["target_rad"])), applied_of(row))
