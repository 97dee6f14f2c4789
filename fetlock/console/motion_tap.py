"""Reads a motion process's shared memory, and never writes to it: neither it nor its client can tell."""

from __future__ import annotations

from fetlock.console.state import LoopView, RobotView
from fetlock.console.ticks import WINDOW_S, Progress, lateness_ms, newest, robot_view
from safety import MotionLink
from safety.motion_records import Outcome


class MotionTap:
    """One motion process, attached; close it at the end.

    Args:
        name: Of the motion process.

    Raises:
        FetlockError: If it cannot be attached to.
    """

    def __init__(self, name: str) -> None:
        self._link = MotionLink.attach(name)
        try:
            self.about = self._link.introduction()
        except BaseException:
            self._link.close()
            raise
        self._progress = Progress()

    def look(self, now_s: float) -> tuple[RobotView, LoopView] | None:
        """Return the newest tick and how punctual the loop was; None before the first.

        Args:
            now_s: Monotonic time, s.
        """
        ring = self._link.ticks
        silent_s = self._progress.silent_s(ring.head, now_s)
        rows = newest(ring, WINDOW_S / self.about.period_s)
        if not len(rows):
            return None
        loop = LoopView(self.about.period_s, lateness_ms(rows), int(rows["missed"][-1]))
        return robot_view(rows, self.about.joint_names, silent_s), loop

    @property
    def head(self) -> int:
        """Number of ticks so far."""
        return self._link.ticks.head

    @property
    def owned(self) -> bool:
        """Whether a client drives it."""
        return self._link.owned

    @property
    def error(self) -> str:
        """The robot's newest error; empty if there was none."""
        status = self._link.status.read()
        return "" if status is None else bytes(status["error"][0]).decode()

    @property
    def routine(self) -> tuple[Outcome, str]:
        """How the newest reset routine ended, and what it says."""
        status = self._link.status.read()
        if status is None:
            return Outcome.NONE, ""
        return Outcome(int(status["outcome"][0])), bytes(status["history"][0]).decode()

    def close(self) -> None:
        """Detach."""
        self._link.close()
