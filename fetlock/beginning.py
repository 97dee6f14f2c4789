"""How episodes begin: by a teleport, or by routines that any robot can run; and what is tried where a robot does not."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot.errors import PortError, RobotError
from robot.protocols import Clock
from safety import BusTick, Cause, GuardedRobot
from safety.faults import cause_of
from safety.modes import RULES, Clear, needs_person, sentences
from safety.resets import MakeSteps, run_routine

# Pauses between attempts double, s: a second or two of silence, as after a knocked plug, costs no more than it lasts, and a robot that is
# out of order is not shaken.
_PAUSE_S, _PAUSE_MAX_S = 0.5, 10.0
# How often a port that is gone is looked for, s.
_LOOK_S = 1.0
# What a motor has lost with its power, or latched, is set up again before it is armed.
_UNFIT = Cause.REBOOTED | Cause.MOTOR
_LOST = Cause.REBOOTED | Cause.PORT

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """What is waited for before a robot that does not begin is an error.

    Attributes:
        retry_s: Sum of the pauses, of the robot's time, in which it is tried again where no person is needed.
        operator_s: How long a person is waited for where only one can help; 0: nobody comes.
    """

    retry_s: float = 0.0
    operator_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Repair:
    """What makes a robot on a bus whole again; torque is off afterwards. Both raise RobotError.

    Attributes:
        reconnect: Opens the bus after its port was lost, and sets all motors up.
        recover: Restarts motors that report an error, and sets all up again.
    """

    reconnect: Callable[[], None] = lambda: None
    recover: Callable[[], None] = lambda: None


class EpisodeReset:
    """Begins episodes of one robot; called with the generator of the episode.

    A robot that does not begin is held, at every bus tick, and tried again after a pause, each twice as long as the one before. Where only
    a person can help, one is waited for, who says so by `fetlock stop --clear`; a port that was lost is opened meanwhile as soon as it is
    back, and motors that restarted are set up before they are armed.

    Args:
        guard: Of the robot.
        clock: Its bus clock.
        place: Puts it into a start pose from outside: a simulation's teleport; a robot of metal is taken as it stands.
        steps: The routine of an episode; None: every episode begins with `place`, else the first one alone.
        patience: With a robot that does not begin.
        repair: Of a robot on a bus.
        resume: Begins the schedule of its clock anew: a pause between episodes is no miss.
        look: Raises RobotError where the camera whose frames are recorded gives none: a blind robot is not moved.
    """

    def __init__(
        self,
        guard: GuardedRobot,
        clock: Clock,
        place: Callable[[np.random.Generator], None],
        steps: MakeSteps | None = None,
        *,
        patience: Patience | None = None,
        repair: Repair | None = None,
        resume: Callable[[], None] = lambda: None,
        look: Callable[[], object] = lambda: None,
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._place = place
        self._steps = steps
        self._patience = patience or Patience()
        self._repair = repair or Repair()
        self._resume = resume
        self._look = look
        self._placed = self._unfit = False

    def __call__(self, rng: np.random.Generator, goes_on: Callable[[], bool] = lambda: True) -> Sequence[BusTick]:
        """Begin an episode; return the bus ticks that the routine took.

        Args:
            rng: Of the episode.
            goes_on: Asked at every tick of a pause: whether an episode is still wanted.

        Raises:
            RobotError: If neither time nor an operator has ended what stops the robot, or no episode is wanted any more.
        """
        ticks: list[BusTick] = []
        pause_s, paused_s, tries = _PAUSE_S, 0.0, 0
        while True:
            try:
                self._begin(rng, ticks)
            except RobotError as error:
                tries += 1
                # Whatever said it, a lost port and a motor without torque hold the robot until a person has come.
                self._guard.trip(cause_of(error) & _LOST)
                if needs_person(self._guard.causes):
                    self._await_person(error, goes_on)
                    continue
                over = any(RULES[cause].clear is Clear.NEVER for cause in self._guard.causes) or not goes_on()
                if over or paused_s + pause_s > self._patience.retry_s:
                    if tries == 1:
                        raise
                    raise RobotError(
                        f"{error}; tried {tries} times in {paused_s:g} s (train.retry_s {self._patience.retry_s:g})"
                    ) from error
                _log.warning("the robot does not begin: %s; it is tried again in %.1f s", error, pause_s)
                self._pause(pause_s, goes_on)
                paused_s, pause_s = paused_s + pause_s, min(2.0 * pause_s, _PAUSE_MAX_S)
            else:
                return ticks

    def _begin(self, rng: np.random.Generator, ticks: list[BusTick]) -> None:
        if self._unfit:
            self._repair.recover()
            self._unfit = False
        self._guard.require_releasable()
        self._look()
        if self._steps is None or not self._placed:
            self._place(rng)
            self._placed = True
        else:
            self._resume()
        self._guard.arm()
        if self._steps is not None:
            ticks += run_routine(self._steps(rng), self._guard, self._clock).ticks
        self._guard.engage()

    def _await_person(self, error: RobotError, goes_on: Callable[[], bool]) -> None:
        """Hold until an operator has cleared what only an operator can; raises `error` if none comes."""
        if not self._patience.operator_s:
            raise error
        causes = self._guard.causes
        first = "switch torque off by 'fetlock stop --level cut' (the robot drops), " if self._limp(causes) else ""
        _log.warning("waiting for an operator: %s; %sthen 'fetlock stop --clear'", sentences(causes), first)
        end_s = self._clock.now_s() + self._patience.operator_s
        lost, look_s = Cause.PORT in causes, 0.0
        while needs_person(self._guard.causes):
            if self._clock.now_s() >= end_s or not goes_on():
                raise error
            if lost and self._clock.now_s() >= look_s:
                look_s, lost = self._clock.now_s() + _LOOK_S, not self._reconnected()
            causes |= self._guard.causes
            lost |= isinstance(self._keep(), PortError)
        self._unfit |= bool(causes & _UNFIT)
        _log.warning("going on")

    def _limp(self, causes: Cause) -> bool:
        """Tell whether torque has to be switched off by the operator: a port that is gone takes it along."""
        return self._guard.armed and Cause.PORT not in causes and any(RULES[cause].clear is Clear.DISARM for cause in causes)

    def _reconnected(self) -> bool:
        try:
            self._repair.reconnect()
        except RobotError as error:
            _log.info("still not connected: %s", error)
            return False
        _log.warning("connected again, torque off: the robot waits for 'fetlock stop --clear'")
        return True

    def _pause(self, seconds: float, goes_on: Callable[[], bool]) -> None:
        """Let some of the robot's time pass: ticks in which nobody answers are longer."""
        end_s = self._clock.now_s() + seconds
        for _ in range(round(seconds / self._clock.period_s)):
            if self._clock.now_s() >= end_s or not goes_on():
                return
            self._keep()

    def _keep(self) -> RobotError | None:
        """Let a bus tick pass, in which the robot holds, or lies without torque; return what it complains of."""
        complaint = None
        try:
            self._guard.read()
            self._guard.idle()
        except RobotError as error:
            # Said already; what clears it is looked at all the same.
            complaint = error
            self._guard.poll()
        # In lockstep a robot is read as its tick begins; the next read says the same.
        with contextlib.suppress(RobotError):
            self._clock.wait()
        return complaint
