"""Laws of episodes that begin by routines, on simulated robots, on emulated motors and by the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from fetlock.__main__ import main
from fetlock.beginning import EpisodeReset, Patience
from fetlock.build import make_env
from fetlock.config import DEFAULT_CONFIG, RunConfig, load_config
from fetlock.emulated import connect_emulated
from fetlock.guarding import fingers_of, guard_of
from fetlock.machines import HardwareConfig
from fetlock.resets import routine, routine_of
from robot import Command, RobotError
from robot.calibration import nominal
from robot.clock import LockstepClock, TickClock
from robot.description import load_description
from robot.dynamixel.backends import BusConfig, open_bus
from robot.emulator import EmulatorProcess
from robot.hardware import HardwareRobot
from safety import Cause, GuardConfig, GuardedRobot, Mode, Reason
from safety.resets import run_routine
from tests.fakes import InstantClock, InstantRobot
from tests.training.records import Stream
from training.collector import Collector
from training.env import RobotEnv
from training.records import bus_dtype, step_dtype

pytestmark = pytest.mark.realtime

CLAW = ["--config", str(DEFAULT_CONFIG.with_name("claw_emulated.yaml"))]
# Of a machine in lockstep, which answers when its physics are done, s.
PATIENT_S = 10.0
KITTY = ["--config", str(DEFAULT_CONFIG.with_name("kitty_walk.yaml")), "--reset", "routine"]


@pytest.fixture
def env() -> Iterator[RobotEnv]:
    made = make_env(load_config(KITTY))
    yield made
    made.close()


def test_an_episode_after_a_fall_begins_where_the_robot_got_up(env: RobotEnv) -> None:
    env.begin(np.random.default_rng(0))
    assert list(env.reset_ticks) == []
    robot = env.motion.robot._robot
    robot.drop(np.random.default_rng(2))
    fallen = robot.read()
    assert fallen.imu.rotation_base_to_world[2, 2] < 0.9
    env.begin(np.random.default_rng(1))
    assert len(env.reset_ticks) > 100
    assert {tick.mode for tick in env.reset_ticks} == {Mode.RESETTING}
    state = env.motion.robot.read()
    assert state.imu.rotation_base_to_world[2, 2] > 0.95
    # No teleport: the robot is where it rolled to.
    moved = np.linalg.norm(state.tracked_base.position_world_m[:2] - fallen.tracked_base.position_world_m[:2])
    assert moved < 1.0
    assert env.motion.robot.mode is Mode.ACTIVE
    assert env.advance(np.zeros(12, np.float32)).mode is Mode.ACTIVE


class Still:
    """A policy that does nothing."""

    def load(self, vector: object) -> None:
        raise NotImplementedError

    def act(self, observation: np.ndarray, noise: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
        raise NotImplementedError


def test_what_a_routine_does_is_logged_before_its_episode_and_belongs_to_no_step(env: RobotEnv) -> None:
    motors, numbers = len(env.task.action_names), len(env.task.observation_names)
    steps, bus = Stream(step_dtype(numbers, motors)), Stream(bus_dtype(12))
    collector = Collector(env, Still(), steps, bus, seed=0, index=0, episode=0)
    collector.collect(explore=True)
    env.motion.robot._robot.drop(np.random.default_rng(3))
    collector._observation, collector.episode = None, 1
    collector.collect(explore=True)
    ticks, (earlier, later) = bus.array, steps.array
    modes, first = ticks["mode"].tolist(), int(later["bus_first"])
    assert set(modes[int(earlier["bus_last"]) + 1 : first]) == {Mode.RESETTING}
    assert set(modes[first:]) == {Mode.ACTIVE}
    assert ticks["sequence"].tolist() == list(range(len(bus)))
    assert set(ticks["episode"][first - 5 :].tolist()) == {1}


def test_what_only_an_operator_ends_is_waited_for_where_one_may_come() -> None:
    config = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=10.0, acceleration_max_rad_s2=500.0)
    robot = InstantRobot(3)
    clock = InstantClock(robot, 0.01)
    guard = GuardedRobot(robot, config, 0.01, now_s=clock.now_s)
    guard.arm()
    guard.trip(Cause.STOP_HOLD)
    with pytest.raises(RobotError, match="emergency stop"):
        EpisodeReset(guard, clock, lambda _: None)(np.random.default_rng(0))
    waited = []

    class Cleared(InstantClock):
        def wait(self) -> float:
            waited.append(guard.mode)
            if len(waited) == 20:
                guard.clear()
            return super().wait()

    assert EpisodeReset(guard, Cleared(robot, 0.01), lambda _: None, patience=Patience(operator_s=1.0))(np.random.default_rng(0)) == []
    assert (len(waited), guard.mode) == (20, Mode.ACTIVE)


def test_an_episode_on_emulated_motors_begins_facing_the_centre_of_its_arena() -> None:
    # In front of it are 0.3 m; place and yaw are those of tracker and serial IMU.
    arena = ["--arena.radius-m", "1.5", "--arena.center-m", "-1.2", "0.1"]
    config = load_config(["--config", str(DEFAULT_CONFIG.with_name("kitty_emulated.yaml")), "--reset", "routine", *arena])
    env = make_env(config)
    try:
        env.begin(np.random.default_rng(0))
        assert {tick.mode for tick in env.reset_ticks} == {Mode.RESETTING}
        state = env.motion.robot.read()
        assert config.arena is not None
        assert abs(config.arena.bearing_rad(state)) < 0.4
        assert config.arena.way_ahead_m(state) > 2.0
        result = env.advance(np.zeros(12, np.float32))
        assert (result.mode, result.terminated, result.truncated) == (Mode.ACTIVE, False, False)
    finally:
        env.close()


@contextmanager
def claw(pose_rad: Sequence[float]) -> Iterator[tuple[EmulatorProcess, GuardedRobot, TickClock, RunConfig]]:
    """Yield the claw, put into a pose by hand, on emulated motors that wait for it, behind its guard, with the configuration of a run."""
    with EmulatorProcess([sys.executable, "-m", "fetlock", "emulate", "--robot", "claw", "--lockstep"]) as machine:
        description, time = load_description("claw"), LockstepClock(0.001, 10)
        config = load_config(CLAW).model_copy(update={"robot": HardwareConfig(description="claw", port=machine.port)})
        bus = partial(open_bus, machine.port, description.bus.baud, BusConfig(), PATIENT_S)
        robot = HardwareRobot(description, bus, nominal(description), time.period_s, now_s=time.now_s, lockstep=True)
        clock = TickClock(robot, time)
        guard = guard_of(config, robot, clock, robot)
        try:
            for joint, angle in enumerate(pose_rad):
                machine.client.ask("turn", joint=joint, angle_rad=angle)
            # What arming asks moves the machine: it comes before the first tick.
            robot.arm()
            robot.resync()
            guard.arm()
            yield machine, guard, clock, config
        finally:
            robot.cut()
            guard.close()


def test_the_claw_frees_fingers_that_are_in_each_others_way_and_goes_home() -> None:
    # Nearer to each other than the margin, all three on the way into the middle.
    tangled = [0.0, 0.25, 0.05] * 3
    with claw(tangled) as (_, guard, clock, config):
        fingers = fingers_of(load_description("claw"))
        assert fingers is not None
        assert config.guard.collision_margin_m is not None
        assert fingers.distances(np.array([tangled])).min() < config.guard.collision_margin_m
        # A policy cannot bring them nearer.
        guard.engage()
        for _ in range(20):
            applied = guard.write(Command(np.array([0.0, 0.5, 0.0] * 3)))
            clock.wait()
            guard.read()
        assert Reason.APART in applied.reasons
        assert np.abs(applied.position_rad - tangled).max() < 0.01
        report = run_routine(routine(config)(np.random.default_rng(0)), guard, clock)
        assert report.attempts[-1].success
        assert {tick.applied.mode for tick in report.ticks} <= {Mode.RESETTING, Mode.HOLD}
        home = [joint.home_rad for joint in load_description("claw").joints]
        np.testing.assert_allclose(guard.read().joints.position_rad, home, atol=np.radians(5.0))


def test_the_verb_brings_an_emulated_claw_home(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reset", *CLAW[:2], "--seed", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["operator_calls"] == 0
    assert list(dict.fromkeys(attempt["step"] for attempt in report["attempts"])) == ["gather the fingers", "turn the valve"]
    assert report["attempts"][-1]["success"] is True


def valve(guard: GuardedRobot) -> float:
    """Return the angle of the valve, rad."""
    seen = guard.read().tracked_object
    assert seen is not None
    return seen.angle_rad


def test_a_claw_begins_its_episodes_by_its_routine() -> None:
    config = load_config([*CLAW, "--robot.lockstep", "true"])
    machine = connect_emulated(config, realtime=False)
    try:
        guard = guard_of(config, machine.robot, machine.clock, machine.robot)
        begin = EpisodeReset(guard, machine.clock, machine.reset, routine_of(config, machine.robot))
        ticks = begin(np.random.default_rng(3))
        assert len(ticks) > 30
        assert {tick.mode for tick in ticks} == {Mode.RESETTING}
        assert guard.mode is Mode.ACTIVE
        first = valve(guard)
        # The fingers are where an episode begins, and stay; the valve is turned to where this one does.
        targets = np.array([tick.target.position_rad for tick in begin(np.random.default_rng(4))])
        assert np.abs(targets - np.tile([0.0, -np.pi / 3, np.pi / 3], 3)).max() < np.radians(5.0)
        assert (targets == targets[0]).all()
        assert abs(valve(guard) - first) > np.radians(10.0)
        again = valve(guard)
        assert list(begin(np.random.default_rng(4))) == []
        assert valve(guard) == again
    finally:
        machine.close()


def test_the_verb_rights_a_fallen_robot_and_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reset", "--fallen", "--seed", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["operator_calls"] == 0
    assert report["attempts"][-1]["success"] is True
    assert main(["reset", *KITTY[:2]]) == 0
    assert "nothing was needed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["--fallen", "--config", str(DEFAULT_CONFIG.with_name("kitty_emulated.yaml"))], "--fallen lets a simulated robot fall"),
        (["--seed", "-1"], "at least 0"),
        (["--reset", "magic"], "must be 'teleport' or 'routine'"),
        (["--video", "x.gif"], ".mp4"),
    ],
)
def test_wrong_words_are_one_line(argv: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reset", *argv]) == 2
    message = capsys.readouterr().err
    assert named in message
    assert message.count("\n") == 1
