"""Frames of an emulated robot in real time: real processes, our driver on its bus, PyBullet's drawings; nobody waits for one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from fetlock.build import make_env
from fetlock.cameras import await_view, open_pictures
from fetlock.config import load_config
from fetlock.driving import served_env
from fetlock.motion_process import MotionProcess
from fetlock.run_processes import motion_target
from robot import CameraFrame, RobotError, StaleError
from robot.camera import NewestCamera
from robot.clock import TickStatistics, monotonic_s, sleep_s
from robot.errors import CameraError
from safety import Cause, Mode, MotionClient, MotionClock, RemoteMotion
from safety.faults import cause_of
from tests.fetlock.test_motion import PATIENT_S, eventually
from tests.fetlock.test_train import ROOT
from tests.fetlock.test_train_hardware import save_actor
from tests.safety.served import unique
from training.env import RobotEnv
from training.rollout_log import log_files, read_log

pytestmark = pytest.mark.realtime

SIDE = 32
FRAMES = ("--camera.width-px", str(SIDE), "--camera.height-px", str(SIDE))
# Without the routine, which turns the valve for seconds.
CLAW = ("--config", str(ROOT / "configs" / "claw_emulated.yaml"), "--reset", "teleport", *FRAMES)
KITTY = ("--config", str(ROOT / "configs" / "kitty_emulated.yaml"), "--robot.paced", "false", *FRAMES)
STILL = np.zeros(9, np.float32)


class Relay:
    """Stands between a control socket and one client; while `frozen`, it gives the newest answer again and again."""

    def __init__(self, path: Path, control: Path) -> None:
        self.path = path
        self.frozen = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._control = control
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        client, _ = self._listener.accept()
        # Either end may hang up.
        with contextlib.suppress(OSError), client, socket.socket(socket.AF_UNIX) as machine:
            machine.connect(str(self._control))
            requests, answers = client.makefile("rb"), machine.makefile("rb")
            answer = b""
            for request in requests:
                if not self.frozen:
                    machine.sendall(request)
                    answer = answers.readline()
                if not answer:
                    return
                client.sendall(answer)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10.0)


@dataclass
class Stage:
    """A claw behind its bus, served by a motion process, and who looks at it."""

    process: MotionProcess
    client: MotionClient
    relay: Relay
    eye: NewestCamera
    env: RobotEnv[object]

    def drive(self) -> None:
        """Step as a collector does, until something fails."""
        while True:
            self.env.advance(STILL)


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    config, control = load_config(list(CLAW)), folder / "control"
    with MotionProcess(unique(), [*CLAW, "--emulator-control", str(control)], folder / "motion.log") as process:
        client = MotionClient(process.name, monotonic_s, sleep_s, PATIENT_S)
        with closing(client), closing(Relay(folder / "relay", control)) as relay:
            eye = open_pictures(relay.path, SIDE, SIDE, config.control_hz)
            assert isinstance(eye, NewestCamera)
            with closing(eye):
                timing = TickStatistics()
                motion = RemoteMotion(client, MotionClock(client), 10, timing)
                yield Stage(process, client, relay, eye, served_env(config, motion, eye, timing))


def machine_of(pid: int) -> int:
    """Return the emulated machine of a motion process."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (machine,) = [int(child) for child in children if b"\0emulate\0" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return machine


def test_a_frozen_picture_holds_the_robot_until_it_moves_again(tmp_path: Path) -> None:
    with staged(tmp_path) as stage:
        env, client = stage.env, stage.client
        began_s = monotonic_s()
        env.begin(np.random.default_rng(0))
        first = env.frame
        assert first is not None
        # Nothing that was seen before the robot was put there.
        assert first.stamp_s >= began_s
        for _ in range(3):
            assert env.advance(STILL).mode is Mode.ACTIVE
        assert stage.eye.capture().stamp_s > first.stamp_s
        stage.relay.frozen = True
        with pytest.raises(CameraError, match="stood") as raised:
            stage.drive()
        env.hold(cause_of(raised.value))
        assert Cause.CAMERA in client.causes
        assert Mode(int(client.rows(client.head - 1, client.head)[0][0]["mode"])) is Mode.HOLD
        # A blind robot does not begin.
        with pytest.raises(StaleError, match="stood"):
            env.begin(np.random.default_rng(1))
        stage.relay.frozen = False
        assert eventually(lambda: sees(stage.eye))
        env.begin(np.random.default_rng(1))
        assert env.advance(STILL).mode is Mode.ACTIVE
        assert client.causes == Cause.NONE


def sees(eye: NewestCamera) -> bool:
    try:
        return bool(eye.capture().image.any())
    except RobotError:
        return False


