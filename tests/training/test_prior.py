"""Prior data in every batch, networks to begin with, and the box of a cautious start, as laws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policy.layout import PolicyLayout
from robot.errors import FetlockError, UsageError
from tests.training.records import STEP, bus_records, step_records
from training.caution import ActionBox
from training.checkpoint import CheckpointState
from training.config import CautionConfig, PriorConfig, SacConfig, TrainConfig
from training.learner import Learner
from training.prior import Prior, keep_prior, load_prior
from training.replay import Replay, sample
from training.rollout_log import EpisodeWriter, RunMetadata

LAYOUT = PolicyLayout(
    robot="r",
    task="t",
    joint_names=("a", "b", "c"),
    observation_names=tuple("vwxyz"),
    action_names=("p", "q"),
    control_hz=50.0,
    action_scaling=(),
    hidden=(8,),
)
SAC = SacConfig.model_validate({"network": {"hidden": [8]}, "batch_size": 16})
STATE = CheckpointState(steps=1, updates=1, policy_version=1, log_position={}, config_sha="")


def learner(seed: int, sac: SacConfig = SAC) -> Learner:
    return Learner(LAYOUT, sac, TrainConfig(), seed, compiled=False)


def marked(reward: float, count: int) -> np.ndarray:
    records = step_records(0, count)
    records["reward"] = reward
    return records


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 4), st.integers(0, 99))
def test_every_batch_has_its_rows_of_each_replay(own: int, prior: int, batches: int, seed: int) -> None:
    one, other = Replay(5, 2, 50), Replay(5, 2, 7)
    one.extend(marked(1.0, 50))
    other.extend(marked(2.0, 7))
    drawn = sample([(one, own), (other, prior)], batches, torch.Generator().manual_seed(seed))
    assert len(drawn) == batches
    for batch in drawn:
        assert (int((batch.reward == 1.0).sum()), int((batch.reward == 2.0).sum())) == (own, prior)
        assert batch.observation.shape == (own + prior, 5)


def test_a_replay_alone_is_sampled_as_ever() -> None:
    replay = Replay(5, 2, 50)
    replay.extend(step_records(0, 50))
    alone = replay.sample(16, 3, torch.Generator().manual_seed(4))
    same = sample([(replay, 16)], 3, torch.Generator().manual_seed(4))
    assert all(torch.equal(a.observation, b.observation) for a, b in zip(alone, same, strict=True))


def test_a_replay_without_a_row_cannot_be_sampled_beside_another() -> None:
    replay = Replay(5, 2, 50)
    replay.extend(step_records(0, 50))
    with pytest.raises(UsageError, match="replay is empty"):
        sample([(Replay(5, 2, 9), 4), (replay, 4)], 1, torch.Generator())


@pytest.mark.parametrize(("share", "rows"), [(0.5, 8), (0.25, 4), (0.999, 15), (0.001, 1)])
def test_a_share_of_a_batch_is_the_prior_s(share: float, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    student = learner(0)
    student.begin(Prior({}, marked(2.0, 9)), PriorConfig(runs=("other",), share=share))
    student.add(marked(1.0, 40))
    seen = []
    real = student.sac.update
    monkeypatch.setattr(student.sac, "update", lambda batches: (seen.extend(batches), real(batches))[1])
    student.update()
    assert [int((batch.reward == 2.0).sum()) for batch in seen] == [rows] * SAC.updates_per_step
    assert student.steps == 40  # prior data are no steps of this run


def test_a_share_may_fade(monkeypatch: pytest.MonkeyPatch) -> None:
    student = learner(0)
    student.begin(Prior({}, marked(2.0, 9)), PriorConfig(runs=("other",), share=0.5, fade_steps=8))
    student.add(marked(1.0, 40))
    seen = []
    real = student.sac.update
    monkeypatch.setattr(student.sac, "update", lambda batches: (seen.append(batches[0]), real(batches))[1])
    for _ in range(11):
        student.update()
    assert [int((batch.reward == 2.0).sum()) for batch in seen] == [8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    assert all(len(batch.reward) == 16 for batch in seen)
    # It is the number of updates that counts: a resumed run goes on where it was.
    again = learner(0)
    again.begin(Prior({}, marked(2.0, 9)), PriorConfig(runs=("other",), share=0.5, fade_steps=8))
    again.add(marked(1.0, 40))
    again.restore(student.tensors(), updates=3 * SAC.updates_per_step)
    monkeypatch.setattr(again.sac, "update", lambda batches: (seen.append(batches[0]), real(batches))[1])
    again.update()
    assert int((seen[-1].reward == 2.0).sum()) == 5


def test_networks_are_taken_and_what_is_not_given_stays_fresh() -> None:
    teacher, student, fresh = learner(1), learner(0), learner(0)
    everything = {name: value + 1.0 for name, value in teacher.sac.state.tensors().items()}
    student.begin(Prior(everything, np.empty(0)), PriorConfig(policy="other"))
    assert all(torch.equal(value, everything[name]) for name, value in student.sac.state.tensors().items())
    assert student.ready
    assert not fresh.ready
    actor_alone = learner(0)
    actor_alone.begin(
        Prior({name: value for name, value in everything.items() if name.startswith("actor.")}, np.empty(0)), PriorConfig(policy="other")
    )
    for name, value in actor_alone.sac.state.tensors().items():
        expected = everything[name] if name.startswith("actor.") else fresh.sac.state.tensors()[name]
        assert torch.equal(value, expected)


def write_logs(run: Path, count: int) -> np.ndarray:
    (run / "rollouts").mkdir(parents=True)
    records = step_records(0, count, end=True)
    writer = EpisodeWriter(run / "rollouts", 0, 0, STEP, bus_records(0, 1).dtype, RunMetadata("0", "r", 0))
    writer.write(bus_records(0, 2 * count), records)
    writer.finish(complete=True)
    return records


def test_what_was_kept_outlives_the_runs_that_it_is_from(tmp_path: Path) -> None:
    records = [write_logs(tmp_path / name, count) for name, count in (("one", 5), ("two", 7))]
    tensors = learner(1).sac.state.tensors()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".prior").mkdir()
    (tmp_path / "run" / ".prior" / "half").write_text("of an earlier attempt that was killed")
    keep_prior(tmp_path / "run", (tensors, STATE), [tmp_path / "one", tmp_path / "two"])
    for name in ("one", "two"):
        for path in (tmp_path / name / "rollouts").iterdir():
            path.unlink()
    prior = load_prior(tmp_path / "run")
    assert prior.steps.tobytes() == np.concatenate(records).tobytes()
    assert all(torch.equal(prior.tensors[name], value) for name, value in tensors.items())
    assert not list((tmp_path / "run" / "prior").glob("half"))


def test_a_folder_that_takes_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(FetlockError, match="cannot be kept"):
        keep_prior(tmp_path / "run", None, [])


@given(st.floats(0.05, 1.0), st.floats(0.0, 1.0), st.lists(st.booleans(), max_size=30))
def test_the_box_grows_with_success_and_never_leaves_its_bounds(first: float, growth: float, failures: list[bool]) -> None:
    config = CautionConfig(first=first, growth=growth)
    box = ActionBox(config)
    for failed in failures:
        before = box.bound
        box.judge(failed=failed)
        assert first <= box.bound <= 1.0
        assert box.bound <= before if failed else box.bound >= before
    action = box.clip(np.linspace(-3.0, 3.0, 9, dtype=np.float32))
    assert action.dtype == np.float32
    assert np.abs(action).max() <= np.float32(box.bound)


def test_a_box_from_the_log_is_the_box_that_made_it() -> None:
    config = CautionConfig(first=0.3, growth=0.2)
    box = ActionBox(config)
    episodes = []
    for number, (terminated, mode) in enumerate([(0, 3), (0, 3), (1, 3), (0, 3), (0, 4), (0, 3)]):
        records = step_records(10 * number, 10, episode=number, end=not terminated)
        records["terminated"][-1], records["mode"][-1] = terminated, mode
        box.judge(failed=bool(terminated) or mode != 3)
        episodes.append(records)
    unfinished = step_records(60, 4, episode=6)
    other = step_records(0, 10, collector=1, end=True)
    log = np.concatenate([*episodes, unfinished, other])
    assert ActionBox.after(config, log, 0).bound == box.bound
    assert ActionBox.after(config, log, 1).bound == 0.5
    assert ActionBox.after(config, np.empty(0), 0).bound == 0.3
    assert ActionBox.after(None, log, 0).bound == 1.0
