"""The one record format of ring, log and replay: NumPy structured dtypes whose bytes are a CDR payload.

CDR (ROS 2's serialisation, OMG DDSI-RTPS 2.3, section 10) aligns each primitive to its size. Fields in order of falling size need no
padding, so the packed struct behind the 4-byte encapsulation header is a CDR message: Foxglove, Lichtblick and Rerun decode our records
with no plugin.
"""

from __future__ import annotations

import re
import struct

import numpy as np
from numpy.typing import NDArray

from robot.errors import LogError
from robot.types import ByteImage, CameraFrame
from safety.motion import BusTick
from safety.tick_records import pack_tick, tick_fields
from safety.types import Mode

# Modes of a step that somebody drove: a policy, or a person instead of it. Any other was the guard's.
DRIVEN = (int(Mode.ACTIVE), int(Mode.TELEOP))

# Little-endian plain CDR: representation identifier 0x0001, no options.
CDR_HEADER = b"\x00\x01\x00\x00"

_ROS_NAMES = {"f8": "float64", "f4": "float32", "u8": "uint64", "u4": "uint32", "u1": "uint8"}
_NUMPY_NAMES = {ros: code for code, ros in _ROS_NAMES.items()}
_FIELD = re.compile(r"^(?P<type>[a-z]+[0-9]+)(?:\[(?P<length>[0-9]+)\])? (?P<name>[a-z][a-z0-9_]*)$")


# The fields of a step's record before its observation, and those behind its next observation.
STEP_HEAD, STEP_END = struct.Struct("<5Q6d"), struct.Struct("<3I3B")
# The place of a bus tick's record, before and between the fields of the tick.
_PLACE, _NUMBER = struct.Struct("<2Q"), struct.Struct("<I")


def step_dtype(observation: int, action: int) -> np.dtype[np.void]:
    """Return the record of one policy tick: a transition with its timing and its place in the log.

    `bus_first` and `bus_last` are the sequence numbers of the bus ticks that it spans; `measure` is the task's headline figure,
    `applied_action` what the guard let through, in action units; `object_rad` the angle of the tracked object at the observation and at the
    next one, NaN without one; `step` counts gaplessly in the episode, `sequence` in the collector.
    """
    return np.dtype(
        [
            ("sequence", "<u8"),
            ("episode", "<u8"),
            ("policy_version", "<u8"),
            ("bus_first", "<u8"),
            ("bus_last", "<u8"),
            ("stamp_s", "<f8"),
            ("reward", "<f8"),
            ("measure", "<f8"),
            ("lateness_s", "<f8"),
            ("object_rad", "<f8", (2,)),
            ("observation", "<f4", (observation,)),
            ("action", "<f4", (action,)),
            ("applied_action", "<f4", (action,)),
            ("next_observation", "<f4", (observation,)),
            ("collector", "<u4"),
            ("step", "<u4"),
            ("filter_mask", "<u4"),
            ("mode", "u1"),
            ("terminated", "u1"),
            ("truncated", "u1"),
        ]
    )


def bus_dtype(joints: int) -> np.dtype[np.void]:
    """Return the record of one bus tick: all of `safety.tick_records`, and its place in the log. What a robot lacks is NaN."""
    eights, fours, ones = tick_fields(joints)
    return np.dtype([("sequence", "<u8"), ("episode", "<u8"), *eights, ("collector", "<u4"), *fours, *ones])


# The fields of a frame's record before its image.
_FRAME_HEAD = struct.Struct("<2Qd")


def frame_dtype(height_px: int, width_px: int) -> np.dtype[np.void]:
    """Return the record of a camera's frame on its way to the logger: RGB, with the number of the step whose observation it shows.

    `episode` tells it from the frame of a tick that a dead collector never finished: the step of that number is another one then. The last
    observation of an episode has the number after that of its last step.
    """
    return np.dtype([("sequence", "<u8"), ("episode", "<u8"), ("stamp_s", "<f8"), ("image", "u1", (height_px, width_px, 3))])


def pack_bus(sequence: int, episode: int, collector: int, tick: BusTick) -> tuple[bytes, ...]:
    """Return a bus tick as the bytes of `bus_dtype`, in parts: what a real-time loop hands to a ring."""
    eights, rest = pack_tick(tick)
    return _PLACE.pack(sequence, episode), eights, _NUMBER.pack(collector), rest


def pack_frame(sequence: int, episode: int, frame: CameraFrame) -> tuple[bytes, ByteImage]:
    """Return a frame as the bytes of `frame_dtype`, in two parts: the image is copied once, into the ring."""
    return _FRAME_HEAD.pack(sequence, episode, frame.stamp_s), frame.image


def learnable(steps: NDArray[np.void]) -> NDArray[np.bool_]:
    """Tell which steps can be learned from, shape (k,): neither ticks in HOLD nor proposed actions that are not finite."""
    mask: NDArray[np.bool_] = np.isin(steps["mode"], DRIVEN) & np.isfinite(steps["action"]).all(axis=1)
    return mask


def ros2msg(dtype: np.dtype[np.void]) -> str:
    """Write a record's dtype as a ROS 2 message definition."""
    lines = []
    for name, size, shape in _fields(dtype):
        suffix = f"[{shape[0]}]" if shape else ""
        lines.append(f"{_ROS_NAMES[size]}{suffix} {name}")
    return "\n".join(lines) + "\n"


def dtype_of(definition: str) -> np.dtype[np.void]:
    """Read a message definition of `ros2msg` back, so that a log describes itself.

    Raises:
        LogError: If a line is no field of fixed size.
    """
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = []
    for line in definition.strip().splitlines():
        match = _FIELD.match(line.strip())
        if match is None or match["type"] not in _NUMPY_NAMES:
            raise LogError(f"the log's schema has a field that Fetlock does not write: {line!r}; another program made it, or it is damaged")
        code = "<" + _NUMPY_NAMES[match["type"]]
        fields.append((match["name"], code) if match["length"] is None else (match["name"], code, (int(match["length"]),)))
    return np.dtype(fields)


def _fields(dtype: np.dtype[np.void]) -> list[tuple[str, str, tuple[int, ...]]]:
    result = []
    for name in dtype.names or ():
        field = dtype[name]
        base, shape = field.subdtype or (field, ())
        result.append((name, f"{base.kind}{base.itemsize}", shape))
    return result
