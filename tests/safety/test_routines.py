"""Laws of routines: what is done is left out, what fails is tried again, then a person is asked, and at last the robot holds."""

from __future__ import annotations

import numpy as np
import pytest

from robot import Command, RobotError, frozen_array
from safety import Cause, GuardConfig, GuardedRobot, HeldError, Mode
from safety.resets import Pace, ResetFailedError, ResetStep, hold, move_to, run_routine
from tests.fakes import InstantClock, InstantRobot

PERIOD_S = 0.01
CONFIG = GuardConfig(
    position_min_rad=-1.0,
    position_max_rad=1.0,
    routine_position_min_rad=-3.0,
    routine_position_max_rad=3.0,
    velocity_max_rad_s=10.0,
    acceleration_max_rad_s2=500.0,
)
PACE = Pace(velocity_rad_s=5.0, acceleration_rad_s2=50.0, jerk_rad_s3=5000.0)
HOME = frozen_array([0.5, -0.5, 0.2])


class Person:
    """Helps, or does not."""

    def __init__(self, help_robot: object = None) -> None:
        self.requests: list[str] = []
        self._help = help_robot

    def confirm(self, request: str) -> None:
        self.requests.append(request)
        if self._help is None:
            raise RobotError("given up by the operator")
        self._help()


def rig() -> tuple[GuardedRobot, InstantClock, InstantRobot]:
    robot = InstantRobot(3)
    clock = InstantClock(robot, PERIOD_S)
    guard = GuardedRobot(robot, CONFIG, PERIOD_S, now_s=clock.now_s)
    guard.arm()
    return guard, clock, robot


def at(pose: object):
    return lambda state: bool(np.abs(state.joints.position_rad - pose).max() < 1e-6)


def go(pose: object, name: str = "go", **more: object) -> ResetStep:
    return ResetStep(name, lambda _number, _state, start: move_to(start, pose, PACE, PERIOD_S), at(pose), **more)


def test_steps_run_in_their_order_and_what_is_done_is_left_out():
    guard, clock, _ = rig()
    there = frozen_array([2.0, 0.0, 0.0])
    report = run_routine([go(there, "out"), go(HOME, "home")], guard, clock)
    assert [(a.step, a.number, a.success) for a in report.attempts] == [("out", 1, True), ("home", 1, True)]
    assert report.operator_calls == 0
    assert report.seconds == pytest.approx(len(report.ticks) * PERIOD_S)
    assert {tick.mode for tick in report.ticks} == {Mode.RESETTING}
    again = run_routine([go(HOME, "home")], guard, clock)
    assert (again.attempts, again.ticks) == ([], [])


def test_a_routine_passes_every_hard_stage():
    guard, clock, robot = rig()
    wild = ResetStep("wild", lambda *_: hold(frozen_array([9.0, -9.0, 9.0]), 1.0, PERIOD_S), lambda _: False, attempts=1)
    with pytest.raises(ResetFailedError):
        run_routine([wild], guard, clock)
    path = np.array(robot.written)
    assert (np.abs(path) <= 3.0).all()
    speeds = np.diff(path, axis=0) / PERIOD_S
    assert (np.abs(speeds) <= 10.0 + 1e-9).all()
    assert (np.abs(np.diff(speeds, axis=0)) <= 500.0 * PERIOD_S + 1e-9).all()


def test_a_step_that_fails_is_tried_again_with_its_number_and_then_holds_with_its_history():
    guard, clock, robot = rig()
    numbers = []

    def moves(number, _state, start):
        numbers.append(number)
        return hold(start, 0.05, PERIOD_S)

    stubborn = ResetStep("turn over", moves, lambda _: False, attempts=3, ask="turn it over")
    with pytest.raises(
        ResetFailedError, match=r"'turn over' failed: turn over, attempt 1: failed.*attempt 3.*Please turn it over"
    ) as caught:
        run_routine([stubborn, go(HOME)], guard, clock)
    assert numbers == [0, 1, 2]
    assert len(caught.value.report.attempts) == 3
    assert (guard.mode, guard.causes) == (Mode.HOLD, Cause.RESET_FAILED)
    with pytest.raises(HeldError, match="used up its attempts"):
        guard.engage()
    guard.clear()
    guard.engage()
    assert len(robot.written) > 0


