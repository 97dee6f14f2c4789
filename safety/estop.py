"""The stop board: where anybody on this machine stops every robot of this user, and where a guard looks, in each bus tick, if it may move.

One block of shared memory, which outlives all processes: a trip before a guard starts stops that guard. A trip is in force until an
operator clears it. It needs no other process, waits for nobody, and says so at once.
"""

from __future__ import annotations

import os
import re
from types import TracebackType
from typing import Self

from robot.errors import ClosedError, FetlockError, UsageError
from robot.transport import StandingBlock
from safety import stop_records as layout
from safety.stop_records import EndpointState, StopLevel, StopState, Trip

# Names another board than the user's own: a second robot on this machine that is to be stopped apart, and tests.
BOARD_VARIABLE = "FETLOCK_ESTOP"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,79}")
_NO_ENDPOINTS = bytes(8 * layout.ENDPOINTS)
# How often a text is read again that somebody writes at this moment: a copy of 80 bytes. The level never waits for it.
_LOOKS = 3


def board_name() -> str:
    """Return the name of this user's board, or what FETLOCK_ESTOP says."""
    return os.environ.get(BOARD_VARIABLE) or f"fetlock-estop-{os.getuid()}"


class StopBoard:
    """The board of a name: created if absent, attached to otherwise. `close` detaches; nothing removes it but a reboot.

    Args:
        name: By default `board_name()`.

    Raises:
        UsageError: If the name is not usable.
        FetlockError: If the block cannot be opened, is another user's, or another version's.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = board_name() if name is None else name
        if not _NAME.fullmatch(self.name):
            raise UsageError(f"a stop board cannot be called {self.name!r}: use up to 80 letters, digits, '-' and '_'")
        self.block = StandingBlock(self.name, layout.BOARD_BYTES)
        (magic,) = layout.WORD.unpack_from(self.block.memory, layout.MAGIC_AT)
        if magic not in (0, layout.MAGIC):
            self.block.close()
            raise FetlockError(
                f"the stop board {self.name} was made by another version: end all its processes, then remove /dev/shm/{self.name}"
            )
        layout.put_word(self.block.memory, layout.MAGIC_AT, layout.MAGIC)
        self._looked: tuple[object, StopState] | None = None

    def trip(self, level: StopLevel, source: str, now_s: float) -> int:
        """Ask for a stop, and return the sequence number after it. Nothing but a closed board refuses.

        Each writer has a slot of its own while it writes, so that no trip is lost among others. If every slot is taken, or the kernel has
        no such locks, the last one is shared: the level counts all the same, a number or a text may be another's.

        Args:
            level: What the robot is to do.
            source: By what, one line; more than 60 bytes are cut off.
            now_s: Monotonic time, s.

        Raises:
            ClosedError: After `close`.
        """
        memory = self._require_open().memory
        slot, lock = self._slot()
        try:
            cell = (level - 1) * layout.SLOTS + slot
            at = layout.TRIPPED_AT + 8 * cell
            number = layout.WORD.unpack_from(memory, at)[0] + 1
            detail = layout.pack_detail(number, now_s, source)
            memory[layout.detail_at(cell) : layout.detail_at(cell) + len(detail)] = detail
            # From here on it is in force.
            layout.put_word(memory, at, number)
        finally:
            if lock is not None:
                self.block.unlock(lock)
        return sum(layout.COUNTS.unpack_from(memory, layout.TRIPPED_AT))

    def clear(self, now_s: float, who: str) -> StopState:
        """Release all trips that were there at the call, and forget endpoints whose process is gone; return what is still in force.

        For an operator beside the robot, never for a program. An endpoint that lives and is silent stays in force.

        Args:
            now_s: Monotonic time, s.
            who: One line, 60 bytes.

        Raises:
            ClosedError: After `close`.
        """
        memory = self._require_open().memory
        for cell in range(layout.CELLS):
            # What is tripped after this read differs again.
            (number,) = layout.WORD.unpack_from(memory, layout.TRIPPED_AT + 8 * cell)
            layout.put_word(memory, layout.CLEARED_AT + 8 * cell, number)
        for index in range(layout.ENDPOINTS):
            if (lock := self.block.lock(layout.ENDPOINT_LOCK + index)) is not None:
                layout.put_word(memory, layout.PID_AT + 8 * index, 0)
                self.block.unlock(lock)
        detail = layout.pack_detail(1, now_s, who)
        memory[layout.LAST_CLEAR_AT : layout.LAST_CLEAR_AT + len(detail)] = detail
        return self.state(now_s)

    def state(self, now_s: float) -> StopState:
        """Return what is in force. For a loop: 2 to 5 us while nothing changes, 10 to 16 when something did (measured).

        A board whose name was removed can be reached by nobody, and is a HOLD until the process opens another.

        Args:
            now_s: Monotonic time, s.

        Raises:
            ClosedError: After `close`.
        """
        block = self._require_open()
        memory = block.memory
        # In this order: no clear is seen without its trip.
        cleared = memory[layout.CLEARED_AT : layout.PID_AT]
        tripped = memory[layout.TRIPPED_AT : layout.CLEARED_AT]
        silent = () if memory[layout.PID_AT : layout.DEADLINE_AT] == _NO_ENDPOINTS else layout.silent_places(memory, now_s)
        seen = (cleared, tripped, silent, memory[layout.SINCE_AT : layout.CHALLENGE_AT], block.removed)
        looked = self._looked
        if looked is None or looked[0] != seen:
            looked = self._looked = (seen, self._judge(tuple(layout.endpoint_of(memory, index) for index, _ in silent)))
        return looked[1]

    def trips(self) -> tuple[Trip, ...]:
        """Return the trips in force, the highest level first and of equal ones the newest; of one level and writer only the newest.

        Raises:
            ClosedError: After `close`.
        """
        memory = self._require_open().memory
        cleared = layout.COUNTS.unpack_from(memory, layout.CLEARED_AT)
        tripped = layout.COUNTS.unpack_from(memory, layout.TRIPPED_AT)
        found = [self._trip(cell) for cell in range(layout.CELLS) if tripped[cell] != cleared[cell]]
        return tuple(sorted(found, key=lambda trip: (trip.level, trip.stamp_s), reverse=True))

    def endpoints(self) -> tuple[EndpointState, ...]:
        """Return who has registered, silent or not.

        Raises:
            ClosedError: After `close`.
        """
        memory = self._require_open().memory
        return tuple(layout.endpoint_of(memory, index) for index in layout.registered_places(memory))

    def last_clear(self) -> tuple[float, str] | None:
        """Return when the board was last cleared (monotonic, s) and by whom; None if never."""
        detail = layout.unpack_detail(self._require_open().memory, layout.LAST_CLEAR_AT)
        return None if detail is None else detail[1:]

    def close(self) -> None:
        """Detach; what is in force stays in force. Idempotent."""
        self.block.close()

    def _require_open(self) -> StandingBlock:
        if self.block.memory.closed:
            raise ClosedError(f"the stop board {self.name} was closed: open it again")
        return self.block

    def _slot(self) -> tuple[int, int | None]:
        for slot in range(layout.SLOTS):
            if (lock := self.block.lock(layout.SLOT_LOCK + slot)) is not None:
                return slot, lock
        return layout.SLOTS - 1, None

    def _trip(self, cell: int) -> Trip:
        level, at = StopLevel(cell // layout.SLOTS + 1), layout.detail_at(cell)
        for _ in range(_LOOKS):
            if (detail := layout.unpack_detail(self.block.memory, at)) is not None:
                return Trip(level, detail[1], detail[2])
        return Trip(level, 0.0, "unknown: its writer ended in mid-word")

    def _judge(self, silent: tuple[EndpointState, ...]) -> StopState:
        # Before the trips: none is counted that is not seen.
        sequence = sum(layout.COUNTS.unpack_from(self.block.memory, layout.TRIPPED_AT))
        causes = [*self.trips(), *(endpoint.cause() for endpoint in silent)]
        if self.block.removed:
            causes.append(Trip(StopLevel.HOLD, 0.0, "the board was removed: start this process anew"))
        names = tuple(endpoint.name for endpoint in silent)
        if not causes:
            return StopState(None, "", 0.0, sequence, names)
        # Of equal ones the first: a trip before an endpoint's silence.
        highest = max(causes, key=lambda cause: cause.level)
        return StopState(highest.level, highest.source, highest.stamp_s, sequence, names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
