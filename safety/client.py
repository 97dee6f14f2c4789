"""A robot in the motion process, as a Robot here.

Time law: a tick of the client lasts until its clock's `wait`, which begins the server's next; `read` repeats the state of the present
tick. Only a state older than `stale_after_s` is replaced by the newest one without a wait, and a server that has none raises StaleError.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import numpy as np

from robot.errors import ClosedError, CommandError, RobotError, StaleError
from robot.transport import OverrunError, alive
from robot.types import Command, RobotState
from safety.command_side import CommandSide, RoutineEnd
from safety.motion_link import About, MotionLink
from safety.motion_records import CLIENTS_CAUSES, Request
from safety.tick_records import Has, Record, applied_of, state_of
from safety.types import AppliedCommand, Cause, Mode

# How many ticks a robot may be silent: the bound of the hardware robot for its joints.
_SILENT_TICKS = 10
# A waiting client looks again this often within a tick, but never more often than this: it must not spin beside the server.
_LOOKS_PER_TICK, _SHORTEST_SLEEP_S = 20, 1e-4
# Ticks after which a command that the server has not taken is lost; it takes one.
_TICKS_TO_TAKE = 4


class MotionClient:
    """Implements Robot and Armable over the shared memory of a motion process; the only owner of its command side.

    Args:
        name: Of the motion process.
        now_s: Monotonic time, s: the clock of the server.
        sleep: Waits so many seconds.
        stale_after_s: Age at which a state counts as old; by default ten bus periods.

    Raises:
        StaleError: If there is no such process or it is not ready.
        RobotError: If another process owns the command side.
    """

    def __init__(self, name: str, now_s: Callable[[], float], sleep: Callable[[float], None], stale_after_s: float | None = None) -> None:
        self._link = MotionLink.attach(name)
        self._now_s = now_s
        self._sleep = sleep
        self._closed = False
        try:
            self.about: About = self._link.introduction()
            self._commands = CommandSide(self._link, self.about, now_s, sleep, self._stale)
        except BaseException:
            self._link.close()
            raise
        self.joint_names = self.about.joint_names
        self.stale_after_s = _SILENT_TICKS * self.about.period_s if stale_after_s is None else stale_after_s
        # The first tick that may be read: none from before an acknowledged request.
        self._position = self._first = max(0, self._link.ticks.head - 1)
        self._row: np.void | None = None
        self._state: RobotState | None = None

    @property
    def position(self) -> int:
        """Sequence number of the present tick."""
        return self._position

    @property
    def head(self) -> int:
        """Sequence number of the tick that the server publishes next. Raises ClosedError after `close`."""
        self._require_open()
        return self._link.ticks.head

    @property
    def armed(self) -> bool:
        """Whether torque is on in the present tick."""
        self.read()
        return self._row is not None and bool(int(self._row["has"]) & Has.ARMED)

    @property
    def causes(self) -> Cause:
        """Why the robot is stopped, in the newest tick; none while nothing stops it."""
        row = self._wait_for(max(self._first, self.head - 1))
        return Cause(int(row["causes"]))

    def read(self) -> RobotState:
        self._require_open()
        if self._state is None or self._row is None or self._now_s() - float(self._row["published_s"]) > self.stale_after_s:
            return self.await_tick(max(self._first, self.head - 1))
        return self._state

    def write(self, command: Command) -> AppliedCommand:
        """Publish a command and return what the server sent for it, one tick later.

        Raises:
            CommandError: If the command has another shape than (n,).
            StaleError: If the server does not take it.
            RobotError: If torque is off.
        """
        position = self.head
        sequence = self.send(command)
        for later in range(position, position + _TICKS_TO_TAKE):
            row = self._wait_for(later)
            if self.took(row, sequence):
                return applied_of(row)
        raise StaleError(f"the motion process {self._link.name!r} did not take command {sequence} within {_TICKS_TO_TAKE} ticks")

    def send(self, command: Command) -> int:
        """Publish a command, wait for nothing, and return its sequence number.

        Raises:
            CommandError: If the command has another shape than (n,).
        """
        self._require_open()
        if command.position_rad.shape != (len(self.joint_names),):
            raise CommandError(
                f"a command of shape {command.position_rad.shape} was given to a robot of {len(self.joint_names)} joints: "
                f"it takes ({len(self.joint_names)},), rad"
            )
        return self._commands.send(command)

    def stop(self) -> None:
        if self._closed:
            return
        with contextlib.suppress(Exception):
            self._link.ask_stop(self._now_s(), self._sleep, self.stale_after_s)

    def trip(self, cause: Cause) -> None:
        """Stop the robot for a cause that was found on this side, of `CLIENTS_CAUSES`; for another one as `stop`. Never raises."""
        if self._closed:
            return
        if cause and cause in CLIENTS_CAUSES:
            with contextlib.suppress(Exception):
                self._commands.ask(Request.TRIP, int(cause), self.stale_after_s)
                return
        self.stop()

    def close(self) -> None:
        """Stop the robot and give up its command side; the motion process lives on."""
        if self._closed:
            return
        self.stop()
        self._closed = True
        self._link.close()

    def arm(self) -> None:
        """Switch torque on where every joint stands; raises RobotError with the server's reason, torque off, if a check fails."""
        self._ask(Request.ARM)

    def cut(self) -> None:
        """Switch torque off: the robot drops. Raises RobotError with the server's reason if a motor does not confirm."""
        self._ask(Request.CUT)

    def release(self, seed: int = 0) -> None:
        """End a HOLD; the next command starts from the measured pose. A simulated robot begins an episode drawn from `seed`."""
        self._ask(Request.RELEASE, seed)

    def engage(self, mode: Mode = Mode.ACTIVE) -> None:
        """Let a policy (ACTIVE), a routine (RESETTING) or a person (TELEOP) drive; raises RobotError with what stops the robot."""
        self._ask(Request.ENGAGE, int(mode))

    def clear(self) -> None:
        """Say, as the operator, that what stopped the robot is over."""
        self._ask(Request.CLEAR)

    def reset(self, seed: int = 0) -> RoutineEnd:
        """Let the robot run its reset routine where it is served, and wait for its end; a `stop`, whoever asks for it, ends it.

        It needs this process: one that is killed meanwhile leaves a robot in HOLD. What is left to chance is drawn from `seed`.

        Raises:
            RobotError: If it cannot begin, with the server's reason.
            StaleError: If the server falls silent.
        """
        self._ask(Request.RESET, seed)
        try:
            return self._commands.await_routine(self.stale_after_s)
        finally:
            self._forget()

    def shut_down(self) -> None:
        """Ask the motion process to stop the robot, release it and end."""
        self._ask(Request.CLOSE)

    def _ask(self, request: Request, seed: int = 0) -> None:
        """Send a request and wait for its result; no state from before it will be read."""
        self._require_open()
        try:
            self._commands.ask(request, seed)
        finally:
            self._forget()

    def _forget(self) -> None:
        """Read no state from before; that of the tick in which a request was executed was read after it."""
        self._first, self._row, self._state = self.head, None, None

    def await_tick(self, position: int) -> RobotState:
        """Wait until the server has published this tick, begin it here, and return its state.

        Raises:
            StaleError: If nothing new comes for `stale_after_s`; it names the process and its error.
        """
        self._require_open()
        row = self._wait_for(position)
        self._position, self._row, self._state = position, row, state_of(row)
        return self._state

    def rows(self, first: int, last: int) -> tuple[Record, int]:
        """Return the tick records from `first` up to before `last` that the ring still has, and how many it has lost."""
        self._require_open()
        ring = self._link.ticks
        oldest = first
        while True:
            try:
                return ring.read(oldest, last - oldest), oldest - first
            except OverrunError:
                oldest = min(last, max(oldest, ring.head - ring.capacity + 2))

    def took(self, row: np.void, sequence: int) -> bool:
        """Tell whether a tick was run with the command of this sequence or a later one.

        Raises:
            RobotError: If torque was off, so that it had no effect.
        """
        if not self._commands.taken(row, sequence):
            return False
        if not int(row["has"]) & Has.ARMED:
            error = self._error()
            raise RobotError("torque is off: arm the robot before it is moved" + (f" (its newest error: {error})" if error else ""))
        return True

    def until_s(self, position: int) -> float:
        """Return the time until the server is due to begin a tick, s, by the newest one that it published; negative when it was due."""
        newest = self.head - 1
        if newest < 0:
            return 0.0
        row = self._link.ticks.read(newest, 1)[0]
        return float(row["deadline_s"]) + (position - newest - 1) * self.about.period_s - self._now_s()

    def time_s(self) -> float:
        """Return the time of the robot's clock, s: that of the present tick and what has passed since."""
        self.read()
        row = self._row
        return math.nan if row is None else float(row["clock_s"]) + self._now_s() - float(row["published_s"])

    def _wait_for(self, position: int) -> np.void:
        """Return the record of a tick, waiting for it while the server makes progress."""
        ring, head = self._link.ticks, -1
        limit_s = math.inf
        while ring.head <= position:
            now_s = self._now_s()
            if ring.head != head:
                head, limit_s = ring.head, now_s + self.stale_after_s
            elif now_s > limit_s:
                raise self._stale(f"has published nothing for {self.stale_after_s:.3f} s")
            left_s = min(self.until_s(position), self.about.period_s)
            self._sleep(max(left_s, self.about.period_s / _LOOKS_PER_TICK, _SHORTEST_SLEEP_S))
        records, lost = self.rows(position, position + 1)
        if lost:
            raise StaleError(f"tick {position} of the motion process {self._link.name!r} is gone: more than {ring.capacity} have passed")
        row: np.void = records[0]
        age_s = self._now_s() - float(row["published_s"])
        if ring.head == position + 1 and age_s > self.stale_after_s:
            raise self._stale(f"has published nothing for {age_s:.3f} s")
        return row

    def _stale(self, what: str) -> StaleError:
        """Describe a server that is silent: dead, closed, failing, or late."""
        who = f"the motion process {self._link.name!r} (process {self.about.pid})"
        status = self._link.status.read()
        error = self._error()
        if status is not None and status["closed"][0]:
            return StaleError(f"{who} has ended: {error}: start it again")
        if not alive(self.about.pid):
            return StaleError(f"{who} is dead: start it again; motors on a bus stop by their own watchdog")
        if error and self._now_s() - self._link.words.get("heartbeat_s") < self.stale_after_s:
            return StaleError(f"{who} cannot use its robot: {error}")
        return StaleError(f"{who} {what}: is it stopped, or the machine too busy?")

    def _error(self) -> str:
        """Return the newest error of the robot that the server published, nothing if there was none."""
        status = self._link.status.read()
        return "" if status is None else bytes(status["error"][0]).decode()

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("this robot is closed: attach to the motion process anew")
