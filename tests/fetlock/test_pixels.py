"""Training a policy that sees, whole: processes, a kill and a resume, its log, and every verb that meets such a policy."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from fetlock.__main__ import main
from fetlock.build import policy_layout
from fetlock.config import load_config
from policy.snapshot import load_policy
from tests.fetlock.test_train import ROOT, checkpoint_steps, finished, train, wait_for, weights
from training.checkpoint import load_checkpoint
from training.rollout_log import log_files, read_log, read_run

# The smallest that learns: one frame, few cells, short episodes.
SMALL = (
    *("--config", str(ROOT / "configs" / "claw_pixels.yaml"), "--camera.width-px", "16", "--camera.height-px", "16", "--no-video"),
    *("--sac.encoder.kind", "paper", "--sac.encoder.stack", "2", "--sac.encoder.features", "4", "--sac.network.hidden", "8"),
    *("--sac.batch-size", "8", "--sac.updates-per-step", "1", "--task.time-limit-steps", "12", "--train.learning-starts", "20"),
    *("--train.evaluate-every", "40", "--train.evaluation-episodes", "1", "--train.checkpoint-every", "20"),
)
# Critics that see, and ones that are told.
SEEING = ("--sac.encoder.asymmetric", "false", "--sac.encoder.images", "null")
TOLD = ("--sac.encoder.asymmetric", "true", "--sac.encoder.images", "4")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A deterministic run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    finished(train(folder, "run", *SMALL, *SEEING, "--deterministic", "--train.total-steps", "110", config=False))
    return folder / "run"


def test_a_run_that_sees_and_is_killed_equals_one_that_was_not(whole: Path, tmp_path: Path) -> None:
    # One that holds its frames on disk, too, and leaves no file of them behind.
    words = ("--deterministic", "--train.total-steps", "110", "--train.replay-on-disk")
    process = train(tmp_path, "killed", *SMALL, *SEEING, *words, config=False)
    wait_for(lambda: checkpoint_steps(tmp_path / "killed") >= 40, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished(train(tmp_path, "killed", "--resume", "--deterministic", config=False))
    killed = tmp_path / "killed"
    assert sorted(path.name for path in killed.iterdir()) == sorted(path.name for path in whole.iterdir())
    assert read_run(killed / "rollouts").tobytes() == read_run(whole / "rollouts").tobytes()
    assert weights(killed) == weights(whole)
    tensors, others = (load_checkpoint(run / "checkpoints")[0] for run in (killed, whole))
    assert {name for name in tensors if name.startswith("encoder.")}
    assert {name: value.numpy().tobytes() for name, value in tensors.items()} == {
        name: value.numpy().tobytes() for name, value in others.items()
    }
    for one, other in zip(log_files(killed / "rollouts"), log_files(whole / "rollouts"), strict=True):
        assert read_log(one, frames=True).frames.pngs == read_log(other, frames=True).frames.pngs


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of processes whose critics are told where the valve is."""
    folder = tmp_path_factory.mktemp("told")
    finished(train(folder, "run", *SMALL, *TOLD, "--train.total-steps", "60", "--train.compile", "never", config=False))
    return folder / "run"


def test_processes_train_a_policy_that_sees(told: Path) -> None:
    assert main(["log", "verify", str(told)]) == 0
    policy = load_policy(told)
    assert policy.config.layout.image.shape == (2, 16, 16, 3)
    tensors, state = load_checkpoint(told / "checkpoints")
    assert state.updates == 40
    assert tensors["teacher.weight_0"].shape == (31 + 7, 8)


def test_a_run_without_exploration_is_the_policys_own_bit_for_bit(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--policy", str(whole), "--duration", "3", "--name", "driven", "--runs-dir", str(tmp_path)]
    assert main(words) == 0
    capsys.readouterr()
    assert main(["replay", str(tmp_path / "driven"), "--compare", "policy", "--policy", str(whole)]) == 0
    assert "30 of 30 actions are the policy's own, bit for bit" in capsys.readouterr().out
    assert main(["eval", str(whole), "--episodes", "1"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--policy", "{run}", "--config", str(ROOT / "configs" / "claw_turn.yaml")), "the policy was trained for task"),
        (("train", "--from", "{run}", "--config", "{run}/config.yaml", "--name", "again"), "set prior.share 0"),
    ],
)
def test_what_such_a_policy_is_not_for_is_one_line(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    assert main([*(word.format(run=whole) for word in words), "--runs-dir", str(tmp_path)]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_a_run_begins_with_networks_that_see(told: Path, tmp_path: Path) -> None:
    words = (*TOLD, "--from", str(told), "--prior.share", "0", "--deterministic", "--train.total-steps", "24")
    finished(train(tmp_path, "on", *SMALL, *words, config=False))
    steps = read_run(tmp_path / "on" / "rollouts")
    assert (steps["policy_version"] > 0).all()


def test_the_layout_names_what_is_seen() -> None:
    layout = policy_layout(load_config(["--config", str(ROOT / "configs" / "claw_pixels.yaml")]))
    assert layout.image.shape == (3, 32, 32, 3)
    assert layout.observation_names[-1] == "frame age"
    vector = np.zeros(layout.vector_size, np.float32)
    assert {name for name in layout.split(vector) if name.startswith("encoder_")}
