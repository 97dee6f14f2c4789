"""The machine's checks: every problem comes with its fix."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from fetlock.__main__ import main
from fetlock.checks.finding import Finding, Level
from fetlock.checks.hardware import serial_ports
from fetlock.checks.machine import disk, stolen_time
from fetlock.checks.software import compiler, matmul
from robot.clock import monotonic_s
from training.config import SacConfig
from training.precision import choose_products


def test_doctor_finds_this_machine_fit(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["doctor", "--json", "--runs-dir", str(tmp_path / "new" / "runs")]) == 0
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"python", "torch", "pybullet", "float32 product", "cores", "SCHED_FIFO", "runs folder", "shared memory", "stolen time"} <= {
        f["name"] for f in findings
    }
    assert [finding for finding in findings if (finding["level"] == "ok") != (finding["fix"] == "")] == []
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("fetlock.doctor.examine", lambda folder: [Finding("robot", Level.FAIL, "on fire", "put it out")])
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out == "fail robot             on fire: put it out\n"


@pytest.mark.parametrize(("share", "level"), [(0.0, Level.OK), (0.004, Level.OK), (0.02, Level.WARN)])
def test_a_machine_whose_cores_are_taken_away_is_said_to_be_late(monkeypatch: pytest.MonkeyPatch, share: float, level: Level) -> None:
    monkeypatch.setattr("fetlock.checks.machine.stolen_s", lambda: share * monotonic_s() * os.cpu_count())
    finding = stolen_time()
    assert (finding.level, f"{100.0 * share:.1f}%" in finding.found) == (level, True)


@pytest.mark.parametrize(("level", "precision"), [(Level.OK, "medium"), (Level.WARN, "highest")])
def test_products_are_float32_whatever_the_processor_does_at_medium(monkeypatch: pytest.MonkeyPatch, level: Level, precision: str) -> None:
    monkeypatch.setattr("training.precision.medium_error", lambda: 1e-7 if level is Level.OK else 2e-3)
    before = torch.get_float32_matmul_precision()
    try:
        choose_products(SacConfig())
        assert torch.get_float32_matmul_precision() == precision
        choose_products(SacConfig(precision="bfloat16"))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert matmul().level is level


def test_the_products_that_are_chosen_here_are_float32() -> None:
    left, right = torch.randn(2, 128, 128, generator=torch.Generator().manual_seed(3))
    before = torch.get_float32_matmul_precision()
    try:
        choose_products(SacConfig())
        error = (left @ right).double() - left.double() @ right.double()
    finally:
        torch.set_float32_matmul_precision(before)
    assert float(error.norm() / (left.double() @ right.double()).norm()) < 1e-5


def test_no_compiler_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler().level is Level.WARN


def test_a_folder_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    assert disk(tmp_path / "runs").level is Level.FAIL


def test_serial_ports_are_judged_by_right_and_latency_timer(tmp_path: Path) -> None:
    devices, nodes = tmp_path / "tty", tmp_path / "dev"
    nodes.mkdir()
    for name, latency_ms in (("ttyUSB0", 1), ("ttyUSB1", 16), ("ttyUSB2", 1)):
        (devices / name / "device").mkdir(parents=True)
        (devices / name / "device" / "latency_timer").write_text(f"{latency_ms}\n")
        if name != "ttyUSB2":
            (nodes / name).touch()
    good, slow, absent = serial_ports(devices, nodes)
    assert (good.level, slow.level, absent.level) == (Level.OK, Level.WARN, Level.WARN)
    assert "16 ms" in slow.found
    assert "tee" in slow.fix
    assert "missing" in absent.found


def test_no_serial_port_is_fine(tmp_path: Path) -> None:
    (finding,) = serial_ports(tmp_path)
    assert finding.level is Level.OK
