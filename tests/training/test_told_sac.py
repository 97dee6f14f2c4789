"""Laws of critics that are told: what they take, whose gradient moves the encoder, and that it learns to see."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from policy.actor import actor_hidden
from policy.config import EncoderConfig
from policy.encoders import encode
from tests.training.test_pixel_sac import CONFIG, IMAGE, batch_of, require_goes_on
from tests.training.test_turn import PERIOD_S, state
from training.config import SacConfig
from training.hindsight import Hindsight
from training.sac import Batch, actor_loss, critic_loss
from training.tasks import ClawTurnConfig, ClawTurnPixelsConfig, TurnGoals, TurnTask
from training.told_sac import ToldSac, told_actor_loss

TOLD = 3


def make(config: SacConfig = CONFIG, *, seed: int = 0, weight: float = 0.0, compiled: bool = False) -> ToldSac:
    encoder = EncoderConfig(stack=IMAGE.stack, asymmetric=True, told_weight=weight)
    return ToldSac(2, 2, IMAGE, encoder, config, seed, TOLD, compiled=compiled)


def told_batch(size: int, seed: int) -> Batch:
    told = torch.randn(2, size, TOLD, generator=torch.Generator().manual_seed(seed))
    return batch_of(size, seed)._replace(told=told[0], next_told=told[1])


def test_critics_take_what_is_felt_and_told_and_the_next_action_is_the_seeing_policys():
    sac, batch = make(), told_batch(6, 1)
    noise = torch.randn(6, 2, generator=torch.Generator().manual_seed(5))
    assert batch.told is not None
    assert batch.next_told is not None
    assert batch.next_image is not None
    felt = Batch(
        torch.cat([batch.observation, batch.told], -1),
        batch.action,
        batch.reward,
        batch.terminated,
        torch.cat([batch.next_observation, batch.next_told], -1),
        next_seen=torch.cat([encode(sac.state.encoder, batch.next_image, IMAGE), batch.next_observation], -1),
    )
    alpha = sac.state.log_temperature["value"].exp()
    expected, _ = critic_loss(sac.state.critic, sac.state.target, sac.state.actor, alpha, felt, noise, torch.tensor([0, 1]), CONFIG)
    with torch.no_grad():
        metrics, _ = sac._update_critics(batch, noise)
    assert float(metrics.loss) == pytest.approx(float(expected), rel=1e-6)


def test_the_actors_gradient_alone_moves_the_encoder():
    sac = make(CONFIG.model_copy(update={"actor_every": 2}))
    for update in range(1, 5):
        before = {name: value.clone() for name, value in sac.state.encoder.items()}
        critic = sac.state.critic["weight_0"].clone()
        sac.update([told_batch(16, update)])
        assert all(torch.equal(value, sac.state.encoder[name]) == (update % 2 == 1) for name, value in before.items())
        assert not torch.equal(critic, sac.state.critic["weight_0"])
    assert not sac.state.target_encoder


def test_the_actors_loss_is_judged_by_what_is_told():
    sac, batch, noise = make(), told_batch(6, 2), torch.randn(6, 2)
    assert batch.image is not None
    assert batch.told is not None
    observation = torch.cat([encode(sac.state.encoder, batch.image, IMAGE), batch.observation], -1)
    alpha, judged = torch.tensor(0.2), torch.cat([batch.observation, batch.told], -1)
    expected, entropy = actor_loss(sac.state.actor, sac.state.critic, alpha, observation, noise, CONFIG, judged)
    learned = {"actor": sac.state.actor, "encoder": sac.state.encoder}
    loss, (alone, same) = told_actor_loss(learned, sac.state.critic, alpha, batch, noise, CONFIG, IMAGE)
    assert (float(loss), float(alone), float(same)) == (float(expected), float(expected), float(entropy))


def said_by(sac: ToldSac, batch: Batch) -> torch.Tensor:
    assert batch.image is not None
    state = sac.state
    features = encode(state.encoder, batch.image, IMAGE)
    hidden = actor_hidden(state.actor, torch.cat([features, batch.observation], -1))
    return torch.cat([features, hidden], -1) @ state.head["weight"] + state.head["bias"]


def test_what_is_told_is_learned_beside():
    sac, batch, noise = make(weight=3.0), told_batch(6, 2), torch.randn(6, 2)
    assert batch.told is not None
    state, alpha = sac.state, torch.tensor(0.2)
    learned = {"actor": state.actor, "encoder": state.encoder, "head": state.head}
    loss, (alone, _) = told_actor_loss(learned, state.critic, alpha, batch, noise, CONFIG, IMAGE, 3.0)
    error = (said_by(sac, batch) - batch.told).square().mean()
    assert float(loss - alone) == pytest.approx(3.0 * float(error), rel=1e-4)


def test_an_encoder_finds_where_something_is_in_images():
    # A bright column, and where it is: nothing else moves, and no action is worth more than another.
    generator = torch.Generator().manual_seed(0)
    sac = make(CONFIG.model_copy(update={"actor_every": 1}), weight=10.0)

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

    def error() -> float:
        batch = drawn(64)
        assert batch.told is not None
        return float((said_by(sac, batch) - batch.told).square().mean())

    before = error()
    for _ in range(60):
        sac.update([drawn(32)])
    # The mean of squared sines is a half: saying nothing costs a third over all.
    assert before > 0.25
    assert error() < 0.08


@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_a_checkpoint_brings_everything_back_and_the_run_goes_on_bit_for_bit(weight: float):
    require_goes_on(make(weight=weight), make(seed=1, weight=weight), told_batch)


def test_the_compiled_update_does_what_the_eager_one_does():
    eager, compiled = make(weight=2.0), make(weight=2.0, compiled=True)
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
