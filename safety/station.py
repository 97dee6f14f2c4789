"""The stop board as a guard sees it, once a bus tick."""

from __future__ import annotations

from collections.abc import Callable

from safety.estop import StopBoard
from safety.modes import Ask
from safety.stop_records import StopLevel
from safety.types import Cause

_CAUSES = {
    StopLevel.HOLD: Cause.STOP_HOLD,
    StopLevel.SETTLE: Cause.STOP_SETTLE,
    StopLevel.CUT: Cause.STOP_CUT,
    StopLevel.TERMINATE: Cause.STOP_TERMINATE,
}


class BoardWatch:
    """Implements Outside over a stop board; the board stays its maker's to close.

    A trip that was cleared between two looks stops the robot all the same, for a tick.

    Args:
        board: To look at.
        now_s: Monotonic time, s: the board's, whatever clock the robot has.
    """

    def __init__(self, board: StopBoard, now_s: Callable[[], float]) -> None:
        self._board = board
        self._now_s = now_s
        self._sequence = board.state(now_s()).sequence
        self._cleared = board.last_clear()

    def look(self) -> tuple[Cause, Ask]:
        """See `safety.guard.Outside`."""
        state = self._board.state(self._now_s())
        causes = Cause.NONE if state.level is None else _CAUSES[state.level]
        if state.silent:
            causes |= Cause.OPERATOR_GONE
        if state.sequence != self._sequence:
            self._sequence = state.sequence
            if not causes:
                return Cause.STOP_HOLD, Ask.NONE
        cleared = self._board.last_clear()
        if cleared != self._cleared:
            self._cleared = cleared
            return causes, Ask.CLEAR
        return causes, Ask.NONE
