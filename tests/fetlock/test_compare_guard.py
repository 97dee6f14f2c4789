"""`fetlock replay --compare guard` over what the real collector recorded, on the real simulation and on emulated motors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from tests.fetlock.recorded import record_run
from training.records import bus_dtype, step_dtype
from training.rollout_log import EpisodeWriter, RunMetadata, read_log

pytestmark = pytest.mark.realtime

Capture = pytest.CaptureFixture[str]
LIMITS = ("--guard.velocity-max-rad-s", "9", "--guard.low-pass-hz", "10", "--guard.position-max-rad", "2.2")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes, the last of which the guard ends by a HOLD."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    record_run(folder, episodes=3, flags=LIMITS, broken_from=70)
    return folder


def call(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(["replay", *arguments, "--compare", "guard"]) == code
    captured = capsys.readouterr()
    return captured.err if code == 2 or (code == 1 and captured.err) else captured.out


def test_every_emission_of_a_run_is_found_again(run_folder: Path, capsys: Capture) -> None:
    result = json.loads(call(capsys, str(run_folder), "--json"))
    ticks = sum(len(read_log(path).bus) for path in (run_folder / "rollouts").glob("*.mcap"))
    assert (result["logs"], result["ticks"], result["repeated"], result["skipped"]) == (3, ticks, ticks, 0)
    assert (result["exact"], result["different"], result["max_rad"]) == (True, 0, 0.0)
    assert "bit for bit" in call(capsys, str(run_folder), "--episode", "2")


def test_a_log_alone_knows_its_configuration(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    copy = tmp_path / "taken home.mcap"
    shutil.copy(run_folder / "rollouts" / "c0-e000001.mcap", copy)
    assert "bit for bit" in call(capsys, str(copy))


def test_another_limit_is_measured(run_folder: Path, capsys: Capture) -> None:
    said = call(capsys, str(run_folder), "--guard.velocity-max-rad-s", "8", code=1)
    assert "differ, by at most" in said
    assert "c0-e000000.mcap, bus tick" in said


def test_a_forged_emission_is_found(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    log = read_log(run_folder / "rollouts" / "c0-e000001.mcap")
    bus = log.bus.copy()
    bus["emission_rad"][7, 3] = np.nextafter(bus["emission_rad"][7, 3], 9.0)
    metadata = RunMetadata("0", "minitaur", 5, config=log.metadata["config"])
    writer = EpisodeWriter(tmp_path, 0, 1, log.steps.dtype, bus.dtype, metadata)
    writer.write(bus, log.steps)
    writer.finish(complete=True)
    result = json.loads(call(capsys, str(tmp_path / "c0-e000001.mcap"), "--json", code=1))
    assert (result["different"], result["exact"]) == (1, False)
    assert f"bus tick {bus['sequence'][7]}: joint 3" in result["first"]


def test_what_cannot_be_compared_says_why(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "is of another robot" in call(capsys, str(run_folder), "--config", "configs/kitty_walk.yaml", code=2)
    assert "leave it out" in call(capsys, str(run_folder), "--video", "a.mp4", code=2)
    assert main(["replay", str(run_folder), "--compare", "gard"]) == 2
    assert "choose from 'sim', 'guard'" in capsys.readouterr().err
    (tmp_path / "empty" / "rollouts").mkdir(parents=True)
    assert "has no log yet" in call(capsys, str(tmp_path / "empty"), code=2)
    log = (run_folder / "rollouts" / "c0-e000001.mcap").read_bytes()
    (tmp_path / "torn.mcap").write_bytes(log[: len(log) // 2])
    assert "is damaged after" in call(capsys, str(tmp_path / "torn.mcap"), code=1)
    writer = EpisodeWriter(tmp_path, 0, 0, step_dtype(36, 8), bus_dtype(8), RunMetadata("0", "minitaur", 5))
    writer.finish(complete=True)
    assert "has no tick" in call(capsys, str(tmp_path / "c0-e000000.mcap"), code=1)
