"""Laws of what is tried where a robot does not begin an episode: how long, at which pace, for whom."""

from __future__ import annotations

import numpy as np
import pytest

from fetlock.beginning import EpisodeReset, Patience, Repair
from robot import RobotError, RobotState, StaleError
from robot.errors import MotorError, PortLostError
from safety import Cause, GuardConfig, GuardedRobot, Mode, MotionLoop
from tests.fakes import InstantClock, InstantRobot
from tests.training.records import Stream, walking_streams
from tests.training.test_env import Idle
from training.collector import Collector
from training.env import RobotEnv
from training.tasks import WalkConfig, WalkTask

PERIOD_S = 0.01
CONFIG = GuardConfig(position_min_rad=0.9, position_max_rad=3.1, velocity_max_rad_s=100.0, acceleration_max_rad_s2=1e5, interpolate=False)
RNG = np.random.default_rng(0)


class Failing(InstantRobot):
    """A robot that cannot be read in some spans of its time, s; and a switch for its torque."""

    armed = False

    def __init__(self, *spans: tuple[float, float], error: RobotError | None = None) -> None:
        super().__init__(8, 2.0)
        self.spans = spans
        self.error = error or StaleError("motor 30 is silent")

    def read(self) -> RobotState:
        if any(since_s <= self.time_s + 1e-9 < until_s for since_s, until_s in self.spans):
            raise self.error
        return super().read()

    def arm(self) -> None:
        self.armed = True

    def cut(self) -> None:
        self.armed = False


def rig(robot: Failing, patience: Patience, **more: object) -> tuple[GuardedRobot, EpisodeReset, list[float]]:
    clock = InstantClock(robot, PERIOD_S)
    guard = GuardedRobot(robot, CONFIG, PERIOD_S, now_s=clock.now_s, drive=robot)
    tried: list[float] = []

    def place(_: np.random.Generator) -> None:
        tried.append(robot.time_s)
        robot.read()

    return guard, EpisodeReset(guard, clock, place, patience=patience, **more), tried


def test_a_silence_that_ends_is_waited_for_in_pauses_that_double_up_to_ten_seconds():
    robot = Failing((0.0, 40.0))
    guard, reset, tried = rig(robot, Patience(retry_s=60.0))
    reset(RNG)
    np.testing.assert_allclose(tried, [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 25.5, 35.5, 45.5], atol=1e-6)
    assert (guard.mode, guard.causes) == (Mode.ACTIVE, Cause.NONE)


def test_a_blind_robot_is_not_moved_until_it_sees():
    robot = Failing()

    def look() -> None:
        if robot.time_s < 1.0:
            raise StaleError("no picture for 0.2 s")

    guard, reset, tried = rig(robot, Patience(retry_s=60.0), look=look)
    reset(RNG)
    np.testing.assert_allclose(tried, [1.5], atol=1e-6)
    assert guard.mode is Mode.ACTIVE
    robot.time_s = 0.0
    _, reset, tried = rig(Failing(), Patience(), look=look)
    with pytest.raises(RobotError, match="no picture"):
        reset(RNG)
    assert not tried


@pytest.mark.parametrize(("retry_s", "tries", "paused_s"), [(0.4, 1, 0.0), (0.5, 2, 0.5), (10.0, 5, 7.5)])
def test_a_robot_that_stays_silent_is_an_error_when_its_time_is_over(retry_s: float, tries: int, paused_s: float):
    robot = Failing((0.0, 1e9))
    _, reset, tried = rig(robot, Patience(retry_s=retry_s))
    with pytest.raises(RobotError, match="motor 30 is silent") as raised:
        reset(RNG)
    assert len(tried) == tries
    assert robot.time_s == pytest.approx(paused_s)
    assert (f"tried {tries} times in {paused_s:g} s (train.retry_s {retry_s:g})" in str(raised.value)) is (tries > 1)


def test_nobody_is_waited_for_when_the_run_is_over():
    robot = Failing((0.0, 1e9))
    _, reset, _ = rig(robot, Patience(retry_s=60.0, operator_s=60.0))
    with pytest.raises(RobotError):
        reset(RNG, lambda: robot.time_s < 0.2)
    assert robot.time_s < 0.3
    guard, reset, _ = rig(other := Failing(), Patience(operator_s=60.0))
    guard.trip(Cause.STOP_HOLD)
    with pytest.raises(RobotError, match="emergency stop"):
        reset(RNG, lambda: other.time_s < 0.2)
    assert other.time_s < 0.3


@pytest.mark.parametrize("operator_s", [0.0, 3.0])
def test_what_only_a_person_ends_is_not_tried_again_without_one(operator_s: float):
    robot = Failing()
    guard, reset, tried = rig(robot, Patience(retry_s=60.0, operator_s=operator_s))
    guard.trip(Cause.RESET_FAILED)
    with pytest.raises(RobotError, match="used up its attempts"):
        reset(RNG)
    # Nor is it placed by a simulation's hand.
    assert not tried
    assert robot.time_s == pytest.approx(operator_s, abs=0.02)


