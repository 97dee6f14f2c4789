"""Messages that every viewer knows, of ROS 2, in plain CDR: sensor_msgs/JointState, sensor_msgs/Imu, sensor_msgs/CompressedImage.

The first two say again what `/bus` says, for Foxglove, Lichtblick, Rerun and `ros2 bag`; what Fetlock itself reads is `/bus`. A frame of
the camera is said once: its image is what Fetlock reads too.

Layout: CDR aligns each primitive to its size, counted from behind the 4-byte header (OMG DDSI-RTPS 2.3, section 10); text is its length
with the closing zero, the bytes, and that zero. One robot's messages are equally long, so that a whole batch is one array.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from safety.tick_records import Has
from training.records import CDR_HEADER

_RULE = "=" * 80
_HEADER = f"""{_RULE}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{_RULE}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
JOINT_STATE = "sensor_msgs/msg/JointState"
JOINT_STATE_DEFINITION = f"""std_msgs/Header header
string[] name
float64[] position
float64[] velocity
float64[] effort
{_HEADER}"""
IMU = "sensor_msgs/msg/Imu"
IMU_DEFINITION = f"""std_msgs/Header header
geometry_msgs/Quaternion orientation
float64[9] orientation_covariance
geometry_msgs/Vector3 angular_velocity
float64[9] angular_velocity_covariance
geometry_msgs/Vector3 linear_acceleration
float64[9] linear_acceleration_covariance
{_RULE}
MSG: geometry_msgs/Quaternion
float64 x
float64 y
float64 z
float64 w
{_RULE}
MSG: geometry_msgs/Vector3
float64 x
float64 y
float64 z
{_HEADER}"""
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
COMPRESSED_IMAGE_DEFINITION = f"""std_msgs/Header header
string format
uint8[] data
{_HEADER}"""
# A sequence begins with its length, uint32.
_SIZE_BYTES = 4
# First element of the covariance of what is not measured (sensor_msgs/Imu).
_NOT_MEASURED = -1.0


class _Message:
    """A message of fixed length: constant bytes, and fields at their places."""

    def __init__(self, frame: str) -> None:
        self._bytes = bytearray()
        self._fields: dict[str, tuple[str, int]] = {}
        self.field("sec", "<i4")
        self.field("nanosec", "<u4")
        self.text(frame)

    def text(self, words: str) -> None:
        encoded = words.encode() + b"\0"
        self.constant(np.uint32(len(encoded)))
        self._bytes += encoded

    def constant(self, value: np.generic) -> None:
        self._align(value.itemsize)
        self._bytes += value.tobytes()

    def field(self, name: str, code: str) -> None:
        """Leave a place that is filled in each message."""
        dtype = np.dtype(code)
        self._align(dtype.base.itemsize)
        self._fields[name] = (code, len(self._bytes))
        self._bytes += bytes(dtype.itemsize)

    def batch(self, count: int) -> NDArray[np.void]:
        """Return so many messages with their constants, to be filled."""
        size = len(CDR_HEADER) + len(self._bytes)
        offsets = [len(CDR_HEADER) + offset for _, offset in self._fields.values()]
        dtype = np.dtype(
            {"names": list(self._fields), "formats": [code for code, _ in self._fields.values()], "offsets": offsets, "itemsize": size}
        )
        whole = np.frombuffer(CDR_HEADER + bytes(self._bytes), np.uint8)
        return np.tile(whole, count).view(dtype)

    def _align(self, size: int) -> None:
        self._bytes += bytes(-len(self._bytes) % size)


def _stamped(messages: NDArray[np.void], stamp_s: NDArray[np.float64]) -> NDArray[np.void]:
    nanoseconds = np.maximum(0, np.rint(stamp_s * 1e9)).astype(np.int64)
    messages["sec"], messages["nanosec"] = nanoseconds // 10**9, nanoseconds % 10**9
    return messages


class JointStates:
    """Writes bus records as sensor_msgs/JointState.

    Args:
        names: Of the joints, in the order of the records.
    """

    def __init__(self, names: Sequence[str]) -> None:
        count = len(names)
        self._message = message = _Message("")
        message.constant(np.uint32(count))
        for name in names:
            message.text(name)
        for quantity in ("position", "velocity", "effort"):
            message.constant(np.uint32(count))
            message.field(quantity, f"({count},)<f8")

    def encode(self, bus: NDArray[np.void]) -> list[bytes]:
        """Return a message for each record, shape (k,): rad, rad/s, N m; NaN where a robot does not measure torque."""
        messages = _stamped(self._message.batch(len(bus)), bus["stamp_s"])
        messages["position"], messages["velocity"], messages["effort"] = bus["position_rad"], bus["velocity_rad_s"], bus["torque_nm"]
        return [message.tobytes() for message in messages]