def test_a_machine_that_is_killed_is_a_camera_that_is_gone_and_its_robot_is_held(tmp_path: Path) -> None:
    with staged(tmp_path) as stage:
        env, client = stage.env, stage.client
        env.begin(np.random.default_rng(0))
        assert stage.process.pid is not None
        os.kill(machine_of(stage.process.pid), signal.SIGKILL)
        with pytest.raises(RobotError) as raised:
            stage.drive()
        env.hold(cause_of(raised.value))
        assert eventually(lambda: not sees(stage.eye))
        with pytest.raises(RobotError, match=r"the emulator at .* (is gone|does not answer)"):
            stage.eye.capture()
        with pytest.raises(RobotError, match=r"release failed: .*port"):
            client.release()


def recorded(folder: Path) -> list[CameraFrame]:
    """Return the frames of a run's logs, each of whose steps has one."""
    frames: list[CameraFrame] = []
    for log in (read_log(path, frames=True) for path in log_files(folder / "rollouts")):
        assert log.frames is not None
        assert set(log.steps["sequence"]) <= set(log.frames.sequence)
        frames += map(CameraFrame, log.frames.stamp_s.tolist(), log.frames.images())
    return frames


@pytest.mark.parametrize(("config", "words"), [(CLAW, ("run",)), (KITTY, ("teleop", "--by", "words"))], ids=["run", "teleop"])
def test_each_step_of_a_run_in_real_time_has_a_frame(
    config: tuple[str, ...], words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = ("--policy", str(save_actor(tmp_path / "policy", config))) if words == ("run",) else ()
    assert main([*words, *policy, *config, "--realtime", "--duration", "1.5", "--runs-dir", str(tmp_path), "--name", "seen"]) == 0
    assert main(["log", "verify", str(tmp_path / "seen")]) == 0
    assert "as they were written" in capsys.readouterr().out
    frames = recorded(tmp_path / "seen")
    stamps = np.array([frame.stamp_s for frame in frames])
    assert (np.diff(stamps) >= 0.0).all()
    assert len(set(stamps)) > len(stamps) // 3
    assert all(frame.image.shape == (SIDE, SIDE, 3) and len(np.unique(frame.image)) > 10 for frame in frames)


def test_the_environment_of_a_training_in_real_time_waits_for_no_drawing() -> None:
    env = make_env(load_config(list(CLAW)), realtime=True)
    try:
        began_s = monotonic_s()
        env.begin(np.random.default_rng(0))
        stamps = []
        for _ in range(5):
            frame = env.frame
            assert frame is not None
            # The newest there is: asked again at once, it is the same or a later one.
            assert isinstance(env.eye, NewestCamera)
            assert env.eye.capture().stamp_s >= frame.stamp_s >= began_s
            stamps.append(frame.stamp_s)
            env.advance(STILL)
        assert stamps == sorted(set(stamps))
    finally:
        env.close()


class Told:
    """Implements Camera: gives or raises what it is told, the last of it for ever."""

    def __init__(self, *outcomes: float | RobotError) -> None:
        self._outcomes = list(outcomes)

    def capture(self) -> CameraFrame:
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, RobotError):
            raise outcome
        return CameraFrame(outcome, np.zeros((2, 2, 3), np.uint8))

    def close(self) -> None:
        """Nothing is held."""


def test_a_view_is_waited_for_over_a_pause_and_not_over_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    eye = Told(1.0, StaleError("it pauses"), 1.9, 2.0)
    await_view(eye, 2.0)
    assert eye.capture().stamp_s == 2.0
    with pytest.raises(RobotError, match="gone"):
        await_view(Told(1.0, RobotError("gone"), 3.0), 2.0)
    monkeypatch.setattr("fetlock.cameras._VIEW_S", 0.05)
    with pytest.raises(StaleError, match="has not seen the robot"):
        await_view(Told(1.0), 2.0)
    with pytest.raises(StaleError, match="it pauses"):
        await_view(Told(1.0, StaleError("it pauses")), 2.0)


def test_only_an_emulated_machine_has_a_control_socket(tmp_path: Path) -> None:
    words = ["--config", str(ROOT / "configs" / "minitaur_walk.yaml"), "--emulator-control", str(tmp_path / "control")]
    with pytest.raises(RobotError, match=r"robot\.kind is minitaur"), MotionProcess(unique(), words, tmp_path / "motion.log"):
        pass


def test_the_configuration_of_a_robot_that_is_looked_at_can_still_be_told(tmp_path: Path) -> None:
    with staged(tmp_path) as stage:
        target = motion_target(stage.process.name)
        assert (target.robot, target.metal) == ("an emulated or simulated emulated", False)
