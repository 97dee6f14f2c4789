"""`fetlock replay --compare sim`: the gap between a recording and a simulation, in angle and in time."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetlock.__main__ import main
from fetlock.replays.gap import lag_s, rms_by_joint
from tests.fetlock.recorded import record_run
from tests.fetlock.test_train import ROOT, finished, train

Capture = pytest.CaptureFixture[str]
PERIOD_S = 0.01
PLAIN = ("--sac.network.hidden", "8", "--task.time-limit-steps", "150")


def call(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(["replay", *arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def motion(time_s: np.ndarray) -> np.ndarray:
    """Return two joints that swing and one that stands, shape (ticks, 3), rad."""
    swinging = 0.4 * np.sin(9.0 * time_s) + 0.1 * np.sin(21.0 * time_s), 0.3 * np.cos(7.0 * time_s) + 1.0
    return np.stack([*swinging, np.full_like(time_s, -2.0)], axis=1)


@given(st.floats(-0.09, 0.09), st.floats(-0.5, 0.5))
def test_a_lag_is_found_within_a_tenth_of_a_tick_whatever_the_offset(lag, offset):
    time_s = PERIOD_S * np.arange(400)
    noise = np.random.default_rng(0).normal(0.0, 0.0015, (400, 3))
    found = lag_s(motion(time_s - lag) + offset + noise, motion(time_s), PERIOD_S)
    assert found == pytest.approx(lag, abs=0.1 * PERIOD_S)


def test_what_does_not_move_and_what_is_short_has_no_lag():
    time_s = PERIOD_S * np.arange(400)
    still = np.full((400, 3), 0.2) + np.random.default_rng(0).normal(0.0, 0.003, (400, 3))
    assert lag_s(still, motion(time_s), PERIOD_S) is None
    assert lag_s(motion(time_s), still, PERIOD_S) is None
    assert lag_s(motion(time_s[:30]), motion(time_s[:30]), PERIOD_S) is None


def test_joints_have_their_own_distance():
    difference = np.array([[0.1, 0.0], [-0.1, 0.2]])
    assert rms_by_joint(difference) == pytest.approx([0.1, 0.2 / np.sqrt(2.0)])


def test_another_latency_is_seen_as_such(tmp_path: Path, capsys: Capture) -> None:
    record_run(tmp_path / "run", episodes=1, base=PLAIN)
    result = json.loads(call(capsys, str(tmp_path / "run"), "--json", "--robot.control-latency-s", "0.02"))
    assert not result["exact"]
    assert result["lag_ms"] == pytest.approx(-20.0, abs=2.0)
    assert len(result["rms_by_joint"]) == 8
    picture = tmp_path / "joints.png"
    said = call(capsys, str(tmp_path / "run"), "--robot.control-latency-s", "0.02", "--plot", str(picture))
    assert "behind the simulated ones; RMS by joint:" in said
    assert matplotlib.image.imread(picture).std() > 0.02


def test_what_was_recorded_behind_a_bus_is_played_without_it(tmp_path: Path, capsys: Capture) -> None:
    config = ("--config", str(ROOT / "configs" / "kitty_emulated.yaml"), "--task.time-limit-steps", "40")
    finished(train(tmp_path, "run", *config, "--deterministic", "--robot.machine.imu", "exact", "--train.total-steps", "120"))
    run = tmp_path / "run"
    assert "bit-exact" in call(capsys, str(run))
    # The same kitty by another name.
    assert "bit-exact" in call(capsys, str(run), "--config", str(ROOT / "configs" / "kitty_walk.yaml"))
    result = json.loads(call(capsys, str(run), "--robot.machine.control-latency-s", "0.03", "--json"))
    assert result["lag_ms"] is None or result["lag_ms"] < 0.0


def test_what_cannot_be_played_says_why(tmp_path: Path, capsys: Capture) -> None:
    record_run(tmp_path / "run", episodes=1)
    run = str(tmp_path / "run")
    assert "is of another robot" in call(capsys, run, "--config", str(ROOT / "configs" / "kitty_walk.yaml"), code=2)
    assert "set bus_hz" in call(capsys, run, "--bus-hz", "250", code=2)
    assert "no picture format" in call(capsys, run, "--plot", str(tmp_path / "a.txt"), code=2)
    assert "shows a comparison" in call(capsys, run, "--compare", "guard", "--plot", "a.png", code=2)
