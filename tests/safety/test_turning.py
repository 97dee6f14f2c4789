"""Laws of the return to the arena, on a robot of paper that rolls: its first joint drives, its second one turns. Legs are in tests/sim."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from robot import FloatArray, ImuState, RobotState, frozen_array
from safety import ArenaConfig, GuardConfig, GuardedRobot, Mode
from safety.resets import Gait, Pace, ResetFailedError, ResetReport, move_to, returning, run_routine, standing
from safety.resets.gaits import KITTY_GAIT
from safety.resets.righting import Righting
from safety.resets.turning import homewards, retreat, walk
from tests.fakes import InstantClock, InstantRobot
from tests.safety.test_arena import seen

PERIOD_S = 0.01
PACE = Pace(velocity_rad_s=5.0, acceleration_rad_s2=50.0, jerk_rad_s3=5000.0)
CONFIG = GuardConfig(position_min_rad=-3.0, position_max_rad=3.0, velocity_max_rad_s=10.0, acceleration_max_rad_s2=500.0)
ARENA = ArenaConfig(center_m=(1.0, -2.0), radius_m=1.5)
HOME = frozen_array(np.zeros(3))


class Wheels(Gait):
    """Not of legs: forward and turning command are two joint angles."""

    def __init__(self) -> None:
        super().__init__(KITTY_GAIT.walk, KITTY_GAIT.turn, KITTY_GAIT.joints_rad)

    def offsets_rad(self, time_s: float, forward: float, turn: float) -> FloatArray:
        return frozen_array([forward, turn, 0.0])


class Rolling(InstantRobot):
    """Drives 0.3 m/s and turns 1 rad/s at most; may be stuck; may tip over when it has turned so far."""

    def __init__(self, x: float, y: float, yaw_rad: float) -> None:
        super().__init__(3)
        self.place = np.array([x, y])
        self.yaw_rad = yaw_rad
        self.stuck = False
        self.tips_after_rad: float | None = None
        self.down = False
        self.turned_rad = 0.0

    def tick(self, period_s: float) -> None:
        super().tick(period_s)
        forward, turn, _ = self._position
        if self.stuck or self.down:
            return
        self.yaw_rad += turn * period_s
        self.turned_rad += turn * period_s
        self.place += 0.3 * forward * period_s * np.array([math.cos(self.yaw_rad), math.sin(self.yaw_rad)])
        if self.tips_after_rad is not None and abs(self.turned_rad) > self.tips_after_rad:
            self.down, self.tips_after_rad = True, None

    def read(self) -> RobotState:
        base = seen(self.place[0], self.place[1], self.yaw_rad)
        imu = ImuState(frozen_array(np.diag([1.0, -1.0, -1.0])), frozen_array(np.zeros(3)), 0.0) if self.down else base.imu
        return replace(super().read(), imu=imu, tracked_base=base.tracked_base)


def at_border(bearing_rad: float, share: float = 1.0, where_rad: float = 0.3) -> Rolling:
    """Put a robot so far out, as a share of the radius, with the centre at a bearing."""
    x, y = (1.5 * share * f(where_rad) for f in (math.cos, math.sin))
    return Rolling(1.0 + x, -2.0 + y, where_rad + math.pi - bearing_rad)


def come_back(robot: Rolling) -> ResetReport:
    def right(_number: int, _state: RobotState, start_rad: object, period_s: float) -> Righting:
        robot.down = False
        state = yield from move_to(start_rad, HOME, PACE, period_s)
        return HOME, state

    clock = InstantClock(robot, PERIOD_S)
    guard = GuardedRobot(robot, CONFIG, PERIOD_S, now_s=clock.now_s)
    guard.arm()
    stand = standing(right, HOME, PACE, 0.05, PERIOD_S)
    return run_routine([returning(ARENA, Wheels(), stand, HOME, PERIOD_S)], guard, clock)


@pytest.mark.parametrize("bearing", np.linspace(-math.pi, math.pi, 9))
@pytest.mark.parametrize("share", [1.02, 0.95])
def test_from_any_heading_it_comes_in_and_faces_the_centre_the_shorter_way_round(bearing: float, share: float) -> None:
    robot = at_border(bearing, share)
    report = come_back(robot)
    assert [attempt.success for attempt in report.attempts] == [True]
    assert {tick.mode for tick in report.ticks} == {Mode.RESETTING}
    end = robot.read()
    assert ARENA.distance_m(end) <= 0.81 * 1.5
    assert abs(ARENA.bearing_rad(end)) <= math.radians(10.0)
    # It never turns beyond the centre by more than that.
    bearings = [ARENA.bearing_rad(tick.state) * (1.0 if bearing >= 0.0 else -1.0) for tick in report.ticks]
    assert abs(bearing) == math.pi or min(bearings) >= -math.radians(10.0)
    assert robot.turned_rad == pytest.approx(bearing, abs=0.2) or abs(bearing) == math.pi
    np.testing.assert_array_equal(end.joints.position_rad, HOME)


@pytest.mark.parametrize(("bearing", "share"), [(0.0, 0.9), (1.2, 0.89), (-1.2, 0.89), (math.pi, 0.49), (2.0, 0.45), (0.5, 0.0)])
def test_a_robot_with_half_the_radius_ahead_of_it_stays_as_it_is(bearing: float, share: float) -> None:
    report = come_back(at_border(bearing, share))
    assert (report.attempts, report.ticks) == ([], [])


@pytest.mark.parametrize(("bearing", "share"), [(math.pi, 0.51), (1.7, 0.89), (0.0, 0.91)])
def test_one_with_less_ahead_or_near_the_border_does_not(bearing: float, share: float) -> None:
    assert come_back(at_border(bearing, share)).attempts != []


def test_commands_rise_and_fall_slowly_and_end_at_nothing() -> None:
    report = come_back(at_border(2.5))
    commands = np.array([tick.target.position_rad for tick in report.ticks])
    assert np.abs(commands).sum(axis=1).max() <= 1.0 + 1e-9
    assert np.abs(np.diff(commands, axis=0)).max() <= 2.0 * PERIOD_S + 1e-9
    assert not commands[-1].any()


def test_a_robot_that_is_stuck_backs_off_every_second_time_and_at_last_asks() -> None:
    robot = at_border(math.pi)
    robot.stuck = True
    with pytest.raises(ResetFailedError, match=r"return to the arena, attempt 5.*facing the centre") as caught:
        come_back(robot)
    report = caught.value.report
    assert len(report.attempts) == 5
    seconds = [attempt.seconds for attempt in report.attempts]
    assert [round(value) for value in seconds] == [31, 34, 31, 34, 31]
    drives = np.array([tick.target.position_rad[0] for tick in report.ticks])
    first = round(seconds[0] / PERIOD_S)
    assert not drives[:first].any()
    # The centre is behind it.
    assert drives[first : first + 300].min() == -1.0


def test_one_that_falls_stands_up_first_and_goes_on() -> None:
    robot = at_border(3.0)
    robot.tips_after_rad = 1.0
    report = come_back(robot)
    assert [attempt.success for attempt in report.attempts] == [True] or [a.success for a in report.attempts] == [False, True]
    assert not robot.down
    assert abs(ARENA.bearing_rad(robot.read())) <= math.radians(10.0)


def test_one_that_lies_is_stood_up_before_it_walks() -> None:
    robot = at_border(3.0)
    robot.down = True
    report = come_back(robot)
    assert [attempt.success for attempt in report.attempts] == [True]
    assert not robot.down
    assert abs(ARENA.bearing_rad(robot.read())) <= math.radians(10.0)


def test_one_that_falls_as_it_backs_off_does_not_walk_on_lying() -> None:
    step = returning(ARENA, Wheels(), standing(lambda *_: unused(), HOME, PACE, 0.05, PERIOD_S), HOME, PERIOD_S)
    robot = at_border(math.pi)
    moves = step.moves(1, robot.read(), HOME)
    target = next(moves)
    while not target.any():
        target = moves.send(robot.read())
    robot.down = True
    # What comes next is standing up.
    with pytest.raises(AssertionError, match="righted"):
        moves.send(robot.read())


def unused() -> Iterator[FloatArray]:
    raise AssertionError("righted")


def test_a_walk_ends_when_time_is_up() -> None:
    motion = walk(Wheels(), frozen_array([0.0, 0.0, 0.1]), HOME, seen(0.0, 0.0, 0.0), lambda _: (1.0, 0.0), 1.0, PERIOD_S)
    targets = [next(motion)]
    try:
        while True:
            targets.append(motion.send(seen(0.0, 0.0, 0.0)))
    except StopIteration as end:
        last, _ = end.value
    # A second, and half of one to slow down.
    assert len(targets) == 150
    assert last is targets[-1]
    assert not last.any()
    assert targets[99][0] == 1.0
    # It began off home, and goes there in the first half second.
    assert [round(float(targets[tick][2]), 6) for tick in (0, 24, 49, 50)] == [0.098, 0.05, 0.0, 0.0]


def test_steering_turns_first_then_walks_then_arrives() -> None:
    assert homewards(ARENA, at_border(2.0).read()) == (0.0, 1.0)
    assert homewards(ARENA, at_border(-2.0).read()) == (0.0, -1.0)
    forward, turn = homewards(ARENA, at_border(0.25).read()) or (0.0, 0.0)
    assert (forward, turn) == (pytest.approx(0.5), pytest.approx(0.5))
    assert homewards(ARENA, at_border(0.0).read()) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-9))
    # Inside it only turns.
    assert homewards(ARENA, at_border(0.25, 0.79).read()) == (0.0, pytest.approx(0.5))
    assert homewards(ARENA, at_border(0.1, 0.79).read()) is None
    assert homewards(ARENA, at_border(0.1, 0.81).read()) is not None


def test_backing_off_goes_towards_the_centre_whichever_way_it_faces() -> None:
    assert retreat(ARENA, at_border(0.0).read()) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-9))
    assert retreat(ARENA, at_border(0.25).read()) == (pytest.approx(0.5), pytest.approx(0.5))
    assert retreat(ARENA, at_border(math.pi).read()) == (pytest.approx(-1.0), pytest.approx(0.0, abs=1e-9))
    # Its back turns to the centre.
    assert retreat(ARENA, at_border(math.pi - 0.25).read()) == (pytest.approx(-0.5), pytest.approx(-0.5))
    assert retreat(ARENA, at_border(1.5).read()) == (pytest.approx(0.0), 1.0)
    assert retreat(ARENA, at_border(1.6).read()) == (pytest.approx(0.0), -1.0)
