"""What the motion process and its client say to each other: records of fixed size."""

from __future__ import annotations

import struct
from enum import IntEnum

import numpy as np

from safety.tick_records import tick_fields
from safety.types import Cause

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
    # Stop for a cause that the client has found, of `CLIENTS_CAUSES`, in the place of the seed.
    TRIP = 8


# What a client knows and the server does not: it looks through the camera, and its log is on a disk.
CLIENTS_CAUSES = Cause.CAMERA | Cause.DISK


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


# What `tick_dtype` has before the tick itself.
TICK_HEAD = struct.Struct("<5Q4d")


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
    """Return the record of one bus tick: `TICK_HEAD` and all of `tick_records`. Who asked for it, and how punctual it was.

    `clock_s` is the time of the robot's clock, `published_s` and `deadline_s` (of the next tick) are monotonic; `missed` and `errors`
    count from the start of the process; `epoch` and `command` name the newest command that was taken, 0 for none.
    """
    eights, fours, ones = tick_fields(joints)
    return np.dtype(
        [
            ("sequence", "<u8"),
            ("epoch", "<u8"),
            ("command", "<u8"),
            ("missed", "<u8"),
            ("errors", "<u8"),
            ("clock_s", "<f8"),
            ("published_s", "<f8"),
            ("deadline_s", "<f8"),
            ("lateness_s", "<f8"),
            *eights,
            *fours,
            *ones,
        ]
    )
