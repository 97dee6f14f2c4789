"""Laws of checkpoints: the old one or the new one, never neither and never a mixture."""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.fault_matrix.dying import killed_at
from robot import CheckpointError
from robot.clock import monotonic_s, sleep_s
from training.checkpoint import CheckpointState, load_checkpoint, save_checkpoint

spawn = multiprocessing.get_context("spawn")


def state(steps: int, config_sha: str = "sha") -> CheckpointState:
    return CheckpointState(
        steps=steps, updates=8 * steps, policy_version=steps, log_position={0: steps, 1: 2 * steps}, config_sha=config_sha
    )


def tensors(steps: int) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((50, 40), float(steps)), "random": torch.get_rng_state(), "steps": torch.tensor(float(steps))}


def test_everything_comes_back_and_the_newest_two_are_kept(tmp_path):
    assert load_checkpoint(tmp_path / "none") is None
    for steps in (10, 20, 30):
        save_checkpoint(tmp_path, tensors(steps), state(steps))
    loaded = load_checkpoint(tmp_path, config_sha="sha")
    assert loaded is not None
    assert loaded[1] == state(30)
    assert all(torch.equal(loaded[0][name], value) for name, value in tensors(30).items())
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.safetensors"))) == 2


@pytest.mark.parametrize("victim", ["*.json", "*.safetensors"])
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(tmp_path, victim):
    for steps in (10, 20):
        save_checkpoint(tmp_path, tensors(steps), state(steps))
    path = sorted(tmp_path.glob(victim))[-1]
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for damage in ("empty", "cut", "gone", *rng.integers(0, len(content), 40).tolist()):
        if damage == "gone":
            path.unlink()
        elif isinstance(damage, int):
            flipped = bytearray(content)
            flipped[damage] ^= 0x10
            path.write_bytes(bytes(flipped))
        else:
            path.write_bytes(b"" if damage == "empty" else content[: len(content) // 2])
        loaded = load_checkpoint(tmp_path)
        assert loaded is not None
        # A flip in the manifest's free text (white space) may leave it valid: then it must be the whole new one.
        assert loaded[1].steps in ((10, 20) if isinstance(damage, int) and victim == "*.json" else (10,))
        assert (loaded[0]["weights"] == float(loaded[0]["steps"])).all()
        path.write_bytes(content)


def test_when_none_is_whole_the_error_names_the_file_and_the_way_on(tmp_path):
    save_checkpoint(tmp_path, tensors(10), state(10))
    next(tmp_path.glob("*.safetensors")).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"safetensors is corrupt .* move .* away"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    save_checkpoint(tmp_path, tensors(10), state(10, "other"))
    with pytest.raises(CheckpointError, match="another configuration"):
        load_checkpoint(tmp_path, config_sha="sha")


def _save_for_ever(folder: str) -> None:
    steps = 0
    while True:
        steps += 1
        save_checkpoint(Path(folder), tensors(steps), state(steps))


def test_a_process_killed_at_random_leaves_a_whole_checkpoint(tmp_path):
    rng = np.random.default_rng(2)
    for trial in range(4):
        folder = tmp_path / str(trial)
        process = spawn.Process(target=_save_for_ever, args=(str(folder),))
        process.start()
        deadline_s = monotonic_s() + 60.0
        while not list(folder.glob("*.json")) and monotonic_s() < deadline_s:
            sleep_s(0.01)
        sleep_s(float(rng.uniform(0.0, 0.1)))
        process.kill()
        process.join()
        loaded = load_checkpoint(folder)
        assert loaded is not None
        assert (loaded[0]["weights"] == float(loaded[1].steps)).all()


def test_a_second_checkpoint_of_the_same_step_never_destroys_the_first(tmp_path):
    found, died = [], True
    while died:
        folder = tmp_path / str(len(found))
        save_checkpoint(folder, {"weights": torch.zeros(9)}, state(5))
        died = killed_at(len(found) + 1, partial(save_checkpoint, folder, {"weights": torch.ones(9)}, state(5)))
        loaded = load_checkpoint(folder)
        assert loaded is not None
        found.append(float(loaded[0]["weights"][0]))
    assert found == sorted(found)
    assert set(found) == {0.0, 1.0}
    assert len(list(folder.glob("*.safetensors"))) == 1


def test_a_damaged_checkpoint_is_not_kept_in_place_of_a_whole_one(tmp_path):
    for steps in (10, 20, 30):
        save_checkpoint(tmp_path, {"weights": torch.full((9,), float(steps))}, state(steps))
    sorted(tmp_path.glob("*.json"))[-1].write_text("{")
    save_checkpoint(tmp_path, {"weights": torch.full((9,), 25.0)}, state(25))
    assert [path.name[:9] for path in sorted(tmp_path.glob("*.json"))] == ["000000020", "000000025"]
