"""The reset routine of a served robot: one bus tick of it in each tick of the motion process, and how it ended."""

from __future__ import annotations

import numpy as np

from robot.errors import RobotError
from safety.machine import Machine
from safety.modes import needs_person
from safety.motion import BusTick
from safety.motion_records import Outcome
from safety.resets.routines import ResetReport, Routine, routine


class ServedRoutine:
    """Runs beside the guard, at the bus rate; nobody waits for it there.

    Args:
        machine: With the steps of its routine.

    Attributes:
        outcome: Of the newest routine.
        history: Its attempts, or what stopped it.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._running: Routine | None = None
        self.outcome = Outcome.NONE
        self.history = ""

    @property
    def running(self) -> bool:
        """Whether a routine drives the robot."""
        return self._running is not None

    def begin(self, rng: np.random.Generator) -> None:
        """Begin at the next tick, from where the robot stands; torque is switched on if it is off.

        Args:
            rng: Draws what the routine leaves to chance, such as where a valve is turned.

        Raises:
            RobotError: If there is no routine for this robot, or a check of arming fails.
        """
        machine = self._machine
        if machine.steps is None:
            raise RobotError("this robot has no reset routine: put it into its start pose by hand, or by a release")
        machine.robot.arm()
        self._running = routine(machine.steps(rng), machine.robot, machine.clock)
        self.outcome, self.history = Outcome.RUNNING, ""

    def tick(self) -> BusTick | None:
        """Run a tick of it, the state just read; return the tick, None if none runs or it has ended: then its client drives.

        Raises:
            RobotError: What ended it; the robot is in HOLD or without torque.
        """
        if self._running is None:
            return None
        try:
            return next(self._running)
        except StopIteration as end:
            report: ResetReport = end.value
        except RobotError as error:
            self.fail(error)
            raise
        try:
            self._machine.robot.engage()
        except RobotError as error:
            self.fail(error)
            raise
        self._end(Outcome.DONE, "; ".join(map(str, report.attempts)) or "nothing was needed")
        return None

    def fail(self, error: RobotError) -> None:
        """End one that runs, for an error of the robot."""
        self._end(Outcome.OPERATOR if needs_person(self._machine.robot.causes) else Outcome.FAILED, str(error))

    def stop(self, why: str) -> None:
        """End one that runs; stopping the robot is the caller's."""
        self._end(Outcome.STOPPED, f"stopped: {why}")

    def _end(self, outcome: Outcome, history: str) -> None:
        if self._running is None:
            return
        self._running.close()
        self._running = None
        self.outcome, self.history = outcome, history
