"""A person drives a robot that learns: from a process of their own, through the shared memory of the run.

What they do is what is executed, recorded and learned from, as in HIL-SERL (Luo et al. 2024, arXiv 2410.21845); a step says so by its mode,
TELEOP. Who falls silent does not drive.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from policy.gaits import Twist, Walker
from policy.layout import Vector
from robot.clock import monotonic_s
from robot.errors import FetlockError, UsageError
from robot.transport import Latest

TWIST = np.dtype([("stamp_s", "<f8"), ("forward", "<f8"), ("turn", "<f8")])
# Seven policy ticks at 25 Hz, fifteen messages of whoever drives: a process that lives is heard in that time.
_SILENT_S = 0.3


def twist_name(prefix: str) -> str:
    """Return the name of the newest twist in the shared memory of a run whose pieces begin with a prefix."""
    return f"{prefix}-t"


class TwistSender:
    """The one end of it: says where the robot is to go. `send` often, or the policy drives again.

    Args:
        supervisor: Process that runs the training.

    Raises:
        UsageError: If it has no such memory, or somebody else drives it.
    """

    def __init__(self, supervisor: int) -> None:
        try:
            self._newest = Latest.attach(twist_name(f"fetlock-{supervisor}"), TWIST)
        except FetlockError as error:
            raise UsageError(
                f"process {supervisor} trains nothing that could be driven: it is just starting or ending, try again"
            ) from error
        if not self._newest.lock():
            self._newest.close()
            raise UsageError("somebody else drives this robot: end that `fetlock teleop` first")
        self._record = np.zeros(1, TWIST)

    def send(self, twist: Twist) -> None:
        """Say where to go, now."""
        self._record["stamp_s"], self._record["forward"], self._record["turn"] = monotonic_s(), twist.forward, twist.turn
        self._newest.publish(self._record)

    def close(self) -> None:
        """Let go of it: the policy drives again."""
        self._newest.close()


class Takeover:
    """The other end, in the collector's process.

    Args:
        newest: Where twists arrive.
        walker: Turns them into actions.
        now_s: The clock of whoever sends, s.
    """

    def __init__(self, newest: Latest, walker: Walker, now_s: Callable[[], float] = monotonic_s) -> None:
        self._newest = newest
        self._walker = walker
        self._now_s = now_s

    def act(self) -> Vector | None:
        """Return the action of whoever drives, shape (a,); None while nobody does."""
        record = self._newest.read()
        if record is None or self._now_s() - float(record["stamp_s"][0]) > _SILENT_S:
            return None
        return self._walker.act(Twist(float(record["forward"][0]), float(record["turn"][0])))
