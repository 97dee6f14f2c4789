"""Data that cross the layers: frozen, with read-only float64 arrays, units and frames in the names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from robot.errors import CommandError

FloatArray = NDArray[np.float64]
ByteImage = NDArray[np.uint8]


def frozen_array(values: ArrayLike) -> FloatArray:
    """Return a read-only float64 copy of `values`."""
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True)
class JointState:
    """What the joints of a robot measured at one time.

    Attributes:
        stamp_s: Time of the measurement on the robot's clock, s.
        position_rad: Shape (n,), rad, in the robot's joint convention.
        velocity_rad_s: Shape (n,), rad/s.
        torque_nm: Shape (n,), N m at the joint, or None where the robot measures current only.
        current_a: Shape (n,), A, or None.
        temperature_c: Shape (n,), deg C, or None; NaN where it has not been asked for yet.
        age_s: Shape (n,), s: `read` time minus the time at which the joint's value was measured.
        hardware_error: What each motor reports of itself, 0 for nothing, or None; see `robot.dynamixel.tables.hardware_errors`.
    """

    stamp_s: float
    position_rad: FloatArray
    velocity_rad_s: FloatArray
    age_s: FloatArray
    torque_nm: FloatArray | None = None
    current_a: FloatArray | None = None
    temperature_c: FloatArray | None = None
    hardware_error: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class ImuState:
    """Orientation and rate of the base.

    Attributes:
        rotation_base_to_world: Shape (3, 3): columns are the base's axes in the world frame.
        angular_velocity_base_rad_s: Shape (3,), rad/s, in the base frame.
        age_s: s since the measurement.
    """

    rotation_base_to_world: FloatArray
    angular_velocity_base_rad_s: FloatArray
    age_s: float


@dataclass(frozen=True, slots=True)
class TrackedPose:
    """Where an outside observer (motion capture, overhead camera, simulation) sees a body.

    Attributes:
        position_world_m: Shape (3,), m.
        velocity_world_m_s: Shape (3,), m/s.
        age_s: s since the measurement.
    """

    position_world_m: FloatArray
    velocity_world_m_s: FloatArray
    age_s: float


@dataclass(frozen=True, slots=True)
class TrackedAngle:
    """An object that turns about an axis, such as a valve.

    Attributes:
        angle_rad: rad, counted over turns.
        velocity_rad_s: rad/s.
        age_s: s since the measurement.
    """

    angle_rad: float
    velocity_rad_s: float
    age_s: float


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One image with the time of its capture.

    Attributes:
        stamp_s: Capture time on the robot's clock, s.
        image: Shape (height, width, 3), uint8, RGB, read-only.
    """

    stamp_s: float
    image: ByteImage


@dataclass(frozen=True, slots=True)
class RobotState:
    """Everything that a robot knows at one `read`; what it does not have is None, never invented."""

    joints: JointState
    imu: ImuState | None = None
    tracked_base: TrackedPose | None = None
    tracked_object: TrackedAngle | None = None
    frame: CameraFrame | None = None
    voltage_v: float | None = None


@dataclass(frozen=True, slots=True)
class BodyMotion:
    """Exact motion of a base, as physics knows it. Plain numbers: it is made at every bus tick.

    Attributes:
        position_world_m: (x, y, z), m.
        quaternion: Orientation, base to world, (x, y, z, w).
        velocity_world_m_s: (x, y, z), m/s.
        angular_velocity_world_rad_s: (x, y, z), rad/s.
    """

    position_world_m: tuple[float, float, float]
    quaternion: tuple[float, float, float, float]
    velocity_world_m_s: tuple[float, float, float]
    angular_velocity_world_rad_s: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class MotorConditions:
    """What an episode drew for the motors of a robot.

    Attributes:
        start_rad: Joint angles of the start pose, shape (n,), rad.
        supply_v: Of the bus, V.
        strength: Factor on the torque of each motor, shape (n,).
        control_latency_s: From a goal on the bus to its effect, s.
        sensing_latency_s: From a measurement to its register, s.
        noise_seed: Of the sensors' noise.
        gain_scale: Factor on what each position loop makes of an error.
    """

    start_rad: tuple[float, ...]
    supply_v: float
    strength: tuple[float, ...]
    control_latency_s: float = 0.0
    sensing_latency_s: float = 0.0
    noise_seed: int = 0
    gain_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Command:
    """Joint position targets. Shape (n,), rad."""

    position_rad: FloatArray


def command(position_rad: ArrayLike, joints: int) -> Command:
    """Build a command that owns its array.

    Args:
        position_rad: Shape (joints,), rad. May hold NaN: the guard rejects it, the robot refuses it.
        joints: Number of joints of the robot.

    Raises:
        CommandError: If the shape is not (joints,) or the elements are not numbers.
    """
    try:
        array = frozen_array(position_rad)
    except (TypeError, ValueError) as error:
        raise CommandError(f"a command that is no array of numbers was given to a robot of {joints} joints: {error}") from error
    if array.shape != (joints,):
        raise CommandError(f"a command of shape {array.shape} was given to a robot of {joints} joints: it takes ({joints},), rad")
    return Command(array)


def require_executable(command: Command, joints: int) -> None:
    """Check what every robot checks before it moves.

    Raises:
        CommandError: If the shape is not (joints,) or an element is not finite.
    """
    target = command.position_rad
    if target.shape != (joints,):
        raise CommandError(f"a command of shape {target.shape} was given to a robot of {joints} joints: it takes ({joints},), rad")
    if not np.isfinite(target).all():
        bad = np.flatnonzero(~np.isfinite(target)).tolist()
        raise CommandError(f"joints {bad} were given a target that is not finite ({target[bad].tolist()}): nothing was sent")
