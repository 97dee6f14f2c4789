"""Laws of the steps of routines: standing up, cooling down, gathering fingers, turning a valve; on joints that do what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot import FloatArray, ImuState, RobotState, frozen_array
from robot.types import TrackedAngle
from safety import Cause, GuardConfig, GuardedRobot, HeldError, Mode
from safety.resets import Pace, ResetFailedError, cooling, gathering, move_to, run_routine, standing, turning_object
from safety.resets.righting import Righting
from tests.fakes import InstantClock, InstantRobot

PERIOD_S = 0.01
PACE = Pace(velocity_rad_s=5.0, acceleration_rad_s2=50.0, jerk_rad_s3=5000.0)
CONFIG = GuardConfig(position_min_rad=-3.0, position_max_rad=3.0, velocity_max_rad_s=10.0, acceleration_max_rad_s2=500.0)
HOME, TUCKED = frozen_array([0.5, -0.5, 0.2]), frozen_array([1.0, 1.0, 1.0])


class Lying(InstantRobot):
    """Is on its back until its joints have been at a pose; may be warm, and cools while it is at rest; may have a joint that sticks."""

    def __init__(self, joints: int = 3, *, on_its_back: bool = False, heat_c: float | None = None) -> None:
        super().__init__(joints)
        self.on_its_back = on_its_back
        self.heat_c = heat_c
        self.stuck_until: FloatArray | None = None

    def tick(self, period_s: float) -> None:
        super().tick(period_s)
        if np.allclose(self._position, TUCKED if len(self._position) == 3 else 0.0):
            self.on_its_back = False
            self.heat_c = None if self.heat_c is None else self.heat_c - 0.5
        if self.stuck_until is not None:
            if np.allclose(self._position[::3], self.stuck_until[::3]) and np.allclose(self._position[1::3], self.stuck_until[1::3]):
                self.stuck_until = None
            else:
                position = np.array(self._position)
                position[2] = 1.3
                self._position = frozen_array(position)

    def read(self) -> RobotState:
        state = super().read()
        up = np.diag([1.0, -1.0, -1.0]) if self.on_its_back else np.eye(3)
        heat = None if self.heat_c is None else frozen_array(np.full(len(self.joint_names), self.heat_c))
        imu = ImuState(frozen_array(up), frozen_array(np.zeros(3)), 0.0)
        return replace(state, joints=replace(state.joints, temperature_c=heat), imu=imu)


def rig(robot: Lying) -> tuple[GuardedRobot, InstantClock]:
    clock = InstantClock(robot, PERIOD_S)
    guard = GuardedRobot(robot, CONFIG, PERIOD_S, now_s=clock.now_s)
    guard.arm()
    return guard, clock


numbers: list[int] = []


def right(number: int, _state: RobotState, start_rad: object, period_s: float) -> Righting:
    numbers.append(number)
    state = yield from move_to(start_rad, TUCKED, PACE, period_s)
    return TUCKED, state


def test_an_upright_robot_goes_home_directly_and_a_fallen_one_is_righted_first():
    for on_its_back, called in ((False, []), (True, [0])):
        numbers.clear()
        robot = Lying(on_its_back=on_its_back)
        guard, clock = rig(robot)
        step = standing(right, HOME, PACE, 0.05, PERIOD_S)
        report = run_routine([step], guard, clock)
        assert (numbers, [a.success for a in report.attempts]) == (called, [True])
        np.testing.assert_array_equal(robot.read().joints.position_rad, HOME)
        assert run_routine([step], guard, clock).attempts == []


def test_a_robot_that_going_home_did_not_help_is_righted_the_next_time():
    numbers.clear()
    robot = Lying()
    guard, clock = rig(robot)
    # Within the tolerance of nowhere: every attempt fails.
    step = standing(right, HOME, PACE, -1.0, PERIOD_S)
    step = replace(step, attempts=3)
    with pytest.raises(ResetFailedError, match="stand up, attempt 3"):
        run_routine([step], guard, clock)
    assert numbers == [1, 2]


def test_a_warm_robot_rests_until_it_is_cool_and_a_cool_one_does_not():
    robot = Lying(heat_c=60.0)
    guard, clock = rig_armed_cold(robot)
    robot.heat_c = 60.0
    step = cooling(TUCKED, 50.0, PACE, PERIOD_S)
    report = run_routine([step], guard, clock)
    assert [a.success for a in report.attempts] == [True]
    np.testing.assert_array_equal(robot.read().joints.position_rad, TUCKED)
    assert robot.heat_c < 50.0
    for heat_c in (49.9, None, np.nan):
        robot.heat_c = heat_c
        assert run_routine([step], guard, clock).attempts == []


def rig_armed_cold(robot: Lying) -> tuple[GuardedRobot, InstantClock]:
    robot.heat_c = 20.0
    return rig(robot)


def test_fingers_go_home_directly_and_where_that_fails_open_joint_by_joint_first():
    home = frozen_array([0.1, -1.0, 1.0] * 3)
    robot = Lying(9)
    guard, clock = rig(robot)
    step = gathering(home, PERIOD_S)
    assert [a.success for a in run_routine([step], guard, clock).attempts] == [True]
    np.testing.assert_allclose(robot.read().joints.position_rad, home)
    # A tip that is caught until the middle joints are open.
    robot.stuck_until = frozen_array([0.1, -1.7, 0.0] * 3)
    guard.engage()
    clock.wait()
    report = run_routine([step], guard, clock)
    assert [a.success for a in report.attempts] == [False, True]
    np.testing.assert_allclose(robot.read().joints.position_rad, home)
    opened = [np.round(tick.target.position_rad, 6) for tick in report.ticks]
    middle, tip, side = (
        next(i for i, t in enumerate(opened) if (t[joint::3] == angle).all()) for joint, angle in ((1, -1.7), (2, 0.0), (0, 0.0))
    )
    assert middle < tip < side
    # One kind after the other.
    np.testing.assert_array_equal(opened[middle][::3], 0.1)
    np.testing.assert_array_equal(opened[tip][::3], 0.1)


class Valve(Lying):
    """A claw whose valve goes a hundredth of a radian a tick while its motor turns it; may have a friction that no motor overcomes."""

    def __init__(self, speed_rad_s: float = 1.0) -> None:
        super().__init__(9)
        self.angle_rad = 0.0
        self.speed_rad_s = speed_rad_s
        self.goal_rad: float | None = None
        self.done: list[str] = []

    def tick(self, period_s: float) -> None:
        super().tick(period_s)
        if self.goal_rad is not None:
            self.angle_rad += float(np.clip(self.goal_rad - self.angle_rad, -self.speed_rad_s * period_s, self.speed_rad_s * period_s))

    def read(self) -> RobotState:
        return replace(super().read(), tracked_object=TrackedAngle(self.angle_rad, 0.0, 0.0))

    def turn_object(self, angle_rad: float) -> Iterator[None]:
        for request in ("goal", "torque"):
            self.done.append(request)
            yield
        self.goal_rad = angle_rad

    def release_object(self) -> None:
        self.done.append("let go")
        self.goal_rad = None


def test_a_valve_is_turned_while_the_fingers_stand_and_let_go_of():
    robot = Valve()
    guard, clock = rig(robot)
    step = turning_object(robot, -1.2, PERIOD_S)
    report = run_routine([step], guard, clock)
    assert [a.success for a in report.attempts] == [True]
    # One request in a tick, and no more ticks than it takes at its speed.
    assert len(report.ticks) * PERIOD_S <= 2 * PERIOD_S + 1.2 / robot.speed_rad_s + PERIOD_S
    assert robot.angle_rad == pytest.approx(-1.2, abs=np.radians(5.0))
    assert robot.done == ["goal", "torque", "let go"]
    assert {tuple(tick.applied.position_rad) for tick in report.ticks} == {(0.0,) * 9}
    # One that is there already is left alone.
    assert run_routine([step], guard, clock).attempts == []
    assert robot.done == ["goal", "torque", "let go"]


def test_a_valve_that_does_not_turn_is_let_go_of_after_each_attempt_and_a_person_is_asked():
    robot = Valve(speed_rad_s=0.01)
    guard, clock = rig(robot)
    with pytest.raises(ResetFailedError, match="turn the valve to 57 degrees by hand") as caught:
        run_routine([turning_object(robot, 1.0, PERIOD_S)], guard, clock)
    assert robot.done == ["goal", "torque", "let go"] * 3
    assert [round(a.seconds, 2) for a in caught.value.report.attempts] == [6.02] * 3


def test_a_valve_is_let_go_of_at_the_tick_in_which_the_guard_stops_the_robot():
    robot = Valve()
    guard, _ = rig(robot)

    class Stopped(InstantClock):
        def wait(self) -> float:
            if robot.angle_rad > 0.5 and guard.mode is Mode.RESETTING:
                guard.trip(Cause.STOP_HOLD)
            return super().wait()

    with pytest.raises(HeldError):
        run_routine([turning_object(robot, 2.0, PERIOD_S)], guard, Stopped(robot, PERIOD_S))
    assert robot.done == ["goal", "torque", "let go"]
    assert robot.angle_rad < 0.55


def test_a_valve_that_nobody_sees_is_not_where_it_should_be():
    assert not turning_object(Valve(), 0.0, PERIOD_S).done(Lying(9).read())
    assert turning_object(Valve(), 0.0, PERIOD_S).done(Valve().read())
