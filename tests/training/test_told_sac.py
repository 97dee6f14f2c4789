"""Laws of a policy that sees and its teacher that is told: who takes what, whose gradient moves whom, and that the policy learns to see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policy.actor import actor_output
from policy.config import EncoderConfig
from policy.encoders import encode
from tests.training.test_pixel_sac import CONFIG, IMAGE, batch_of, require_goes_on
from tests.training.test_turn import PERIOD_S, state
from training.config import SacConfig
from training.hindsight import Hindsight
from training.sac import Batch, Sac
from training.tasks import ClawTurnConfig, ClawTurnPixelsConfig, TurnGoals, TurnTask
from training.told_sac import ToldSac, imitation_loss

TOLD = 3


def make(config: SacConfig = CONFIG, *, seed: int = 0, compiled: bool = False) -> ToldSac:
    return ToldSac(2, 2, IMAGE, EncoderConfig(stack=IMAGE.stack, asymmetric=True), config, seed, TOLD, compiled=compiled)


def told_batch(size: int, seed: int, images: int | None = None) -> Batch:
    """Images of the first transitions, as the replay gives them."""
    told = torch.randn(2, size, TOLD, generator=torch.Generator().manual_seed(seed))
    batch = batch_of(size, seed)
    assert batch.image is not None
    return batch._replace(told=told[0], next_told=told[1], image=batch.image[:images], next_image=None)


def felt(batch: Batch) -> Batch:
    assert batch.told is not None
    assert batch.next_told is not None
    observation, following = torch.cat([batch.observation, batch.told], -1), torch.cat([batch.next_observation, batch.next_told], -1)
    return Batch(observation, batch.action, batch.reward, batch.terminated, following)


def test_critics_and_teacher_learn_as_an_algorithm_does_that_sees_nothing_but_is_told():
    config = CONFIG.model_copy(update={"actor_every": 2})
    sac, blind = make(config), Sac(2 + TOLD, 2, config, 0)
    names = ("critic", "target", "log_temperature", "critic_moments", "temperature_moments")
    state, theirs = sac.state.tensors(), blind.state.tensors()
    for name, value in theirs.items():
        own = name.replace("actor", "teacher", 1) if name.startswith("actor") else name
        assert name.startswith((*names, "actor"))
        value.copy_(state[own])
    blind.generator.set_state(sac.generator.get_state())
    for update in range(1, 6):
        batch = told_batch(16, update, images=4)
        mine, other = sac.update([batch]), blind.update([felt(batch)])
        assert (mine.critic_loss, mine.value, mine.entropy) == (other.critic_loss, other.value, other.entropy)
    for name, value in theirs.items():
        own = name.replace("actor", "teacher", 1) if name.startswith("actor") else name
        assert torch.equal(value, state[own]), name
    assert not sac.state.target_encoder


def test_what_is_imitated_is_the_teachers_distribution():
    sac, batch = make(), told_batch(4000, 2)
    learned = {"actor": sac.state.actor, "encoder": sac.state.encoder}
    assert batch.image is not None
    observation = torch.cat([encode(sac.state.encoder, batch.image, IMAGE), batch.observation], -1)
    policy, teacher = (
        torch.distributions.Normal(mean, log_std.exp())
        for mean, log_std in (actor_output(sac.state.actor, observation), actor_output(sac.state.teacher, felt(batch).observation))
    )
    expected = torch.distributions.kl_divergence(teacher, policy).sum(-1).mean()
    assert float(imitation_loss(learned, sac.state.teacher, batch, IMAGE)) == pytest.approx(float(expected), rel=1e-4)
    few = told_batch(4000, 2, images=10)
    part = torch.distributions.kl_divergence(teacher, policy).sum(-1)[:10].mean()
    assert float(imitation_loss(learned, sac.state.teacher, few, IMAGE)) == pytest.approx(float(part), rel=1e-4)


def test_the_policy_moves_with_its_teacher_and_at_no_other_update():
    sac = make(CONFIG.model_copy(update={"actor_every": 2}))
    for update in range(1, 5):
        before = {name: value.clone() for name, value in (sac.state.encoder | sac.state.actor).items()}
        critic = sac.state.critic["weight_0"].clone()
        sac.update([told_batch(16, update)])
        after = sac.state.encoder | sac.state.actor
        assert all(torch.equal(value, after[name]) == (update % 2 == 1) for name, value in before.items())
        assert not torch.equal(critic, sac.state.critic["weight_0"])


def test_a_policy_learns_to_see_what_its_teacher_is_told():
    # A bright column, and where it is: nothing else is told, and no other column is bright.
    generator = torch.Generator().manual_seed(0)
    sac = make(CONFIG.model_copy(update={"actor_every": 1, "learning_rate": 1e-3}))

    def drawn(size: int) -> Batch:
        columns = torch.randint(0, IMAGE.width_px, (size,), generator=generator)
        batch = told_batch(size, 1)
        assert batch.image is not None
        assert batch.told is not None
        image, told = torch.zeros_like(batch.image), batch.told.clone()
        image[torch.arange(size), :, :, columns] = 255
        angle = columns * (6.28 / IMAGE.width_px)
        told[:, 0], told[:, 1], told[:, 2] = angle.sin(), angle.cos(), 0.0
        return batch._replace(image=image, told=told)

    # A teacher that does what it is told, and keeps to it.
    teacher = sac.state.teacher
    for value in teacher.values():
        value.zero_()
    teacher["weight_0"][2, 0], teacher["weight_0"][3, 1], teacher["bias_0"][:2] = 1.0, 1.0, 2.0
    last = max(int(name.split("_")[1]) for name in teacher)
    for layer in range(1, last + 1):
        teacher[f"weight_{layer}"][0, 0], teacher[f"weight_{layer}"][1, 1] = 1.0, 1.0
    teacher[f"bias_{last}"][:2], teacher[f"bias_{last}"][2:] = -2.0, -1.0
    kept = {name: value.clone() for name, value in teacher.items()}

    def error() -> float:
        batch = drawn(64)
        assert batch.image is not None
        assert batch.told is not None
        mean, _ = actor_output(sac.state.actor, torch.cat([encode(sac.state.encoder, batch.image, IMAGE), batch.observation], -1))
        return float((mean - batch.told[:, :2]).square().mean())

    before = error()
    for _ in range(200):
        sac._imitation_update(sac.state, drawn(32), sac.config, IMAGE)
    # The mean of squared sines is a half.
    assert before > 0.4
    assert error() < 0.05
    assert all(torch.equal(value, teacher[name]) for name, value in kept.items())


def test_a_checkpoint_brings_everything_back_and_the_run_goes_on_bit_for_bit():
    require_goes_on(make(), make(seed=1), told_batch)


def test_the_compiled_update_does_what_the_eager_one_does():
    eager, compiled = make(), make(compiled=True)
    for sac in (eager, compiled):
        sac.update(told_batch(16, number) for number in range(4))
    theirs = compiled.tensors()
    for name, value in eager.tensors().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4)


def test_a_batch_in_which_nothing_is_told_is_refused():
    with pytest.raises(ValueError, match="needs told and next_told"):
        make().update([batch_of(4, 0)])


def test_critics_are_told_what_the_task_shows_where_the_valve_is_not_hidden():
    """The same numbers as in the observation of the task from state, of the goal as it was exchanged."""
    hidden, shown = TurnTask(ClawTurnPixelsConfig(), PERIOD_S), TurnTask(ClawTurnConfig(), PERIOD_S)
    angles = np.linspace(-3.0, 3.0, 7)
    seen = [task.start(state(angle), np.random.default_rng(4))[0] for task in (hidden, shown) for angle in angles]
    blind, sighted = np.array(seen[:7]), np.array(seen[7:])
    object_rad = torch.tensor(np.stack([angles, angles], axis=1), dtype=torch.float32)
    batch = Batch(*(torch.tensor(blind) for _ in range(2)), torch.zeros(7), torch.zeros(7), torch.tensor(blind), object_rad=object_rad)
    goals = TurnGoals(hidden.config, hidden.observation_names)
    told = Hindsight(goals, 0.0, telling=True)(batch, torch.Generator()).told
    names = [shown.observation_names.index(name) for name in ("lobe sine", "lobe cosine", "error sine", "error cosine", "near error")]
    assert told is not None
    assert told.shape == (7, goals.told_size)
    np.testing.assert_allclose(told.numpy()[:, 2:], sighted[:, names], atol=1e-5)
    # And what no goal changes: the picture of a valve with one coloured lobe.
    np.testing.assert_allclose(told.numpy()[:, :2], np.stack([np.sin(angles), np.cos(angles)], axis=1), atol=1e-6)
    exchanged = Hindsight(goals, 0.999, telling=True)(batch, torch.Generator().manual_seed(0))
    assert exchanged.next_told is not None
    left = goals.left_rad(exchanged.next_observation.numpy(), angles.astype(np.float32))
    np.testing.assert_allclose(exchanged.next_told[:, 4], np.sin(left), atol=1e-5)
