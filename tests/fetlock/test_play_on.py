"""`fetlock replay --on`: a recorded motion on another robot, through task, guard and log, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from fetlock.config import load_config
from fetlock.replays.playing import machine_for
from robot.errors import UsageError
from tests.fetlock.recorded import record_run
from tests.fetlock.test_train import ROOT, finished, train
from training.rollout_log import read_run

pytestmark = pytest.mark.realtime

Capture = pytest.CaptureFixture[str]
KITTY = str(ROOT / "configs" / "kitty_walk.yaml")


def play(capsys: Capture, folder: Path, *words: str, code: int = 0) -> str:
    assert main(["replay", *words, "--runs-dir", str(folder), "--name", "again"]) == code
    captured = capsys.readouterr()
    return captured.out if captured.out else captured.err


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short episodes of the simulated kitty, in one process."""
    folder = tmp_path_factory.mktemp("runs")
    words = ("--config", KITTY, "--task.time-limit-steps", "30", "--deterministic", "--train.total-steps", "110")
    finished(train(folder, "run", *words))
    return folder / "run"


@pytest.mark.parametrize("episode", ["0", "2"])
def test_a_motion_in_the_same_simulation_is_the_same(walked: Path, tmp_path: Path, capsys: Capture, episode: str) -> None:
    report = json.loads(play(capsys, tmp_path, str(walked), "--on", "sim", "--episode", episode, "--json"))
    assert (report["finished"], report["played"], report["held"], report["rms_rad"]) == (True, report["steps"], 0, 0.0)
    then = read_run(walked / "rollouts")
    then = then[then["episode"] == int(episode)]
    again = read_run(tmp_path / "again" / "rollouts")
    for name in ("action", "observation", "next_observation", "reward", "applied_action"):
        assert again[name].tobytes() == then[name].tobytes()


def test_a_motion_goes_on_behind_an_emulated_bus_in_real_time(walked: Path, tmp_path: Path, capsys: Capture) -> None:
    for attempt in range(3):  # a busy machine may keep the emulated motors from answering, and the guard stops then, as it shall
        words = [str(walked), "--on", "emulated", "--reset", "routine", "--json", "--runs-dir", str(tmp_path), "--name", f"again{attempt}"]
        code, said = main(["replay", *words]), capsys.readouterr()
        if code:
            assert "has been silent" in said.err, said.err
        elif not json.loads(said.out)["held"]:
            break
    assert code == 0, said.err
    report = json.loads(said.out)
    assert (report["finished"], report["played"]) == (True, report["steps"])
    # Another clock, a wire, another start.
    assert 0.0 < report["rms_rad"] < 0.3
    assert main(["replay", report["run"], "--compare", "guard"]) == 0
    again = read_run(Path(report["run"]) / "rollouts")
    then = read_run(walked / "rollouts")
    np.testing.assert_array_equal(again["action"], then[then["episode"] == then["episode"][-report["steps"]]]["action"][: len(again)])


def test_a_motion_that_the_guard_stopped_ends_where_it_was_stopped(tmp_path: Path, capsys: Capture) -> None:
    record_run(tmp_path / "run", episodes=1, broken_from=10)
    report = json.loads(play(capsys, tmp_path, str(tmp_path / "run"), "--on", "sim", "--json"))
    assert report["finished"]
    assert report["played"] < report["steps"]


def test_what_cannot_be_played_says_why_and_leaves_nothing(walked: Path, tmp_path: Path, capsys: Capture) -> None:
    assert "is no robot of metal" in play(capsys, tmp_path, str(walked), "--on", "hardware", code=2)
    assert "were made for joint_names" in play(
        capsys, tmp_path, str(walked), "--on", "sim", "--config", str(ROOT / "configs" / "minitaur_walk.yaml"), code=2
    )
    assert "give one of them" in play(capsys, tmp_path, str(walked), "--on", "sim", "--compare", "guard", code=2)
    assert "shows a comparison" in play(capsys, tmp_path, str(walked), "--on", "sim", "--video", "a.mp4", code=2)
    assert main(["replay", str(walked), "--on", "sim", "--runs-dir", str(tmp_path), "--name", "../outside"]) == 2
    assert "is no name of a folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="have no bus"):
        machine_for("emulated", load_config([]))
