"""Laws of episodes that begin by routines, on simulated robots, on emulated motors and by the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from fetlock.__main__ import main
from fetlock.build import make_env
from fetlock.config import DEFAULT_CONFIG, load_config
from fetlock.guarding import guarded, read_limits
from fetlock.machines import HardwareConfig
from fetlock.resets import EpisodeReset
from robot import RobotError
from robot.calibration import nominal
from robot.clock import RealTimeClock, TickClock
from robot.description import load_description
from robot.dynamixel.backends import open_bus
from robot.emulator import EmulatorProcess
from robot.hardware import HardwareRobot
from safety import Cause, GuardConfig, Mode
from safety.resets import gathering, run_routine
from tests.fakes import InstantClock, InstantRobot
from training.collector import Collector
from training.env import RobotEnv

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


class Rows(list):
    """A stream that keeps copies."""

    head = property(len)

    def append(self, record: np.ndarray) -> bool:
        super().append(record.copy())
        return True


class Still:
    """A policy that does nothing."""

    def load(self, vector: object) -> None:
        raise NotImplementedError

    def act(self, observation: np.ndarray, noise: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def test_what_a_routine_does_is_logged_before_its_episode_and_belongs_to_no_step(env: RobotEnv) -> None:
    steps, bus = Rows(), Rows()
    collector = Collector(env, Still(), steps, bus, seed=0, index=0, episode=0)
    collector.collect(explore=True)
    env.motion.robot._robot.drop(np.random.default_rng(3))
    collector._observation, collector.episode = None, 1
    collector.collect(explore=True)
    modes = [int(row["mode"][0]) for row in bus]
    first = int(steps[1]["bus_first"][0])
    assert set(modes[int(steps[0]["bus_last"][0]) + 1 : first]) == {Mode.RESETTING}
    assert set(modes[first:]) == {Mode.ACTIVE}
    assert [int(row["sequence"][0]) for row in bus] == list(range(len(bus)))
    assert {int(row["episode"][0]) for row in bus[first - 5 :]} == {1}


def test_what_only_an_operator_ends_is_waited_for_where_one_may_come() -> None:
    config = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=10.0, acceleration_max_rad_s2=500.0)
    robot = InstantRobot(3)
    clock = InstantClock(robot, 0.01)
    from safety import GuardedRobot

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

    assert EpisodeReset(guard, Cleared(robot, 0.01), lambda _: None, attended=True)(np.random.default_rng(0)) == []
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


def test_the_claw_gathers_its_fingers_on_emulated_motors() -> None:
    description = load_description("claw")
    config = GuardConfig.model_validate(read_limits("claw"))
    with EmulatorProcess([sys.executable, "-m", "fetlock", "emulate", "--robot", "claw"]) as machine:
        for joint in range(9):
            machine.client.ask("turn", joint=joint, angle_rad=0.3 if joint % 3 == 0 else 1.2)
        robot = HardwareRobot(description, lambda: open_bus(machine.port, description.bus.baud), nominal(description), 0.01)
        clock = TickClock(robot, RealTimeClock(0.01))
        hardware = HardwareConfig(description="claw", port=machine.port)
        guard = guarded(robot, hardware, config, bus_hz=100.0, control_hz=10.0, now_s=clock.now_s, drive=robot)
        try:
            guard.arm()
            home = np.array([joint.home_rad for joint in description.joints])
            report = run_routine([gathering(home, 0.01)], guard, clock)
            assert report.attempts[-1].success
            np.testing.assert_allclose(guard.read().joints.position_rad, home, atol=np.radians(5.0))
        finally:
            robot.cut()
            guard.close()


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