def test_an_operator_is_the_last_resort_and_may_give_up():
    guard, clock, robot = rig()
    fixed = []
    step = ResetStep("lift", lambda _n, _s, start: hold(start, 0.02, PERIOD_S), lambda _: bool(fixed), attempts=2)
    person = Person(lambda: fixed.append(1))
    report = run_routine([step], guard, clock, person)
    assert (report.operator_calls, len(report.attempts)) == (1, 2)
    assert "failed 2 times" in person.requests[0]
    fixed.clear()
    with pytest.raises(RobotError, match="given up"):
        run_routine([step], guard, clock, Person())
    assert robot.written


def test_a_stop_in_mid_motion_ends_the_attempt_and_the_next_one_begins_anew():
    guard, clock, _ = rig()
    tripped = []

    def moves(_number, _state, start):
        def motion():
            inner = move_to(start, HOME, PACE, PERIOD_S)
            target = next(inner)
            for tick in range(1000):
                if tick == 3 and not tripped:
                    tripped.append(tick)
                    guard.trip(Cause.BLOCKED)
                state = yield target
                try:
                    target = inner.send(state)
                except StopIteration as end:
                    return end.value
            return None

        return motion()

    report = run_routine([ResetStep("home", moves, at(HOME))], guard, clock)
    assert [a.success for a in report.attempts] == [False, True]
    assert "stopped by the guard, HOLD" in str(report.attempts[0])


def test_what_only_an_operator_clears_ends_a_routine():
    guard, clock, _ = rig()
    guard.trip(Cause.STOP_HOLD)
    with pytest.raises(HeldError, match="emergency stop"):
        run_routine([go(HOME)], guard, clock)
    assert guard.write(Command(HOME)).mode is Mode.HOLD


def late(guard: GuardedRobot, clock: InstantClock, times: int) -> ResetStep:
    """Make a step whose motion is late for so many attempts in a row and then goes home."""
    left = iter(range(times))

    def moves(number, _state, start):
        def motion():
            inner = move_to(start, HOME, PACE, PERIOD_S)
            state = yield next(inner)
            if next(left, None) is not None:
                for _ in range(4):
                    clock.wait()
            while True:
                try:
                    state = yield inner.send(state)
                except StopIteration as end:
                    return end.value

        return motion()

    return ResetStep("home", moves, at(HOME), attempts=2)


def test_an_attempt_that_a_late_loop_spoilt_is_no_attempt_and_comes_again_after_a_rest():
    guard, clock, _ = rig()
    report = run_routine([late(guard, clock, 10)], guard, clock)
    assert [(a.number, a.success) for a in report.attempts] == [(1, False)] * 10 + [(1, True)]
    assert "stopped by the guard, HOLD (late)" in str(report.attempts[0])
    held = sum(tick.mode is Mode.HOLD for tick in report.ticks) * PERIOD_S
    # Each second of rest, and the tick that found it.
    assert held == pytest.approx(10 * (1.0 + PERIOD_S))
    assert report.seconds >= 10.0


def test_a_loop_that_is_late_for_good_ends_a_routine():
    guard, clock, _ = rig()
    with pytest.raises(ResetFailedError, match=r"attempt 1: stopped by the guard, HOLD \(late\).*attempt 2: stopped"):
        run_routine([late(guard, clock, 10**6)], guard, clock)
    assert (guard.mode, guard.causes) == (Mode.HOLD, Cause.RESET_FAILED | Cause.LATE)


def test_every_tick_of_a_routine_is_one_of_the_clock():
    guard, clock, robot = rig()
    report = run_routine([late(guard, clock, 1)], guard, clock)
    assert len(robot.written) == len(report.ticks)
