"""Those who must keep saying that all is well: an operator's heartbeat, a button, a console. Silence stops the robot."""

from __future__ import annotations

import math
import os

from robot.errors import ClosedError, RobotError, UsageError
from safety import stop_records as layout
from safety.estop import StopBoard
from safety.stop_records import StopLevel

# Chosen: check-ins of the shortest are 33 ms apart, some periods of a loop in Python; a minute is the longest that nobody need look.
TIMEOUT_MIN_S, TIMEOUT_MAX_S = 0.1, 60.0
# Spot's SDK: the answer to a challenge is its complement, and a check-in is due in every third of the time-out.
_COMPLEMENT = 0xFFFFFFFF
_CHECK_INS = 3
_CHALLENGE_BYTES = 4


def answer_to(challenge: int) -> int:
    """Return the right answer to a challenge: proof that it was read."""
    return challenge ^ _COMPLEMENT


class Endpoint:
    """A registered endpoint, from construction until `deregister`. The robot is stopped until its first right check-in.

    Dying is no orderly end: the deadline passes and the endpoint stays silent until an operator clears the board, or another process
    registers the name, which trips the board. Silence is remembered: the check-in that ends it trips the board first.

    Args:
        board: It outlives this object.
        name: One line of up to 40 bytes.
        timeout_s: Silence after which the robot is stopped, 0.1 to 60 s.
        level: What silence asks of the robot.
        now_s: Monotonic time, s.

    Raises:
        UsageError: If name or time-out are out of bounds, a living process has the name, or there is no place left.
        RobotError: If another process registers at this moment.
    """

    def __init__(self, board: StopBoard, name: str, timeout_s: float, level: StopLevel, now_s: float) -> None:
        if not 1 <= len(name.encode()) <= layout.NAME_BYTES or layout.printable(name) != name:
            raise UsageError(f"an endpoint cannot be called {name!r}: use 1 to {layout.NAME_BYTES} printable characters on one line")
        if not TIMEOUT_MIN_S <= timeout_s <= TIMEOUT_MAX_S:
            raise UsageError(f"the time-out of endpoint {name!r} is {timeout_s} s: choose {TIMEOUT_MIN_S} to {TIMEOUT_MAX_S:g}")
        self.name = name
        self.timeout_s = timeout_s
        self.level = level
        self._board = board
        self._memory = board.block.memory
        self._checked_s = -math.inf
        self._lock: int | None = None
        if (registering := board.block.lock(layout.REGISTER_LOCK)) is None:
            raise RobotError(f"another process registers with the stop board {board.name} at this moment: try again")
        try:
            self._index = self._place(now_s)
            self._enter(now_s)
        finally:
            board.block.unlock(registering)

    @property
    def challenge(self) -> int:
        """What the next check-in has to answer; every right one makes another."""
        return int(layout.WORD.unpack_from(self._memory, self._at(layout.CHALLENGE_AT))[0])

    def due(self, now_s: float) -> bool:
        """Tell whether a third of the time-out has passed since the last check-in (monotonic, s)."""
        return now_s - self._checked_s >= self.timeout_s / _CHECK_INS

    def beat(self, now_s: float) -> bool:
        """Check in with the right answer if it is due; return whether it was."""
        return self.due(now_s) and self.check_in(answer_to(self.challenge), now_s)

    def check_in(self, answer: int, now_s: float) -> bool:
        """Say that all is well, and return whether the answer was right; a wrong one changes nothing.

        Args:
            answer: To `challenge`.
            now_s: Monotonic time, s.

        Raises:
            ClosedError: After `deregister`.
        """
        self._require_registered()
        if answer != answer_to(self.challenge):
            return False
        self._remember_silence(now_s)
        self._challenge_anew()
        self._set_deadline(now_s + self.timeout_s)
        self._checked_s = now_s
        return True

    def deregister(self, now_s: float) -> None:
        """End in good order: the board no longer waits for this endpoint. One that was silent by then trips it. Idempotent."""
        if self._lock is None:
            return
        self._remember_silence(now_s)
        layout.put_word(self._memory, self._at(layout.PID_AT), 0)
        self._board.block.unlock(self._lock)
        self._lock = None

    def _place(self, now_s: float) -> int:
        """Lock a place, the one that a dead process had under this name if there is one."""
        there = {layout.endpoint_of(self._memory, index).name: index for index in layout.registered_places(self._memory)}
        if (index := there.get(self.name)) is not None:
            before = layout.endpoint_of(self._memory, index)
            self._lock = self._board.block.lock(layout.ENDPOINT_LOCK + index)
            if self._lock is None:
                raise UsageError(f"endpoint {self.name!r} is registered by process {before.pid}: end that one, or choose another name")
            if before.deadline_s > -math.inf:
                self._board.trip(before.level, f"{self.name} died", now_s)
            return index
        for index in set(range(layout.ENDPOINTS)) - set(there.values()):
            self._lock = self._board.block.lock(layout.ENDPOINT_LOCK + index)
            if self._lock is not None:
                return index
        raise UsageError(
            f"all {layout.ENDPOINTS} endpoints of the stop board {self._board.name} are taken ({', '.join(there)}): "
            "end one; 'fetlock stop --clear' forgets those whose process is gone"
        )

    def _enter(self, now_s: float) -> None:
        """Write this endpoint down, stopped; it counts from the last word on."""
        self._set_deadline(-math.inf)
        layout.put_time(self._memory, self._at(layout.SINCE_AT), now_s)
        layout.put_time(self._memory, self._at(layout.TIMEOUT_AT), self.timeout_s)
        layout.put_word(self._memory, self._at(layout.LEVEL_AT), self.level)
        at = layout.NAME_AT + layout.NAME_BYTES * self._index
        self._memory[at : at + layout.NAME_BYTES] = self.name.encode().ljust(layout.NAME_BYTES, b"\x00")
        self._challenge_anew()
        layout.put_word(self._memory, self._at(layout.PID_AT), os.getpid())

    def _remember_silence(self, now_s: float) -> None:
        (deadline_s,) = layout.TIME.unpack_from(self._memory, self._at(layout.DEADLINE_AT))
        if -math.inf < deadline_s < now_s:
            self._board.trip(self.level, f"{self.name} was silent", now_s)

    def _challenge_anew(self) -> None:
        layout.put_word(self._memory, self._at(layout.CHALLENGE_AT), int.from_bytes(os.urandom(_CHALLENGE_BYTES)))

    def _set_deadline(self, deadline_s: float) -> None:
        layout.put_time(self._memory, self._at(layout.DEADLINE_AT), deadline_s)

    def _at(self, words: int) -> int:
        return words + 8 * self._index

    def _require_registered(self) -> None:
        if self._lock is None:
            raise ClosedError(f"endpoint {self.name!r} is no longer registered: make a new one")
