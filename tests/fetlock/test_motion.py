"""The motion process: a real one on the paced simulation, its clients, and every end of either."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fetlock.motion import main
from fetlock.motion_process import MotionProcess
from robot import Clock, Robot, RobotError, StaleError, command
from robot.clock import TickStatistics, monotonic_s, sleep_s
from safety import Mode, MotionClient, MotionClock, MotionLink, RemoteMotion
from safety.tick_records import state_of
from tests import waiting
from tests.robot_contract import RobotContract
from tests.safety.served import CountingRobot, spin, unique

eventually = partial(waiting.eventually, limit_s=20.0)
pytestmark = pytest.mark.realtime

ROOT = Path(__file__).resolve().parents[2]
# The pose in which the robot stands by itself: elsewhere it sags more than the contract's step.
CONFIG = ["--config", str(ROOT / "configs" / "minitaur_walk.yaml"), "--scheduler", "default", "--robot.start-pose-rad", "1.5708"]
# Tests share the machine: a state counts as old when a loaded core may have caused it no more.
PATIENT_S = 2.0
STAND_RAD = 1.5708
_SPAWN = multiprocessing.get_context("spawn")


def attach(name: str, stale_after_s: float = PATIENT_S) -> MotionClient:
    return MotionClient(name, monotonic_s, sleep_s, stale_after_s)


def blocks(name: str) -> list[str]:
    return [path.name for path in Path("/dev/shm").glob(f"fetlock-motion-{name}-*")]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MotionProcess]:
    with MotionProcess(unique(), CONFIG, tmp_path_factory.mktemp("motion") / "motion.log") as process:
        yield process


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[MotionProcess]:
    with MotionProcess(unique(), CONFIG, tmp_path / "motion.log") as process:
        yield process


class TestContract(RobotContract):
    pose_rad = np.pi / 2

    @pytest.fixture(autouse=True)
    def _served(self, served: MotionProcess) -> Iterator[None]:
        self.name = served.name
        self.client: MotionClient | None = None
        yield
        if self.client is not None:
            self.client.close()

    def make(self) -> tuple[Robot, Clock]:
        self.client = attach(self.name)
        self.client.release(seed=1)
        return self.client, MotionClock(self.client)


def test_the_process_has_no_torch(served: MotionProcess) -> None:
    assert "torch" not in Path(f"/proc/{served.pid}/maps").read_text()
    code = "import sys, fetlock.motion; print(sorted(m for m in sys.modules if m.split('.')[0] in ('torch', 'tensorboard')))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_policy_over_the_process_gets_gapless_ticks_in_real_time(served: MotionProcess) -> None:
    client = attach(served.name)
    timing = TickStatistics()
    motion = RemoteMotion(client, MotionClock(client), 2, timing)
    client.release(seed=2)
    state, began_s = client.read(), monotonic_s()
    stamps_s: list[float] = []
    for _ in range(50):
        state, ticks = motion.advance(command(np.full(8, STAND_RAD), 8), state)
        stamps_s += [tick.state.joints.stamp_s for tick in ticks]
    took_s = monotonic_s() - began_s
    client.close()
    np.testing.assert_allclose(np.diff(stamps_s), 0.01, atol=1e-9)
    assert motion.lost == 0
    assert timing.ticks == len(stamps_s) == 2 * (50 + motion.missed)
    # Simulated time is real time: as many ticks cannot take less, and the machine may make them late.
    assert took_s > 0.01 * (len(stamps_s) - 3)


def test_no_read_is_torn_while_a_server_writes_as_fast_as_it_can() -> None:
    name = unique()
    server = _SPAWN.Process(target=spin, args=(name, CountingRobot))
    server.start()
    try:
        assert eventually(lambda: MotionLink.attach(name).ticks.head > 0 if blocks(name) and _ready(name) else False)
        ring = MotionLink.attach(name).ticks
        stamps = np.zeros(100_000)
        for i in range(stamps.size):
            row = ring.read(ring.head - 1, 1)[0]
            stamps[i] = number = row["stamp_s"]
            assert (row["position_rad"] == number).all()
            assert (row["torque_nm"] == number).all()
            if i % 100 == 0:
                joints = state_of(row).joints
                assert (joints.velocity_rad_s == joints.stamp_s).all()
        assert (np.diff(stamps) >= 0).all()
        # A server that shares its core with the reader makes some thousand ticks meanwhile.
        assert np.unique(stamps).size > 200
    finally:
        server.kill()
        server.join()


def _ready(name: str) -> bool:
    try:
        MotionLink.attach(name).close()
    except StaleError:
        return False
    return True


def drive(name: str, ready: object) -> None:
    client = attach(name)
    client.release(seed=3)
    while True:
        client.write(command(np.full(8, STAND_RAD), 8))
        ready.set()  # type: ignore[attr-defined]


def test_a_killed_client_leaves_a_held_robot_and_a_free_place(served: MotionProcess) -> None:
    ready = _SPAWN.Event()
    owner = _SPAWN.Process(target=drive, args=(served.name, ready))
    owner.start()
    assert ready.wait(60.0)
    with pytest.raises(RobotError, match=f"driven by process {owner.pid}"):
        attach(served.name)
    owner.kill()
    ring = MotionLink.attach(served.name).ticks
    assert eventually(lambda: int(ring.read(ring.head - 1, 1)[0]["mode"]) == Mode.HOLD)
    owner.join()
    client = attach(served.name)
    client.release(seed=4)
    assert client.write(command(np.full(8, STAND_RAD), 8)).position_rad.shape == (8,)
    client.close()


def test_a_killed_server_is_stale_in_bounded_time_and_its_memory_is_swept(doomed: MotionProcess) -> None:
    client = attach(doomed.name, stale_after_s=0.3)
    client.read()
    pid = doomed.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    sleep_s(0.5)
    began_s = monotonic_s()
    with pytest.raises(StaleError, match=rf"process {pid}\)"):
        client.read()
    assert monotonic_s() - began_s < 5.0
    client.close()
    doomed.terminate()
    assert blocks(doomed.name) == []
    doomed.start()
    about = doomed.wait_until_ready()
    assert about.pid != pid
    attach(doomed.name).close()


def test_a_stopped_server_is_stale_and_works_again_when_it_goes_on(doomed: MotionProcess) -> None:
    client = attach(doomed.name, stale_after_s=0.3)
    client.release(seed=1)
    pid = doomed.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    sleep_s(0.5)
    with pytest.raises(StaleError, match="has published nothing"):
        client.read()
    os.kill(pid, signal.SIGCONT)
    sleep_s(0.5)
    client.stale_after_s = PATIENT_S
    client.read()
    client.close()


def test_sigterm_ends_it_in_good_order(doomed: MotionProcess) -> None:
    assert doomed.terminate() == 0
    assert blocks(doomed.name) == []
    with pytest.raises(StaleError, match="there is no motion process"):
        attach(doomed.name)


def test_a_client_can_end_it(doomed: MotionProcess) -> None:
    client = attach(doomed.name)
    client.shut_down()
    assert eventually(lambda: doomed.pid is None)
    assert doomed.terminate() == 0


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    name = unique()
    code = (
        "from pathlib import Path; from fetlock.motion_process import MotionProcess; from robot.clock import sleep_s\n"
        f"with MotionProcess({name!r}, {CONFIG!r}, Path({str(tmp_path / 'log')!r})) as process:\n"
        "    print(process.pid, flush=True)\n    sleep_s(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert eventually(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())
    assert blocks(name) == []


def test_two_cannot_have_one_name_and_wrong_usage_is_one_line(
    served: MotionProcess, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*CONFIG]) == 2
    assert main([*CONFIG, "--name", served.name, "--bus-hz", "75"]) == 2
    assert main([*CONFIG, "--name", "Über"]) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "needs a --name" in lines[0]
    assert "bus_hz 75" in lines[1]
    assert "cannot be called" in lines[2]
    with (
        pytest.raises(RobotError, match=rf"did not start: .*runs already \(process {served.pid}\)"),
        MotionProcess(served.name, CONFIG, tmp_path / "second.log"),
    ):
        pass
