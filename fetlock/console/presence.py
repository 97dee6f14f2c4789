"""The operator's heartbeat: the open page answers a challenge as long as its operator is there. Silence holds the robots."""

from __future__ import annotations

import os
import threading
from typing import Self

from robot.clock import monotonic_s
from safety.endpoint import Endpoint
from safety.estop import StopBoard
from safety.stop_records import StopLevel


class Presence:
    """An endpoint of the stop board that the page beats; any thread may. A context manager: `close` is its orderly end.

    Args:
        timeout_s: Silence after which the robots hold.

    Raises:
        UsageError: If the time-out is out of bounds.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._board = StopBoard()
        try:
            self._endpoint = Endpoint(self._board, f"console {os.getpid()}", timeout_s, StopLevel.HOLD, monotonic_s())
        except BaseException:
            self._board.close()
            raise

    def check_in(self, answer: int) -> tuple[bool, int]:
        """Take an answer; return whether it was right and the challenge that is to be answered next.

        Raises:
            ClosedError: After `close`.
        """
        with self._lock:
            right = self._endpoint.check_in(answer, monotonic_s())
            return right, self._endpoint.challenge

    def close(self) -> None:
        """Nobody waits for this console any more."""
        with self._lock:
            self._endpoint.deregister(monotonic_s())
            self._board.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
