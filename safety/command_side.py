"""The command side of a motion process, seen from its one owner: claimed, written to, asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot.errors import RobotError, StaleError
from robot.transport import alive
from robot.types import Command
from safety.motion_link import About, MotionLink
from safety.motion_records import Outcome, Request, command_dtype

# Arming and connecting anew take about a second, the start of a simulated episode less (measured).
_REQUEST_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class RoutineEnd:
    """How a reset routine ended: `history` has its attempts, or what stopped it."""

    outcome: Outcome
    history: str


class CommandSide:
    """Owned from construction until the link is closed or this process dies: the kernel takes the lock back.

    Args:
        link: Attached; its owner closes it.
        about: Who serves.
        now_s: Monotonic time, s.
        sleep: Waits so many seconds.
        stale: Makes the error of a server that is silent, told what it has not done.

    Raises:
        RobotError: If another process owns it.
    """

    def __init__(
        self,
        link: MotionLink,
        about: About,
        now_s: Callable[[], float],
        sleep: Callable[[float], None],
        stale: Callable[[str], StaleError],
    ) -> None:
        words = link.words
        if not link.command.lock():
            raise RobotError(
                f"the motion process {link.name!r} is driven by process {int(words.get('owner_pid'))}: end that one first; "
                "one client at a time moves a robot"
            )
        self._link = link
        self._about = about
        self._now_s = now_s
        self._sleep = sleep
        self._stale = stale
        self._record = np.zeros(1, command_dtype(len(about.joint_names)))
        self._sequence = 0
        # A new epoch: the server forgets what an earlier owner asked for.
        self._epoch = int(words.get("epoch")) + 1
        words.set("owner_pid", os.getpid())
        words.set("epoch", self._epoch)

    def send(self, command: Command) -> int:
        """Publish a command of the right shape, and return its sequence number."""
        self._record["target_rad"] = command.position_rad
        return self._publish(Request.MOVE, 0)

    def taken(self, row: np.void, sequence: int) -> bool:
        """Tell whether the server had taken this command of ours, or a later one, in a tick."""
        return int(row["epoch"]) == self._epoch and int(row["command"]) >= sequence

    def ask(self, request: Request, seed: int = 0, within_s: float = _REQUEST_TIMEOUT_S) -> None:
        """Send a request and wait for its result.

        Args:
            request: What is asked for.
            seed: Of it.
            within_s: How long to wait, s.

        Raises:
            RobotError: If it failed, with the server's reason.
            StaleError: If the server does not answer.
        """
        sequence = self._publish(request, seed)
        limit_s = self._now_s() + within_s
        while (failure := self._answer(sequence)) is None:
            if self._now_s() > limit_s or not alive(self._about.pid):
                raise self._stale(f"has not answered to {request.name}")
            self._sleep(self._about.period_s / 2)
        if failure:
            raise RobotError(f"{request.name.lower()} failed: {failure}")

    def await_routine(self, silent_s: float) -> RoutineEnd:
        """Wait until the routine that was begun last has ended.

        Args:
            silent_s: A server without a heartbeat for so long is stale.

        Raises:
            StaleError: If the server dies or falls silent.
        """
        while True:
            status = self._link.status.read()
            if status is not None and int(status["outcome"][0]) != Outcome.RUNNING:
                return RoutineEnd(Outcome(int(status["outcome"][0])), bytes(status["history"][0]).decode())
            if not alive(self._about.pid) or self._now_s() - self._link.words.get("heartbeat_s") > silent_s:
                raise self._stale("has fallen silent in a reset routine")
            self._sleep(self._about.period_s)

    def _answer(self, sequence: int) -> str | None:
        """Return what the server says of a request: nothing for done, else why it failed; None while it has not said anything."""
        status = self._link.status.read()
        if status is None or (int(status["epoch"][0]), int(status["acknowledged"][0])) != (self._epoch, sequence):
            return None
        return bytes(status["text"][0]).decode() if status["failed"][0] else ""

    def _publish(self, request: Request, seed: int) -> int:
        record = self._record
        self._sequence += 1
        record["epoch"], record["sequence"], record["seed"] = self._epoch, self._sequence, seed
        record["stamp_s"], record["request"] = self._now_s(), request
        self._link.command.publish(record)
        return self._sequence
