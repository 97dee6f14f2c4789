"""Laws of `fetlock inject`: every fault by its name, off for metal, one line for every error."""

from __future__ import annotations

import fcntl
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.fault_matrix.matrix import FAULTS as MEASURED
from fetlock.__main__ import main
from fetlock.fault_list import FAULTS, OnBus
from fetlock.motion_process import MotionProcess
from robot.clock import monotonic_s, sleep_s
from robot.emulator import EmulatorClient, EmulatorProcess, Fault
from tests.robot.machines import emulator
from tests.safety.served import unique

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmulatorProcess, str]]:
    with emulator("--robot", "kitty") as process:
        yield process, str(process.client._path)


def test_the_list_has_all_faults_and_the_matrix_measures_all_but_the_networks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inject", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(FAULTS) == 25
    assert all(re.fullmatch(r"\w+ +\S.* \[.+\]", line) for line in lines)
    assert set(FAULTS) - set(MEASURED) == {"network"}
    assert set(MEASURED) <= set(FAULTS)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        ([], 2, "which fault?"),
        (["overlod"], 2, "the nearest is overload; valid are nan_action, "),
        (["overload"], 2, "give --control PATH"),
        (["mend"], 2, "give --control PATH"),
        (["overload", "--control", "/nowhere"], 1, "no emulator answers at /nowhere"),
        (["overload", "--control", "/dev/tty"], 2, "motors of metal cannot be told to fail"),
        (["nan_action"], 2, "cannot be injected by a command: it is the policy's"),
        (["network"], 2, "no part of ours uses a network yet"),
        (["loop_killed"], 2, "give --motion NAME"),
        (["loop_killed", "--motion", "nobody"], 1, "there is no motion process 'nobody'"),
        (["learner_killed"], 2, "give --run FOLDER"),
        (["disk_full", "--run", "/nowhere"], 2, "/nowhere holds no run"),
        (["overload", "--motor", "3"], 2, "nearest is --motors"),
    ],
)
def test_every_error_is_one_line(arguments: list[str], code: int, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inject", *arguments]) == code
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert part in error


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if isinstance(fault.way, OnBus)])
def test_faults_of_the_bus_are_valid_and_taken(name: str, machine: tuple[EmulatorProcess, str], capsys: pytest.CaptureFixture[str]) -> None:
    process, control = machine
    way = FAULTS[name].way
    assert isinstance(way, OnBus)
    Fault.model_validate({"kind": way.kind, **way.more})
    assert main(["inject", name, "--control", control, "--motors", "11"]) == 0
    assert f"expected: {FAULTS[name].outcome}" in capsys.readouterr().out
    process.client.ask("truth")
    assert main(["inject", "mend", "--control", control]) == 0


def test_a_magnitude_and_a_time_are_handed_on_and_wrong_ones_are_refused(
    machine: tuple[EmulatorProcess, str], capsys: pytest.CaptureFixture[str]
) -> None:
    process, control = machine
    before = np.array(process.client.ask("truth")["joints_rad"])
    assert main(["inject", "over_temperature", "--control", control, "--magnitude", "300"]) == 1
    assert "0 to 255 deg C" in capsys.readouterr().err
    assert main(["inject", "overload", "--control", control, "--seconds", "1"]) == 1
    assert "it takes no duration_s" in capsys.readouterr().err
    np.testing.assert_array_equal(process.client.ask("truth")["joints_rad"], before)


class FakeRun:
    """A run's folder, its lock and its children, without anything that runs."""

    def __init__(self, folder: Path, config: str, roles: tuple[str, ...]) -> None:
        self.folder = folder
        (folder / "logs").mkdir()
        (folder / "config.yaml").write_text(config)
        self._lock = (folder / ".lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        for role in roles:
            with (folder / "logs" / f"{role}.log").open("ab") as log:
                self.children[role] = subprocess.Popen(["sleep", "60"], stdout=log, stderr=log)

    def close(self) -> None:
        for child in self.children.values():
            child.kill()
            child.wait()
        self._lock.close()


def test_roles_of_a_run_are_found_and_hit_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun(tmp_path, Path("configs/minitaur_walk.yaml").read_text(), ("learner", "logger", "collector-0", "collector-1"))
    try:
        folder = ["--run", str(tmp_path)]
        assert main(["inject", "learner_killed", *folder]) == 0
        assert run.children["learner"].wait(5.0) == -signal.SIGKILL
        assert main(["inject", "collector_killed", "--collector", "1", *folder]) == 0
        assert run.children["collector-1"].wait(5.0) == -signal.SIGKILL
        assert main(["inject", "disk_full", "--seconds", "0", *folder]) == 0
        assert [run.children[role].poll() for role in ("logger", "collector-0")] == [None, None]
        capsys.readouterr()
        assert main(["inject", "collector_killed", "--collector", "5", *folder]) == 2
        assert "has no collector-5 now: its processes are supervisor, " in capsys.readouterr().err
    finally:
        run.close()
    assert main(["inject", "learner_killed", "--run", str(tmp_path)]) == 2
    assert "no run goes on in" in capsys.readouterr().err


def test_a_run_of_metal_is_left_alone_unless_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = yaml.safe_load(Path("configs/kitty_emulated.yaml").read_text())
    config["robot"] = {"kind": "dynamixel", "description": "kitty", "port": "/dev/ttyUSB0"}
    run = FakeRun(tmp_path, yaml.safe_dump(config), ("collector-0",))
    try:
        words = ["inject", "collector_killed", "--run", str(tmp_path)]
        assert main(words) == 2
        assert "drives a robot of metal on /dev/ttyUSB0" in capsys.readouterr().err
        assert run.children["collector-0"].poll() is None
        (tmp_path / "config.yaml").write_text("robot: {kind: unheard_of}")
        assert main(words) == 2
        assert "does not tell" in capsys.readouterr().err
        assert main([*words, "--on-hardware"]) == 0
        assert run.children["collector-0"].wait(5.0) == -signal.SIGKILL
    finally:
        run.close()


def test_a_motion_process_is_stopped_for_a_while_and_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = unique()
    with MotionProcess(name, ["--config", "configs/minitaur_walk.yaml"], tmp_path / "log") as process:
        assert main(["inject", "loop_stopped", "--motion", name, "--seconds", "0.1"]) == 0
        assert "SIGSTOP to motion process" in capsys.readouterr().out
        pid = process.pid
        assert pid is not None
        assert Path(f"/proc/{pid}/stat").read_text().split()[2] != "T"
        assert main(["inject", "loop_killed", "--motion", name]) == 0
        deadline_s = monotonic_s() + 5.0
        while process.pid is not None and monotonic_s() < deadline_s:
            sleep_s(0.01)
        assert process.pid is None


def test_clients_of_a_machine_hang_up(machine: tuple[EmulatorProcess, str]) -> None:
    _, control = machine
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        assert main(["inject", "mend", "--control", control]) == 0
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    EmulatorClient(Path(control)).close()