class CompressedImages:
    """Writes encoded images as sensor_msgs/CompressedImage, in the frame `camera`, and reads them back."""

    def __init__(self) -> None:
        self._message = message = _Message("camera")
        message.text("png")
        message.field("size", "<u4")
        # Bytes that are the same in every message, and where they are.
        blank, filled = message.batch(1), message.batch(1)
        for name in filled.dtype.names or ():
            filled[name] = -1 if filled.dtype[name].kind == "i" else np.iinfo(filled.dtype[name]).max
        self._head, self._constant = blank.view(np.uint8), blank.view(np.uint8) == filled.view(np.uint8)

    def encode(self, stamp_s: NDArray[np.float64], pngs: Sequence[bytes]) -> list[bytes]:
        """Return a message for each image; its stamp is rounded to ns."""
        messages = _stamped(self._message.batch(len(pngs)), stamp_s)
        messages["size"] = [len(png) for png in pngs]
        return [message.tobytes() + png for message, png in zip(messages, pngs, strict=True)]

    def decode(self, payload: bytes) -> bytes:
        """Return the image of a message; raises ValueError if it is none of ours."""
        length = len(self._head)
        image = payload[length:]
        differs = np.frombuffer(payload, np.uint8, length) != self._head
        if (differs & self._constant).any() or int.from_bytes(payload[length - _SIZE_BYTES : length], "little") != len(image):
            raise ValueError("no image that Fetlock wrote")
        return image


class Imus:
    """Writes the IMU of bus records as sensor_msgs/Imu, in the frame `base`."""

    def __init__(self) -> None:
        self._message = message = _Message("base")
        message.field("orientation", "(4,)<f8")
        message.field("orientation_covariance", "(9,)<f8")
        message.field("angular_velocity", "(3,)<f8")
        message.field("angular_velocity_covariance", "(9,)<f8")
        message.field("linear_acceleration", "(3,)<f8")
        message.field("linear_acceleration_covariance", "(9,)<f8")

    def encode(self, bus: NDArray[np.void]) -> list[bytes]:
        """Return a message for each record, shape (k,); the acceleration is not measured.

        Args:
            bus: Records that have an IMU.
        """
        messages = _stamped(self._message.batch(len(bus)), bus["stamp_s"])
        messages["orientation"] = quaternions(bus["rotation_base_to_world"].reshape(-1, 3, 3))
        messages["angular_velocity"] = bus["angular_velocity_base_rad_s"]
        messages["linear_acceleration_covariance"][:, 0] = _NOT_MEASURED
        return [message.tobytes() for message in messages]


def with_imu(bus: NDArray[np.void]) -> NDArray[np.bool_]:
    """Tell which records have an IMU, shape (k,)."""
    has: NDArray[np.bool_] = (bus["has"] & int(Has.IMU)) != 0
    return has


def quaternions(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rotation matrices, shape (k, 3, 3), as unit quaternions (x, y, z, w), shape (k, 4), w >= 0.

    From the largest of the four squared components (Shepperd 1978, "Quaternion from rotation matrix"): the others divide by it.
    """
    diagonal = np.diagonal(rotation, axis1=1, axis2=2)
    trace = diagonal.sum(axis=1)
    # Four times the squares of x, y, z, w.
    squares = np.concatenate([1.0 + 2.0 * diagonal - trace[:, None], 1.0 + trace[:, None]], axis=1)
    products = np.empty((len(rotation), 4, 4))
    products[:, range(4), range(4)] = squares
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        products[:, i, j] = products[:, j, i] = rotation[:, i, j] + rotation[:, j, i]
        products[:, k, 3] = products[:, 3, k] = rotation[:, j, i] - rotation[:, i, j]
    largest = products[np.arange(len(rotation)), squares.argmax(axis=1)]
    unit: NDArray[np.float64] = largest / np.linalg.norm(largest, axis=1, keepdims=True)
    return np.where(unit[:, 3:] < 0.0, -unit, unit)
