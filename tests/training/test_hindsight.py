"""Laws of exchanged goals: a transition is what the task itself would have made of the same motion, had its goal been another one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.training.records import step_records
from tests.training.test_prior import LAYOUT
from tests.training.test_turn import PERIOD_S, finish, state
from training.config import SacConfig, TrainConfig
from training.hindsight import Hindsight
from training.learner import Learner
from training.replay import Replay
from training.sac import Batch
from training.tasks import ClawScrewConfig, ClawTurnConfig, ClawTurnPixelsConfig, TurnGoals, TurnTask

CONFIGS = (ClawTurnConfig(), ClawTurnPixelsConfig(), ClawScrewConfig())
angles = st.floats(-7.0, 7.0)


def transition(task: TurnTask, goal_rad: float, before_rad: float, after_rad: float) -> tuple[np.ndarray, float, np.ndarray]:
    _, memory = task.start(state(before_rad), np.random.default_rng(0))
    memory = replace(memory, goal_rad=goal_rad)
    step = finish(task, memory, state(after_rad, joints=0.1, rate=0.7), np.full(9, 0.3))
    return task._observation(state(before_rad), memory), step.outcome.reward, step.observation


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
@given(goal_rad=angles, before_rad=angles, moved_rad=st.floats(-0.5, 0.5), draw=st.floats(0.0, 1.0, width=32))
def test_an_exchanged_transition_is_the_one_of_the_other_goal(config, goal_rad, before_rad, moved_rad, draw):
    task, after_rad = TurnTask(config, PERIOD_S), before_rad + moved_rad
    observation, reward, following = transition(task, goal_rad, before_rad, after_rad)
    rows = observation[None].copy(), np.array([reward], np.float32), following[None].copy()
    object_rad = np.array([[before_rad, after_rad]], np.float32) if config.valve_hidden else None
    goals = TurnGoals(config, task.observation_names)
    assert goals.needs_object == config.valve_hidden
    goals.exchange(*rows, object_rad, np.array([draw], np.float32))
    # The goal stands where it is at the end of the tick; it was so much behind at its beginning.
    left_rad = math.pi * (2.0 * np.float32(draw) - 1.0) ** 3
    other_rad = after_rad + left_rad - config.goal_rad_s * PERIOD_S
    # At half of a turn the short way round is either.
    assume(all(math.cos(error_rad) > -0.999999 for error_rad in (left_rad, other_rad - before_rad)))
    wanted = transition(task, other_rad, before_rad, after_rad)
    for row, column in zip((rows[0][0], rows[1][0], rows[2][0]), wanted, strict=True):
        np.testing.assert_allclose(row, column, atol=3e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_other_goals_lie_all_around_and_most_of_them_near(config):
    task = TurnTask(config, PERIOD_S)
    observation, reward, following = transition(task, 0.4, 0.1, 0.2)
    count = 3000
    rows = np.tile(observation, (count, 1)), np.full(count, reward, np.float32), np.tile(following, (count, 1))
    object_rad = np.tile(np.array([0.1, 0.2], np.float32), (count, 1)) if config.valve_hidden else None
    goals = TurnGoals(config, task.observation_names)
    goals.exchange(*rows, object_rad, np.random.default_rng(0).uniform(size=count).astype(np.float32))
    names = list(task.observation_names)
    sine, cosine = ("goal sine", "goal cosine") if config.valve_hidden else ("error sine", "error cosine")
    seen = np.arctan2(rows[2][:, names.index(sine)], rows[2][:, names.index(cosine)])
    left = np.angle(np.exp(1j * (seen - 0.2))) if config.valve_hidden else seen
    assert np.histogram(left, bins=8, range=(-math.pi, math.pi))[0].min() > 0.02 * count
    assert 0.28 < np.mean(np.abs(left) < 0.12) < 0.39
    # What is not of the goal stays.
    others = [place for place, name in enumerate(names) if not name.startswith(("goal s", "goal c", "error", "near"))]
    assert (rows[0][:, others] == observation[others]).all()
    assert (rows[2][:, others] == following[others]).all()


class Marking:
    """Implements Goals: every exchanged transition is worth 7 more, and its observations are 9."""

    needs_object = False
    told_size = 0

    def told(self, observation, object_rad):
        raise AssertionError("nobody asked")

    def exchange(self, observation, reward, next_observation, object_rad, draw):
        observation[:], next_observation[:] = 9.0, 9.0
        reward += 7.0


def test_a_share_of_every_batch_is_exchanged_whole_and_the_rest_is_left_alone():
    replay = Replay(5, 2, 500)
    replay.extend(step_records(0, 500))
    generator = torch.Generator().manual_seed(3)
    (before,) = replay.sample(2000, 1, torch.Generator().manual_seed(3))
    (batch,) = replay.sample(2000, 1, generator)
    changed = Hindsight(Marking(), 0.25)(batch, generator)
    chosen = (changed.observation == 9.0).all(dim=1)
    assert 0.21 < chosen.double().mean() < 0.29
    torch.testing.assert_close(changed.reward, before.reward + 7.0 * chosen)
    assert torch.equal((changed.next_observation == 9.0).all(dim=1), chosen)
    for name in ("observation", "next_observation"):
        assert torch.equal(getattr(changed, name)[~chosen], getattr(before, name)[~chosen])
    assert torch.equal(changed.action, before.action)
    # What the replay holds is as it was.
    (again,) = replay.sample(2000, 1, torch.Generator().manual_seed(3))
    assert torch.equal(again.reward, before.reward)


def test_a_learner_updates_with_exchanged_goals_and_repeats():
    sac = SacConfig.model_validate({"network": {"hidden": [8]}, "batch_size": 64, "hindsight_share": 0.5})
    seen: list[Batch] = []

    def learned() -> np.ndarray:
        student = Learner(LAYOUT, sac, TrainConfig(), 0, compiled=False, goals=Marking())
        student.add(step_records(0, 40))
        plain = student.sac.update

        def update(batches):
            seen.extend(kept := list(batches))
            return plain(kept)

        student.sac.update = update
        student.update()
        return student.vector()

    np.testing.assert_array_equal(learned(), learned())
    shares = [float((batch.observation == 9.0).all(dim=1).double().mean()) for batch in seen]
    assert len(shares) == 2 * sac.updates_per_step
    assert all(0.2 < share < 0.8 for share in shares)


def test_where_the_valve_was_is_kept_with_the_transition_and_is_no_number_in_older_logs():
    replay = Replay(5, 2, 50, tracking=True)
    steps = step_records(0, 50)
    steps["object_rad"] = np.stack([steps["sequence"], steps["sequence"] + 0.5], axis=1)
    steps["reward"] = steps["sequence"]
    replay.extend(steps)
    (batch,) = replay.sample(64, 1, torch.Generator().manual_seed(0))
    assert batch.object_rad is not None
    torch.testing.assert_close(batch.object_rad, torch.stack([batch.reward, batch.reward + 0.5], dim=1))
    older = np.zeros(50, np.dtype([field for field in steps.dtype.descr if field[0] != "object_rad"]))
    for name in older.dtype.names or ():
        older[name] = steps[name]
    replay.extend(older)
    (batch,) = replay.sample(64, 1, torch.Generator().manual_seed(0))
    assert batch.object_rad is not None
    assert batch.object_rad.isnan().all()
