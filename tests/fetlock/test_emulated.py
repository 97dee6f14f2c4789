"""The whole stack through driver, wire and emulated motors: the same as without them, bit for bit; and behind the motion process."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fetlock.build import make_env
from fetlock.config import RunConfig, load_config
from fetlock.motion_process import MotionProcess
from robot import Clock, Robot, command
from robot.clock import monotonic_s, sleep_s
from robot.emulator import EmulatorCamera
from robot.errors import RobotError, UsageError
from safety import GuardedRobot, MotionClient, MotionClock
from tests.robot.machines import emulator
from tests.robot_contract import RobotContract

pytestmark = pytest.mark.realtime

DIRECT, EMULATED = "configs/kitty_walk.yaml", "configs/kitty_emulated.yaml"


def transitions(config: RunConfig, episodes: int = 2, steps: int = 25) -> str:
    """A checksum of everything that a task hands to a learner, with stamps and registers."""
    env = make_env(config)
    digest = hashlib.sha256()
    stamp_s = 0.0
    try:
        for episode in range(episodes):
            digest.update(env.begin(np.random.default_rng([config.seed, 0, episode]), np.floor(stamp_s) + 1.0).tobytes())
            actions = np.random.default_rng(episode)
            for _ in range(steps):
                result = env.advance(actions.uniform(-1.0, 1.0, 12).astype(np.float32))
                joints = result.ticks[-1].state.joints
                stamp_s = joints.stamp_s
                assert joints.current_a is not None
                for part in (result.observation, result.applied_action, joints.position_rad, joints.velocity_rad_s, joints.current_a):
                    digest.update(part.tobytes())
                digest.update(np.array([result.reward, stamp_s, float(result.terminated), float(int(result.reasons))]).tobytes())
                if result.terminated:
                    break
    finally:
        env.close()
    return digest.hexdigest()


@pytest.mark.parametrize("imu", ["exact", "witmotion", "vectornav"])
def test_the_wire_changes_no_transition(imu: str) -> None:
    direct = load_config(["--config", DIRECT, "--robot.imu", imu])
    emulated = load_config(["--config", EMULATED, "--robot.machine.imu", imu])
    assert transitions(direct) == transitions(emulated)


def test_the_emulated_machine_is_filmed_as_the_simulation_is_and_moves_no_differently() -> None:
    films: list[str] = []
    for path, imu in ((DIRECT, "--robot.imu"), (EMULATED, "--robot.machine.imu")):
        frames = ("--camera.width-px", "48", "--camera.height-px", "32")
        env = make_env(load_config(["--config", path, imu, "exact", *frames]), render_mode="rgb_array")
        film = hashlib.sha256()
        try:
            film.update(env.begin(np.random.default_rng(3), 0.0).tobytes())
            for _ in range(10):
                result = env.advance(np.full(12, 0.3, np.float32))
                film.update(result.observation.tobytes())
                film.update(env.picture().tobytes())
                frame = result.frame
                assert frame.image.shape == (32, 48, 3)
                assert frame.stamp_s == pytest.approx(result.ticks[-1].state.joints.stamp_s + 0.01, abs=1e-9)
                film.update(frame.image.tobytes())
        finally:
            env.close()
        films.append(film.hexdigest())
    assert films[0] == films[1]


def test_a_machine_without_a_body_has_no_camera() -> None:
    process = emulator("--robot", "kitty")
    try:
        with pytest.raises(RobotError, match="no camera"):
            EmulatorCamera(process.client, monotonic_s).capture()
    finally:
        process.close()


def test_a_picture_has_a_size() -> None:
    process = emulator("--robot", "kitty", "--physics", "pybullet")
    try:
        assert EmulatorCamera(process.client, monotonic_s, 64, 32).capture().image.shape == (32, 64, 3)
        with pytest.raises(RobotError, match="8 x 32 px: both sides must be within 16 to 2048"):
            EmulatorCamera(process.client, monotonic_s, 8, 32).capture()
    finally:
        process.close()


def test_noise_randomisation_and_latency_go_through_the_wire_unchanged() -> None:
    machine = {
        "noise.orientation_rad": "0.02",
        "noise.gyro_rad_s": "0.1",
        "noise.tracked_position_m": "0.01",
        "randomise.enabled": "true",
        "randomise.sensing_latency_s": "[0.0, 0.0]",
    }
    direct = load_config(["--config", DIRECT, *(word for key in machine for word in (f"--robot.{key}", machine[key]))])
    behind = [word for key in machine for word in (f"--robot.machine.{key}", machine[key])]
    emulated = load_config(["--config", EMULATED, "--robot.machine.imu", "exact", *behind])
    assert transitions(direct) == transitions(emulated)


def test_the_vendors_library_drives_the_same_episode() -> None:
    native = load_config(["--config", EMULATED])
    vendor = load_config(["--config", EMULATED, "--robot.bus.backend", "sdk"])
    assert transitions(native, episodes=1, steps=5) == transitions(vendor, episodes=1, steps=5)


class TestGuarded(RobotContract):
    """The guard around a robot on a bus is a Robot too."""

    def make(self) -> tuple[Robot, Clock]:
        config = load_config(["--config", EMULATED])
        env = make_env(config)
        env.begin(np.random.default_rng(0))
        assert isinstance(env.motion.robot, GuardedRobot)
        return env.motion.robot, env.motion.clock


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotionProcess]:
    """The emulated kitty behind the motion process, in real time."""
    folder = tmp_path_factory.mktemp("motion")
    name = f"fetlock-test-bus-{os.getpid()}"
    with MotionProcess(name, ["--config", EMULATED], folder / "motion.log") as process:
        yield process


class TestServed(RobotContract):
    """The client of a motion process that drives a bus is a Robot too."""

    @pytest.fixture(autouse=True)
    def _process(self, served: MotionProcess) -> None:
        self._name = served.name

    def make(self) -> tuple[Robot, Clock]:
        client = MotionClient(self._name, monotonic_s, sleep_s)
        client.release()
        return client, MotionClock(client)


def test_a_killed_motion_process_leaves_its_motors_to_their_watchdog(tmp_path: Path) -> None:
    """The process that owns the bus dies by SIGKILL while its robot moves: the motors stop by themselves."""
    with emulator("--robot", "kitty") as machine:
        machine.client.reset(np.random.default_rng(0))
        config = tmp_path / "hardware.yaml"
        text = Path(EMULATED).read_text()
        head, tail = text[: text.index("robot:")], text[text.index("guard:") :]
        config.write_text(f"{head}robot:\n  kind: dynamixel\n  description: kitty\n  port: {machine.port}\n\n{tail}")
        with MotionProcess(f"fetlock-test-kill-{os.getpid()}", ["--config", str(config)], tmp_path / "motion.log") as process:
            client = MotionClient(process.name, monotonic_s, sleep_s)
            client.release()
            clock = MotionClock(client)
            start = client.read().joints.position_rad
            for tick in range(20):
                client.send(command(start + 0.01 * tick, 12))
                clock.wait()
            pid = process.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            killed_s = machine.client.ask("status")["time_s"]
            while min(machine.client.ask("truth")["watchdog"]) >= 0:
                assert machine.client.ask("status")["time_s"] < killed_s + 1.0
            stopped = machine.client.ask("truth")
            # 100 ms of silence, and what it takes to ask on a busy machine.
            assert stopped["time_s"] - killed_s < 0.1 + 0.02 + 0.05
            assert stopped["torque"] == [1] * 12
            client.close()


def test_an_emulated_bus_needs_an_emulated_robot() -> None:
    from fetlock.emulate import emulated_bus

    with pytest.raises(UsageError, match=r"robot\.kind is kitty"):
        emulated_bus(load_config(["--config", DIRECT]))
