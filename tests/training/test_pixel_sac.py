"""Laws of Soft Actor-Critic on images: whose gradient moves the encoder, what follows it, and that every way of updating agrees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from policy.config import EncoderConfig, NetworkConfig
from policy.encoders import encode, encoder_parameters
from policy.layout import PolicyLayout
from tests.training.seeing import layout
from training.config import SacConfig
from training.pixel_sac import PixelSac, pixel_critic_loss
from training.sac import Batch, critic_loss

LAYOUT: PolicyLayout = layout()
assert LAYOUT.image is not None
IMAGE = LAYOUT.image
NETWORK = NetworkConfig(hidden=LAYOUT.hidden)
CONFIG = SacConfig(network=NETWORK, actor_every=2, target_rate=0.1)


def batch_of(size: int, seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, size, *IMAGE.shape), generator=g, dtype=torch.uint8)
    return Batch(
        torch.randn(size, 2, generator=g),
        torch.rand(size, 2, generator=g) * 2 - 1,
        torch.randn(size, generator=g),
        (torch.rand(size, generator=g) < 0.3).float(),
        torch.randn(size, 2, generator=g),
        images[0],
        images[1],
    )


def make(config: SacConfig = CONFIG, encoder: EncoderConfig | None = None, *, seed: int = 0, compiled: bool = False) -> PixelSac:
    return PixelSac(2, 2, IMAGE, encoder or EncoderConfig(stack=IMAGE.stack), config, seed, compiled=compiled)


def test_the_loss_is_that_of_the_features():
    sac, batch = make(), batch_of(6, 1)
    state, noise, subset, alpha = sac.state, torch.randn(6, 2), torch.tensor([0, 1]), torch.tensor(0.2)
    state.target_encoder["neck_bias"].add_(0.5)
    assert batch.image is not None
    assert batch.next_image is not None
    features = batch._replace(
        observation=torch.cat([encode(state.encoder, batch.image, IMAGE), batch.observation], -1),
        next_observation=torch.cat([encode(state.target_encoder, batch.next_image, IMAGE), batch.next_observation], -1),
    )
    expected, _ = critic_loss(state.critic, state.target, state.actor, alpha, features, noise, subset, CONFIG)
    learned = {"encoder": state.encoder, "critic": state.critic}
    loss, (_, observation) = pixel_critic_loss(learned, state, alpha, batch, noise, subset, CONFIG, IMAGE)
    assert float(loss) == float(expected)
    assert torch.equal(observation, features.observation)


def test_critics_alone_move_the_encoder_and_its_copy_follows_by_the_polyak_rate():
    sac = make()
    copy = {name: value.clone() for name, value in sac.state.target_encoder.items()}
    for update in range(1, 5):
        before = {name: value.clone() for name, value in sac.state.encoder.items()}
        actor = sac.state.actor["weight_0"].clone()
        sac.update([batch_of(16, update)])
        assert all(not torch.equal(value, sac.state.encoder[name]) for name, value in before.items())
        assert torch.equal(actor, sac.state.actor["weight_0"]) == (update % 2 == 1)
        for name, value in copy.items():
            value.lerp_(sac.state.encoder[name], 0.1)
            torch.testing.assert_close(value, sac.state.target_encoder[name])


def test_what_the_actor_wants_does_not_move_the_encoder():
    quiet = make(CONFIG.model_copy(update={"actor_every": 1000}))
    busy = make(CONFIG.model_copy(update={"actor_every": 1}))
    batch = batch_of(16, 1)._replace(terminated=torch.ones(16))
    for sac in (quiet, busy):
        sac.update([batch])
    assert all(torch.equal(value, busy.state.encoder[name]) for name, value in quiet.state.encoder.items())
    assert not torch.equal(quiet.actor_vector(), busy.actor_vector())


def require_goes_on(first: PixelSac, second: PixelSac, batch: Callable[[int, int], Batch]) -> None:
    """Require that what another one was takes over from a checkpoint, bit for bit; `batch` makes batches of a size from a seed."""
    first.update(batch(8, number) for number in range(3))
    second.restore({name: value.clone() for name, value in first.tensors().items()}, first.updates)
    second.generator.set_state(first.generator.get_state())
    for sac in (first, second):
        sac.update([batch(8, 7), batch(8, 8)])
    theirs = second.tensors()
    assert all(torch.equal(value, theirs[name]) for name, value in first.tensors().items())


def test_a_checkpoint_brings_everything_back_and_the_run_goes_on_bit_for_bit():
    require_goes_on(make(), make(seed=1), batch_of)


def test_its_vector_has_the_order_of_the_layout():
    sac = make()
    actor, encoder = LAYOUT.split_encoder(sac.actor_vector().numpy())
    for named, state in ((actor, sac.state.actor), (encoder, sac.state.encoder)):
        assert list(named) == list(state)
        assert all(torch.equal(torch.from_numpy(value), state[name]) for name, value in named.items())


def test_a_pretrained_encoder_stays_as_it_is(tmp_path: Path):
    path = tmp_path / "encoder.safetensors"
    parameters = encoder_parameters(IMAGE, torch.Generator().manual_seed(9))
    save_file(parameters, path)
    sac = make(encoder=EncoderConfig(stack=IMAGE.stack, pretrained=str(path)))
    critic = sac.state.critic["weight_0"].clone()
    sac.update([batch_of(8, 1), batch_of(8, 2)])
    assert all(torch.equal(value, sac.state.encoder[name]) for name, value in parameters.items())
    assert not torch.equal(critic, sac.state.critic["weight_0"])
    assert sac.actor_vector().shape == (LAYOUT.vector_size,)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_compiled_update_does_what_the_eager_one_does(precision):
    config = SacConfig.model_validate({"network": NETWORK, "actor_every": 9, "precision": precision})
    eager, compiled = make(config), make(config, compiled=True)
    for sac in (eager, compiled):
        sac.update([batch_of(16, 1), batch_of(16, 2)])
    # Adam's first steps have the size of the learning rate, whatever the gradient's: rounding may turn a few of them around.
    for name, value in eager.state.encoder.items():
        difference = (value - compiled.state.encoder[name]).abs()
        assert float(difference.mean()) < (1e-6 if precision == "float32" else 1e-4)
        assert float(difference.max()) <= 4.1 * config.learning_rate


def test_a_batch_without_images_is_refused():
    with pytest.raises(ValueError, match="needs image and next_image"):
        make().update([batch_of(4, 1)._replace(image=None)])