@pytest.mark.parametrize(("error", "cause"), [(PortLostError("gone"), Cause.PORT), (MotorError("limp"), Cause.REBOOTED)])
def test_a_port_or_a_motor_that_is_lost_as_an_episode_begins_is_a_persons_to_end(error: RobotError, cause: Cause):
    robot = Failing((0.0, 1.0), error=error)
    guard, reset, tried = rig(robot, Patience(retry_s=60.0))
    with pytest.raises(type(error)):
        reset(RNG)
    assert len(tried) == 1
    assert cause in guard.causes


def test_what_nothing_ends_is_an_error_at_once():
    robot = Failing()
    guard, reset, tried = rig(robot, Patience(retry_s=60.0, operator_s=60.0))
    guard.trip(Cause.STOP_TERMINATE)
    with pytest.raises(RobotError, match="for good"):
        reset(RNG)
    assert (len(tried), robot.time_s) == (1, 0.0)


def test_a_port_that_comes_back_is_opened_and_then_an_operator_lets_the_robot_begin():
    robot = Failing((0.0, 5.0), error=PortLostError("the port is gone"))
    robot.armed = True
    opened: list[float] = []

    def reconnect() -> None:
        robot.read()
        opened.append(robot.time_s)
        robot.armed = False

    guard, reset, tried = rig(robot, Patience(operator_s=60.0), repair=Repair(reconnect))
    guard.trip(Cause.PORT)

    def operator() -> bool:
        if robot.time_s > 8.0:
            assert guard.mode is Mode.DISARMED
            guard.clear()
        return True

    reset(RNG, operator)
    assert len(opened) == 1
    assert 5.0 <= opened[0] < 6.1
    assert len(tried) == 1
    assert (guard.mode, guard.causes) == (Mode.ACTIVE, Cause.NONE)


def test_a_motor_that_restarted_is_set_up_before_it_is_armed():
    robot, done = Failing(), []
    guard, reset, tried = rig(robot, Patience(operator_s=60.0), repair=Repair(recover=lambda: done.append(len(tried))))
    guard.arm()
    guard.trip(Cause.REBOOTED)

    def operator() -> bool:
        if robot.time_s > 1.0 and guard.armed:
            guard.clear()
            assert Cause.REBOOTED in guard.causes
            guard.cut()
        if robot.time_s > 2.0:
            guard.clear()
        return True

    reset(RNG, operator)
    assert done == [0]
    assert guard.mode is Mode.ACTIVE
    guard.stop()
    reset(RNG)
    assert done == [0]


def collecting(robot: Failing, retry_s: float) -> tuple[Collector, GuardedRobot, Stream]:
    clock = InstantClock(robot, PERIOD_S)
    guard = GuardedRobot(robot, CONFIG, PERIOD_S, now_s=clock.now_s, drive=robot)
    reset = EpisodeReset(guard, clock, lambda _: None, patience=Patience(retry_s=retry_s))
    steps, bus = walking_streams()
    env = RobotEnv(MotionLoop(guard, clock, 2), WalkTask(WalkConfig(), 0.02), reset, guard.close, 50)
    return Collector(env, Idle(), steps, bus, seed=0, index=0, episode=0), guard, steps


def test_a_tick_whose_end_was_not_measured_is_no_transition_and_cuts_its_episode_off():
    robot = Failing((0.1, 2.1))
    collector, guard, steps = collecting(robot, 60.0)
    results = [collector.collect(explore=True) for _ in range(5)]
    assert results[-1] is None
    assert (guard.mode, guard.causes) == (Mode.HOLD, Cause.BUS)
    assert collector.between_episodes
    while len(steps) < 20:
        collector.collect(explore=True)
    records = steps.array
    np.testing.assert_array_equal(records["sequence"], np.arange(20))
    np.testing.assert_array_equal(records["episode"], np.arange(20) >= 4)
    np.testing.assert_array_equal(records["step"], [*range(4), *range(16)])
    assert set(records["mode"]) == {Mode.ACTIVE}
    # Each transition leads to the next one within its episode, and nothing is known of the silence.
    np.testing.assert_array_equal(records["next_observation"][:3], records["observation"][1:4])
    assert not ((records["stamp_s"] > 0.09) & (records["stamp_s"] < 2.1)).any()


def test_a_robot_that_fails_in_every_episode_is_an_error_in_the_end():
    robot = Failing(*((0.03 + 10.0 * n, 0.06 + 10.0 * n) for n in range(20)))
    collector, _, steps = collecting(robot, 60.0)

    def collect_on() -> None:
        while True:
            if collector.collect(explore=True) is None:
                robot.time_s = 10.0 * np.ceil(robot.time_s / 10.0)

    with pytest.raises(StaleError):
        collect_on()
    assert collector.episode == 10
    assert set(steps.array["episode"]) == set(range(11))
