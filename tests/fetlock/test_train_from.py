"""`fetlock train --from`: a run that begins with what another one has learned, and what is refused."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from policy.snapshot import load_policy
from tests.fetlock.recorded import record_run
from tests.fetlock.test_train import checkpoint_steps, complaint, finished, train, training, wait_for, weights
from training.evaluation import read_evaluations
from training.rollout_log import read_run

SHORT = ("--task.time-limit-steps", "60")
CAUTIOUS = ("--train.caution.first", "0.4", "--train.caution.growth", "0.3")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    finished(train(folder, "sim", "--deterministic", "--train.total-steps", "260", *SHORT))
    return folder / "sim"


def test_a_run_begins_with_the_policy_of_another_and_goes_on_after_a_kill_without_it(simulated: Path, tmp_path: Path) -> None:
    source = tmp_path / "sim"
    shutil.copytree(simulated, source)
    words = ("--from", str(source), "--deterministic", "--train.total-steps", "300", "--seed", "7", *SHORT, *CAUTIOUS)
    finished(train(tmp_path, "whole", *words))
    run = tmp_path / "whole"
    steps = read_run(run / "rollouts")
    # Nothing is random but the exploration of a policy: that of the other run at first, which is its first candidate too.
    assert (steps["policy_version"] > 0).all()
    assert (steps["policy_version"][:100] == steps["policy_version"][0]).all()
    first = read_evaluations(run / "evaluations.jsonl")[0]
    best = max(read_evaluations(simulated / "evaluations.jsonl"), key=lambda result: result.rank)
    assert (first.steps, first.mean_return) == (0, best.mean_return)
    bounds = [np.abs(steps["action"][steps["episode"] == episode]).max() for episode in np.unique(steps["episode"])]
    assert bounds[0] <= np.float32(0.4)
    assert max(bounds) > np.float32(0.4)
    killed = train(tmp_path, "killed", *words)
    wait_for(lambda: checkpoint_steps(tmp_path / "killed") >= 100, killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    shutil.rmtree(source)
    finished(train(tmp_path, "killed", "--resume", "--deterministic", config=False))
    assert read_run(tmp_path / "killed" / "rollouts").tobytes() == steps.tobytes()
    assert weights(tmp_path / "killed") == weights(run)


def test_processes_take_no_random_action_where_there_is_a_policy(simulated: Path, tmp_path: Path) -> None:
    finished(train(tmp_path, "run", "--from", str(simulated), "--train.total-steps", "200", *SHORT, *CAUTIOUS))
    steps = read_run(tmp_path / "run" / "rollouts")
    assert (steps["policy_version"] > 0).all()
    assert np.abs(steps["action"][steps["episode"] == 0]).max() <= np.float32(0.4)


def test_a_policy_alone_gives_its_actor(simulated: Path, tmp_path: Path) -> None:
    words = ("--from", str(simulated / "policy"), "--deterministic", "--train.total-steps", "100", *SHORT)
    finished(train(tmp_path, "run", *words))
    # Nothing is learned before step 100: the last policy is the first.
    np.testing.assert_array_equal(load_policy(tmp_path / "run" / "policy_last").vector, load_policy(simulated / "policy").vector)


def test_what_does_not_fit_is_refused_in_one_line_and_leaves_nothing(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: str, code: int = 2) -> str:
        line = complaint(capsys, code, *training(tmp_path, "run", *words))
        assert not (tmp_path / "run").exists()
        return line

    assert "holds no policy" in refused("--from", str(tmp_path / "nothing"), code=1)
    kitty = str(Path(__file__).resolve().parents[2] / "configs" / "kitty_walk.yaml")
    assert "robot 'minitaur', this robot has 'kitty'" in refused("--config", kitty, "--from", str(simulated), code=1)
    assert "critic.bias_0 differs" in refused("--from", str(simulated), "--sac.network.critics", "3")
    assert "config.yaml is missing" in refused("--prior.runs", str(tmp_path))
    assert "neither networks nor data" in refused("--prior.share", "0.5")
    assert "are for nothing" in refused("--prior.runs", str(simulated), "--prior.share", "0")
    record_run(tmp_path / "nan", episodes=1, broken_from=0)
    assert "no transition to learn from" in refused("--prior.runs", str(tmp_path / "nan"))
    damaged = tmp_path / "damaged"
    shutil.copytree(simulated, damaged)
    for victim in (damaged / "checkpoints").glob("*.safetensors"):
        victim.write_bytes(victim.read_bytes()[:-9])
    assert "corrupt" in refused("--from", str(damaged), code=1)
    capsys.readouterr()
    assert main(["train", "--from"]) == 2
