"""`fetlock replay --compare policy`: a policy agrees with its own run bit for bit, and another one does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fetlock.__main__ import main
from policy.snapshot import Policy, load_policy, save_policy
from tests.fetlock.recorded import record_run
from training.rollout_log import read_run

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes; from step 10 on they follow the policy."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    record_run(folder, policy_from=10)
    return folder


def call(capsys: Capture, *arguments: str, code: int = 0) -> str:
    assert main(["replay", *arguments, "--compare", "policy"]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_a_policy_agrees_with_its_own_run(run_folder: Path, capsys: Capture) -> None:
    result = json.loads(call(capsys, str(run_folder), "--json"))
    steps = len(read_run(run_folder / "rollouts"))
    assert (result["logs"], result["steps"], result["random"], result["same"], result["max"]) == (2, steps, 10, steps - 10, 0.0)
    assert "bit for bit (10 more were drawn or driven by a person)" in call(capsys, str(run_folder))


def test_another_policy_does_not(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    policy = load_policy(run_folder)
    vector = policy.vector.copy()
    # The bias of one action's mean.
    vector[-16] += 0.25
    save_policy(tmp_path / "other", Policy(policy.config, vector))
    result = json.loads(call(capsys, str(run_folder / "rollouts" / "c0-e000001.mcap"), "--policy", str(tmp_path / "other"), "--json"))
    first, *others = result["rms"].values()
    assert result["same"] == 0
    assert first > 0.01
    assert max(others) == 0.0
    assert result["at"].startswith("c0-e000001.mcap, step ")
    said = call(capsys, str(run_folder), "--policy", str(tmp_path / "other"))
    assert "RMS by action" in said
    assert "swing front_left" in said


def test_what_cannot_be_compared_says_why(run_folder: Path, tmp_path: Path, capsys: Capture) -> None:
    log = run_folder / "rollouts" / "c0-e000001.mcap"
    assert "which policy" in call(capsys, str(log), code=2)
    assert "holds no policy" in call(capsys, str(log), "--policy", str(tmp_path), code=1)
    assert "action_scaling" in call(capsys, str(run_folder), "--task.swing-scale-rad", "0.4", code=1)
    assert main(["replay", str(run_folder), "--policy", str(run_folder)]) == 2
    assert "--compare policy" in capsys.readouterr().err
    record_run(tmp_path / "drawn", episodes=1)
    assert "all actions were drawn or a person's" in call(capsys, str(tmp_path / "drawn"), code=1)
    shutil.copy(log, tmp_path / "torn.mcap")
    (tmp_path / "torn.mcap").write_bytes(log.read_bytes()[:-3000])
    assert "is damaged" in call(capsys, str(tmp_path / "torn.mcap"), "--policy", str(run_folder), code=1)
