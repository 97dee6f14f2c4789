"""Routines between episodes: steps with success checks and attempts, run through the guard, an operator as the last resort."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from robot.errors import RobotError
from robot.protocols import Clock, Operator
from robot.types import Command, FloatArray, RobotState
from safety.motion import BusTick
from safety.resets.moves import Moves
from safety.types import AppliedCommand, Cause, Mode

# How often a step is tried: ROBEL's D'Kitty gives up after as many resets.
ATTEMPTS = 5
# A machine that is late for its ticks is given time, and an attempt that it spoilt is no attempt: nothing was learned of the step. Ten such
# rests in a step are ten times what another program needs to start; then it counts.
_REST_S, _RESTS = 1.0, 10


class Driven(Protocol):
    """A guarded robot, here or in another process."""

    def read(self) -> RobotState:
        """Return the newest state."""

    def write(self, command: Command) -> AppliedCommand:
        """Send a command for the coming tick."""

    def engage(self, mode: Mode = Mode.ACTIVE) -> None:
        """Let somebody drive; raises RobotError with what stops the robot."""

    def trip(self, cause: Cause) -> None:
        """Stop the robot for a cause."""


@dataclass(frozen=True, slots=True)
class ResetStep:
    """A part of a routine.

    Attributes:
        name: As an operator and a report call it.
        moves: Makes the motion of an attempt from its number, from 0, the newest state and the target to start from, shape (n,), rad.
        done: Whether a state needs the step no more; asked before and after each attempt.
        attempts: How often it is tried.
        ask: What an operator is asked for when it has failed.
    """

    name: str
    moves: Callable[[int, RobotState, FloatArray], Moves]
    done: Callable[[RobotState], bool]
    attempts: int = ATTEMPTS
    ask: str = "put the robot into its start pose"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a step.

    Attributes:
        step: Its name.
        number: From 1.
        seconds: Of the robot's time.
        success: It did what it should.
        stopped: What the guard found, if anything.
    """

    step: str
    number: int
    seconds: float
    success: bool
    stopped: str = ""

    def __str__(self) -> str:
        outcome = "done" if self.success else self.stopped or "failed"
        return f"{self.step}, attempt {self.number}: {outcome} after {self.seconds:.1f} s"


@dataclass(slots=True)
class ResetReport:
    """What a routine did.

    Attributes:
        attempts: In their order; none where nothing was needed.
        operator_calls: How often a person was asked.
        ticks: Every bus tick.
        seconds: Of the robot's time.
    """

    attempts: list[Attempt] = field(default_factory=list)
    operator_calls: int = 0
    ticks: list[BusTick] = field(default_factory=list)
    seconds: float = 0.0


class ResetFailedError(RobotError):
    """A step has used up its attempts and nobody could help; the robot is in HOLD, and `report` has the history."""

    def __init__(self, step: ResetStep, report: ResetReport) -> None:
        history = "; ".join(map(str, report.attempts))
        super().__init__(f"the reset step {step.name!r} failed: {history}. Please {step.ask}, then 'fetlock stop --clear'")
        self.report = report


# Makes the steps of an episode from its generator.
MakeSteps = Callable[[np.random.Generator], tuple[ResetStep, ...]]
# Yields what it has sent in each bus tick, and goes on when the next one has begun.
Routine = Generator[BusTick, None, ResetReport]


def run_routine(steps: Sequence[ResetStep], robot: Driven, clock: Clock, operator: Operator | None = None) -> ResetReport:
    """Run a routine to its end; arguments and errors are those of `routine`."""
    running = routine(steps, robot, clock, operator)
    while True:
        try:
            next(running)
        except StopIteration as end:
            report: ResetReport = end.value
            return report
        clock.wait()


def routine(steps: Sequence[ResetStep], robot: Driven, clock: Clock, operator: Operator | None = None) -> Routine:
    """Drive the steps of a routine that are not done yet, in their order, for a loop that waits between two ticks.

    Args:
        steps: Of the routine.
        robot: Armed.
        clock: Its bus clock; only its time is asked for.
        operator: Asked when a step has used up its attempts; None: nobody is there.

    Raises:
        ResetFailedError: If a step fails and nobody helps; the robot is in HOLD until an operator clears it.
        RobotError: If something stops the robot that a routine cannot end, or the operator gives up.
    """
    report, start_s = ResetReport(), clock.now_s()
    for step in steps:
        while not (yield from _tried(step, robot, clock, report)):
            if operator is None:
                robot.trip(Cause.RESET_FAILED)
                raise ResetFailedError(step, report)
            report.operator_calls += 1
            operator.confirm(f"The step {step.name!r} failed {step.attempts} times. Please {step.ask}.")
    report.seconds = clock.now_s() - start_s
    return report


def _tried(step: ResetStep, robot: Driven, clock: Clock, report: ResetReport) -> Generator[BusTick, None, bool]:
    """Try a step as often as it may be; tell whether it is done."""
    number = rests = 0
    while number < step.attempts:
        if step.done(robot.read()):
            return True
        # From where the robot stands: the guard's memory begins anew, as after any stop.
        robot.engage(Mode.RESETTING)
        start_s = clock.now_s()
        stopped = yield from _drive(step, number, robot, clock, report.ticks)
        success = stopped is None and step.done(robot.read())
        report.attempts.append(Attempt(step.name, number + 1, clock.now_s() - start_s, success, _said(stopped)))
        if success:
            return True
        if stopped is not None and stopped.causes == Cause.LATE and rests < _RESTS:
            rests += 1
            yield from _rest(robot, clock, report.ticks)
        else:
            number += 1
    return False


def _drive(
    step: ResetStep, number: int, robot: Driven, clock: Clock, ticks: list[BusTick]
) -> Generator[BusTick, None, AppliedCommand | None]:
    """Follow a motion to its end; return what the guard did when it stopped it, None if it did not."""
    state = robot.read()
    moves = step.moves(number, state, state.joints.position_rad)
    try:
        target = next(moves)
        while True:
            applied = yield from _tick(Command(target), state, robot, clock, ticks)
            if applied.mode is not Mode.RESETTING:
                return applied
            state = robot.read()
            target = moves.send(state)
    except StopIteration:
        return None
    finally:
        moves.close()


def _said(stopped: AppliedCommand | None) -> str:
    if stopped is None:
        return ""
    found = ", ".join(cause.name.lower() for cause in stopped.causes if cause.name) or "no cause"
    return f"stopped by the guard, {stopped.mode.name} ({found})"


def _rest(robot: Driven, clock: Clock, ticks: list[BusTick]) -> Generator[BusTick, None, None]:
    """Leave a robot held for a while."""
    for _ in range(math.ceil(_REST_S / clock.period_s)):
        state = robot.read()
        yield from _tick(Command(state.joints.position_rad), state, robot, clock, ticks)


def _tick(
    command: Command, state: RobotState, robot: Driven, clock: Clock, ticks: list[BusTick]
) -> Generator[BusTick, None, AppliedCommand]:
    applied = robot.write(command)
    ticks.append(tick := BusTick(clock.period_s, state, command, applied))
    yield tick
    return applied
