"""What a robot is: data types, protocols, errors and time; later its drivers, sensors and the emulated bus."""

from robot.errors import (
    CheckpointError,
    ClosedError,
    CommandError,
    FetlockError,
    LogError,
    PolicyError,
    RobotError,
    StaleError,
    UsageError,
)
from robot.protocols import Camera, Clock, Resettable, Robot
from robot.types import (
    ByteImage,
    CameraFrame,
    Command,
    FloatArray,
    ImuState,
    JointState,
    RobotState,
    TrackedPose,
    command,
    frozen_array,
    require_executable,
)

__all__ = [
    "ByteImage",
    "Camera",
    "CameraFrame",
    "CheckpointError",
    "Clock",
    "ClosedError",
    "Command",
    "CommandError",
    "FetlockError",
    "FloatArray",
    "ImuState",
    "JointState",
    "LogError",
    "PolicyError",
    "Resettable",
    "Robot",
    "RobotError",
    "RobotState",
    "StaleError",
    "TrackedPose",
    "UsageError",
    "command",
    "frozen_array",
    "require_executable",
]
