"""Laws of the steps that robots share: standing up, cooling down, gathering fingers; on joints that do what they are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from robot import FloatArray, ImuState, RobotState, frozen_array
from safety import GuardConfig, GuardedRobot
from safety.resets import Pace, ResetFailedError, cooling, gathering, move_to, run_routine, standing
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
    home = frozen_array([0.0, -1.0, 1.0] * 3)
    robot = Lying(9)
    guard, clock = rig(robot)
    step = gathering(home, PERIOD_S)
    assert [a.success for a in run_routine([step], guard, clock).attempts] == [True]
    np.testing.assert_allclose(robot.read().joints.position_rad, home)
    # A tip that is caught until side and middle joints are open.
    robot.stuck_until = frozen_array([np.pi / 4.0] * 9)
    guard.engage()
    clock.wait()
    report = run_routine([step], guard, clock)
    assert [a.success for a in report.attempts] == [False, True]
    np.testing.assert_allclose(robot.read().joints.position_rad, home)
    opened = [np.round(tick.target.position_rad, 6) for tick in report.ticks]
    quarter = round(np.pi / 4.0, 6)
    order = [next(i for i, t in enumerate(opened) if (t[joint::3] == quarter).all()) for joint in range(3)]
    assert order == sorted(order)
    assert order[1] - order[0] >= 75
