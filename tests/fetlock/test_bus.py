"""The commands that work on a motor bus, on emulated motors; and what each says to wrong input."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from robot.calibrate import calibrate
from robot.calibration import load_calibration, nominal
from robot.description import load_description
from robot.dynamixel.backends import open_bus
from robot.emulator import EmulatorProcess
from robot.errors import CalibrationError, RobotError
from robot.operator import ConsoleOperator
from tests.robot.machines import PATIENT_S, describe, emulator

pytestmark = pytest.mark.realtime

Output = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def machine() -> Iterator[EmulatorProcess]:
    with emulator("--robot", "kitty") as process:
        yield process


@pytest.fixture(autouse=True)
def _in_its_pose(machine: EmulatorProcess) -> None:
    machine.client.reset(np.random.default_rng(0))


def test_scan_finds_every_motor_with_model_and_rate(machine: EmulatorProcess, capsys: Output) -> None:
    assert main(["bus", "scan", "--port", machine.port, "--baud", "1000000", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [motor["id"] for motor in found] == sorted(load_description("kitty").ids)
    assert {(motor["model"], motor["baud"]) for motor in found} == {("XM430-W210", 1_000_000)}
    assert main(["bus", "scan", "--port", machine.port, "--baud", "57600"]) == 1
    assert "no motor answers" in capsys.readouterr().err


def test_setup_gives_a_motor_another_id_and_rate(tmp_path: Path, capsys: Output) -> None:
    with emulator("--robot", str(describe(tmp_path, ["XM430-W210"], baud=57_600))) as fresh:
        assert main(["bus", "setup", "--port", fresh.port, "--new-id", "12", "--new-baud", "1000000"]) == 0
        assert capsys.readouterr().out == "the motor answers as 12 at 1000000 baud\n"
        assert main(["bus", "setup", "--port", fresh.port, "--new-id", "13"]) == 1
        assert "motor 1 does not answer" in capsys.readouterr().err
        assert main(["bus", "setup", "--port", fresh.port, "--baud", "1000000", "--id", "12", "--new-id", "300"]) == 2
        assert "an id is 0 to 252: got 300" in capsys.readouterr().err


def test_monitor_shows_every_joint_and_leaves_torque_off(machine: EmulatorProcess, capsys: Output) -> None:
    assert main(["bus", "monitor", "--port", machine.port, "--seconds", "0.5", "--json"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[0])
    assert record["joints"] == list(load_description("kitty").joint_names)
    np.testing.assert_allclose(record["position_rad"], [joint.home_rad for joint in load_description("kitty").joints], atol=0.002)
    assert machine.client.ask("truth")["torque"] == [0] * 12


def test_benchmark_release_and_reboot(machine: EmulatorProcess, capsys: Output) -> None:
    assert main(["bus", "benchmark", "--port", machine.port, "--seconds", "0.3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cycles"] > 10
    assert main(["bus", "release", "--port", machine.port]) == 0
    assert "12 motors of the kitty have no torque" in capsys.readouterr().out
    machine.client.ask("fault", fault={"kind": "overload", "motors": [20]})
    assert main(["bus", "monitor", "--port", machine.port, "--seconds", "0.2"]) == 1
    assert "motor 20 (front_left_abduction) reports overload" in capsys.readouterr().err
    assert main(["bus", "reboot", "--port", machine.port, "--id", "20"]) == 0
    assert main(["bus", "reboot", "--port", machine.port, "--id", "99"]) == 1


def test_check_passes_on_a_good_robot_and_asks_first(machine: EmulatorProcess, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def readline(self) -> str:
            return "q\n"

    monkeypatch.setattr("sys.stdin", Refusing())
    assert main(["check", "--port", machine.port]) == 1
    assert "given up by the operator" in capsys.readouterr().err
    for _ in range(3):  # a busy machine may keep the emulated motors from answering
        code, said = main(["check", "--port", machine.port, "--yes", "--json"]), capsys.readouterr()
        if code == 0:
            break
        assert "has been silent" in said.err, said.err
    assert code == 0
    result = json.loads(said.out)
    assert result["passed"]
    assert len(result["joints"]) == 12


class Hands:
    """An operator who does what is asked, on an emulated robot."""

    def __init__(self, machine: EmulatorProcess, shift_rad: float = 0.0) -> None:
        self._machine = machine
        self._shift_rad = shift_rad

    def confirm(self, request: str) -> None:
        joints = load_description("kitty").joints
        if "home pose" in request:
            for index, joint in enumerate(joints):
                self._machine.client.ask("turn", joint=index, angle_rad=joint.home_rad + self._shift_rad)
            return
        index = next(i for i, joint in enumerate(joints) if f"Move {joint.name} " in request)
        angle = joints[index].lower_rad if "lower" in request else joints[index].upper_rad
        self._machine.client.ask("turn", joint=index, angle_rad=angle + self._shift_rad)


def test_calibration_finds_zeros_directions_and_ranges_by_hand(machine: EmulatorProcess) -> None:
    description = load_description("kitty")
    bus = open_bus(machine.port, 1_000_000, silence_s=PATIENT_S)
    try:
        found = calibrate(bus, description, Hands(machine), lambda _: None)
        for measured, built in zip(found.joints, nominal(description).joints, strict=True):
            assert measured.sign == built.sign
            assert abs(measured.zero_raw - built.zero_raw) <= 1
            assert abs(measured.low_raw - built.low_raw) <= 2
        # Horns that sit 0.1 rad off are found as such.
        shifted = calibrate(bus, description, Hands(machine, 0.1), lambda _: None, ranges=False)
        assert all(abs(abs(a.zero_raw - b.zero_raw) - 65) <= 2 for a, b in zip(shifted.joints, found.joints, strict=True))

        class Lazy(Hands):
            def confirm(self, request: str) -> None:
                if "home pose" in request:
                    super().confirm(request)

        with pytest.raises(CalibrationError, match="pulses apart"):
            calibrate(bus, description, Lazy(machine), lambda _: None)
    finally:
        bus.close()


def test_calibrate_writes_a_file_once(machine: EmulatorProcess, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nodding:
        def readline(self) -> str:
            return "\n"

    monkeypatch.setattr("sys.stdin", Nodding())
    path = tmp_path / "kitty.yaml"
    words = ["calibrate", "--port", machine.port, "--zero-only", "--out", str(path)]
    assert main(words) == 0
    assert len(load_calibration(path).joints) == 12
    assert main(words) == 2
    assert "give --force" in capsys.readouterr().err


def test_nobody_at_the_terminal_is_a_refusal() -> None:
    import io

    with pytest.raises(RobotError, match="nobody answers"):
        ConsoleOperator(io.StringIO(""), io.StringIO()).confirm("Ready?")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["bus", "scan", "--port", "/dev/ttyNONE"], 1, "there is no port /dev/ttyNONE"),
        (["bus", "scan", "--port", "/dev/null"], 1, "is no serial port"),
        (["bus", "scna"], 2, "the nearest is scan"),
        (["bus", "scan", "--baud", "9601", "--port", "x"], 2, "choose 9600, 57600"),
        (["bus", "monitor", "--robot", "dog", "--port", "x"], 2, "choose claw, kitty, minitaur"),
        (["check", "--port", "/dev/ttyNONE", "--bus-hz", "0"], 2, "give 1 to 1000"),
        (["emulate", "--robot", "dog", "--physics", "pybullet"], 2, "choose kitty, minitaur, claw"),
        (["emulate", "--config", "configs/kitty_walk.yaml"], 2, "robot.kind is kitty"),
        (["emulate", "--bus-hz", "5000"], 2, "give 1 to 1000"),
        (["run"], 2, "--policy"),
        (["run", "--policy", "/nope"], 1, "holds no policy"),
    ],
)
def test_wrong_input_is_one_line(words: list[str], code: int, message: str, capsys: Output) -> None:
    assert main(words) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
