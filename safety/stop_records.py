"""What the stop board holds, as data and as bytes. All bytes 0 is a board on which nothing was ever asked: it needs no initialisation.

A trip is announced by one word: the cell of its level in the slot of its writer counts up. A level is in force where the word that counts
trips differs from the word that says up to which one was cleared. Each is one aligned store of 8 bytes (`put_word`, `put_time`), which no
reader sees by halves on x86-64 and ARM64.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from mmap import mmap as Memory

# A writer needs a slot for microseconds, so that eight are never in use at once unless that many writers are frozen in mid-write.
SLOTS = 8
# As many as an operator has hands and stations for; `state` looks at all of them in each bus tick.
ENDPOINTS = 8
# What a line of `fetlock stop --status` has room for.
SOURCE_BYTES, NAME_BYTES = 60, 40


class StopLevel(IntEnum):
    """What is asked of the robot, in rising severity.

    HOLD: slow down and keep the pose. SETTLE: go to the rest pose, then torque off. CUT: torque off at once, the robot drops. TERMINATE:
    torque off, and the motion process does not move again until it is started anew.
    """

    HOLD = 1
    SETTLE = 2
    CUT = 3
    TERMINATE = 4


@dataclass(frozen=True, slots=True)
class Trip:
    """A stop that was asked for: level, when (monotonic, s), and by what."""

    level: StopLevel
    stamp_s: float
    source: str


@dataclass(frozen=True, slots=True)
class StopState:
    """What is asked of the robot at this moment.

    Attributes:
        level: The highest level in force; None if the robot may move.
        source: What asked for it; empty if nothing did.
        stamp_s: When, monotonic, s; 0 if nothing did.
        sequence: Number of trips so far, cleared ones too: each adds one, so that none between two looks goes unnoticed.
        silent: Names of the endpoints that do not check in, or have not yet.
    """

    level: StopLevel | None
    source: str
    stamp_s: float
    sequence: int
    silent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndpointState:
    """A registered endpoint: whose process it is, what its silence means, since when it is there and until when it is not silent.

    Times are monotonic, s; the deadline is minus infinity before the first check-in.
    """

    name: str
    pid: int
    level: StopLevel
    timeout_s: float
    since_s: float
    deadline_s: float

    def cause(self) -> Trip:
        """Return its silence as a trip."""
        if self.deadline_s == -math.inf:
            return Trip(self.level, self.since_s, f"{self.name} has not checked in")
        return Trip(self.level, self.deadline_s, f"{self.name} is silent")


CELLS = SLOTS * len(StopLevel)
# Text, stamp and number of a trip or a clear, and their checksum: who reads one while it is written sees that.
_DETAIL, _CHECKED = struct.Struct(f"@Qd{SOURCE_BYTES}sI"), struct.Struct(f"@Qd{SOURCE_BYTES}s")
COUNTS = struct.Struct(f"@{CELLS}Q")
_HOT = struct.Struct(f"@{ENDPOINTS}Q{2 * ENDPOINTS}d")
WORD, TIME = struct.Struct("@Q"), struct.Struct("@d")
# Layout, bytes. Words of one kind are neighbours, so that a look at the board is three reads.
MAGIC_AT = 0
TRIPPED_AT = 64
CLEARED_AT = TRIPPED_AT + COUNTS.size
# For each endpoint: process id (0: free), deadline, time-out; then level, registration stamp and challenge.
PID_AT = CLEARED_AT + COUNTS.size
DEADLINE_AT, TIMEOUT_AT, LEVEL_AT, SINCE_AT, CHALLENGE_AT = (PID_AT + 8 * ENDPOINTS * i for i in range(1, 6))
NAME_AT = CHALLENGE_AT + 8 * ENDPOINTS
LAST_CLEAR_AT = NAME_AT + NAME_BYTES * ENDPOINTS
DETAIL_AT = LAST_CLEAR_AT + _DETAIL.size
# One page (getpagesize(2)): what a mapping takes anyway.
BOARD_BYTES = 4096
# Places of the block's locks: the slots, the endpoints, the act of registering.
SLOT_LOCK, ENDPOINT_LOCK, REGISTER_LOCK = 0, 100, 200
# "FLSTOP" and the version of this layout.
MAGIC = int.from_bytes(b"FLSTOP\x00\x01", "big")


def put_word(memory: Memory, at: int, value: int) -> None:
    """Store a word in one store. `struct.pack_into` would clear its bytes first (CPython), and readers would see the 0 (measured)."""
    with memoryview(memory) as whole, whole[at : at + 8] as place, place.cast("Q") as word:
        word[0] = value


def put_time(memory: Memory, at: int, seconds: float) -> None:
    """Store a time in one store; see `put_word`."""
    put_word(memory, at, WORD.unpack(TIME.pack(seconds))[0])


def pack_detail(number: int, stamp_s: float, source: str) -> bytes:
    """Return a trip's number, stamp (s) and text as bytes; a text that is too long is cut, never refused."""
    text = printable(source).encode()[:SOURCE_BYTES].decode(errors="ignore").encode()
    return _DETAIL.pack(number, stamp_s, text, zlib.crc32(_CHECKED.pack(number, stamp_s, text)))


def unpack_detail(memory: Memory, at: int) -> tuple[int, float, str] | None:
    """Return number, stamp (s) and text; None if they were read while they were written."""
    data = memory[at : at + _DETAIL.size]
    number, stamp_s, text, checksum = _DETAIL.unpack(data)
    if zlib.crc32(data[:-4]) != checksum:
        return None
    return number, stamp_s, text.rstrip(b"\x00").decode(errors="replace")


def detail_at(cell: int) -> int:
    """Return where the detail of a cell is, bytes."""
    return DETAIL_AT + cell * _DETAIL.size


def printable(text: str) -> str:
    """Return a text on one line and without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def registered_places(memory: Memory) -> list[int]:
    """Return the places that endpoints have."""
    return [index for index, pid in enumerate(_HOT.unpack_from(memory, PID_AT)[:ENDPOINTS]) if pid]


def silent_places(memory: Memory, now_s: float) -> tuple[tuple[int, float], ...]:
    """Return place and deadline of each endpoint that is silent at a time; both monotonic, s."""
    words = _HOT.unpack_from(memory, PID_AT)
    # A deadline too far away was set by another clock; twice, because `now_s` may be older than the newest check-in.
    return tuple(
        (index, words[ENDPOINTS + index])
        for index in range(ENDPOINTS)
        if words[index] and not now_s <= words[ENDPOINTS + index] <= now_s + 2.0 * words[2 * ENDPOINTS + index]
    )


def endpoint_of(memory: Memory, index: int) -> EndpointState:
    """Return what is known of the endpoint at a place."""
    (pid,), (level,) = WORD.unpack_from(memory, PID_AT + 8 * index), WORD.unpack_from(memory, LEVEL_AT + 8 * index)
    times = (TIME.unpack_from(memory, at + 8 * index)[0] for at in (TIMEOUT_AT, SINCE_AT, DEADLINE_AT))
    at = NAME_AT + NAME_BYTES * index
    name = memory[at : at + NAME_BYTES].rstrip(b"\x00").decode(errors="replace")
    return EndpointState(name, pid, StopLevel(level), *times)
