"""Laws of encoders, of policies that see, and of the stack of frames that they see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from policy.acting import Actor, NumpyActor, TorchScriptActor, fastest
from policy.actor import actor_parameters, sample_action
from policy.config import EncoderConfig
from policy.encoders import encode, encoder_parameters, load_encoder
from policy.image import EncoderKind, FrameStack, ImageLayout
from policy.layout import PolicyLayout
from policy.snapshot import Policy, PolicyConfig, load_policy, save_policy
from robot import PolicyError
from tests.policy.test_networks import LAYOUT

KINDS: tuple[EncoderKind, ...] = ("paper", "drq", "residual")


def image_layout(kind: EncoderKind, width: int = 32, height: int = 32, stack: int = 3) -> ImageLayout:
    return EncoderConfig(kind=kind, features=12, stack=stack).layout(width, height)


def seeing(kind: EncoderKind, width: int = 32, height: int = 32) -> PolicyLayout:
    return LAYOUT.model_copy(update={"image": image_layout(kind, width, height)})


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frames(layout: ImageLayout, seed: int, count: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (count, *layout.shape), generator=generator(seed), dtype=torch.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(16, 16), (32, 32), (84, 84), (37, 53)])
def test_features_have_their_shape_and_bounds_and_every_parameter_counts(kind, size):
    layout = image_layout(kind, *size)
    parameters = encoder_parameters(layout, generator(0))
    assert {name: tuple(value.shape) for name, value in parameters.items()} == layout.shapes
    image = frames(layout, 1, 2)
    features = encode(parameters, image, layout)
    assert features.shape == (2, 12)
    assert (features.abs() < 1.0).all()
    gradients = torch.func.grad(lambda p: (encode(p, image, layout) * torch.arange(12.0)).sum())(parameters)
    assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


def test_the_paper_encoder_is_that_of_the_paper_written_out():
    layout = image_layout("paper")
    p = encoder_parameters(layout, generator(0))
    image = frames(layout, 1)
    x = torch.cat(list(image[0]), dim=-1).permute(2, 0, 1)[None].float() / 255 - 0.5
    for number in range(2):
        x = F.max_pool2d(F.relu(F.conv2d(x, p[f"filter_{number}"], p[f"offset_{number}"], padding=1)), 3)
    neck = x.permute(0, 2, 3, 1).flatten(1) @ p["neck_weight"] + p["neck_bias"]
    torch.testing.assert_close(encode(p, image, layout), torch.tanh(F.layer_norm(neck, (12,))), rtol=1e-4, atol=1e-5)


def test_the_second_half_of_the_residual_encoder_adds_to_the_first():
    layout = image_layout("residual")
    p = encoder_parameters(layout, generator(0))
    for number in (2, 3):
        p[f"filter_{number}"].zero_()
        p[f"offset_{number}"].zero_()
    image = frames(layout, 1)
    x = image.permute(0, 1, 4, 2, 3).flatten(1, 2).float() / 255 - 0.5
    x = F.conv2d(F.relu(F.conv2d(x, p["filter_0"], p["offset_0"], stride=2)), p["filter_1"], p["offset_1"], stride=2, padding=1)
    neck = F.relu(x).permute(0, 2, 3, 1).flatten(1) @ p["neck_weight"] + p["neck_bias"]
    torch.testing.assert_close(encode(p, image, layout), torch.tanh(F.layer_norm(neck, (12,))), rtol=1e-4, atol=1e-5)


def vector(layout: PolicyLayout, seed: int) -> np.ndarray:
    assert layout.image is not None
    actor = actor_parameters(12 + 5, 3, layout.hidden, generator(seed))
    encoder = encoder_parameters(layout.image, generator(seed + 1))
    return torch.cat([value.reshape(-1) for value in (*actor.values(), *encoder.values())]).numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(32, 32), (64, 48), (37, 53)])
def test_all_back_ends_see_and_act_like_the_trained_network(kind, size):
    layout = seeing(kind, *size)
    assert layout.image is not None
    weights = vector(layout, 3)
    actor, encoder = ({name: torch.from_numpy(value) for name, value in part.items()} for part in layout.split_encoder(weights))
    rng = np.random.default_rng(4)
    observation, noise = rng.standard_normal(5, dtype=np.float32), rng.standard_normal(3, dtype=np.float32)
    image = frames(layout.image, 5)
    felt = torch.cat([encode(encoder, image, layout.image), torch.from_numpy(observation)[None]], dim=-1)
    for drawn, given in ((noise, noise), (np.zeros(3, np.float32), None)):
        expected = sample_action(actor, felt, torch.from_numpy(drawn)[None])[0][0].numpy()
        for policy in (NumpyActor(layout), TorchScriptActor(layout)):
            policy.load(weights)
            np.testing.assert_allclose(policy.act(observation, given, image[0].numpy()), expected, atol=1e-5)


@pytest.mark.parametrize("backend", [NumpyActor, TorchScriptActor])
def test_a_policy_is_given_an_image_if_it_sees_and_of_its_size(backend):
    seer: Actor = backend(seeing("residual"))
    seer.load(vector(seeing("residual"), 0))
    blind: Actor = backend(LAYOUT)
    blind.load(torch.cat([value.reshape(-1) for value in actor_parameters(5, 3, LAYOUT.hidden, generator(0)).values()]).numpy())
    observation, image = np.zeros(5, np.float32), np.zeros((3, 32, 32, 3), np.uint8)
    with pytest.raises(PolicyError, match=r"the policy sees: give it frames of shape \(3, 32, 32, 3\), uint8"):
        seer.act(observation, None)
    for wrong in (image[:2], image[..., :2], image.astype(np.float32)):
        with pytest.raises(PolicyError, match=r"give it frames of shape \(3, 32, 32, 3\), uint8"):
            seer.act(observation, None, wrong)
    with pytest.raises(PolicyError, match="does not see: give it no image"):
        blind.act(observation, None, image)


def test_the_fastest_back_end_for_images_is_one_of_those_measured():
    assert fastest(seeing("residual")).backend in ("numpy", "torchscript")


def test_a_policy_that_sees_returns_from_disk_bit_for_bit_and_one_of_before_still_loads(tmp_path: Path):
    layout = seeing("paper")
    save_policy(tmp_path / "new", Policy(PolicyConfig(layout=layout, version=1, steps=1, updates=1), vector(layout, 0)))
    loaded = load_policy(tmp_path / "new")
    assert loaded.config.layout == layout
    np.testing.assert_array_equal(loaded.vector, vector(layout, 0))
    assert "image" in layout.difference(seeing("drq"), ("image",))
    before = LAYOUT.model_dump()
    del before["image"]
    assert PolicyLayout.model_validate(before) == LAYOUT


def test_a_pretrained_encoder_is_read_alone_or_from_a_policy(tmp_path: Path):
    layout = image_layout("residual")
    parameters = encoder_parameters(layout, generator(0))
    save_file(parameters, tmp_path / "alone.safetensors")
    save_file(
        {f"encoder_{name}": value for name, value in parameters.items()} | {"weight_0": torch.ones(3)}, tmp_path / "policy.safetensors"
    )
    for name in ("alone", "policy"):
        loaded = load_encoder(tmp_path / f"{name}.safetensors", layout)
        assert list(loaded) == list(layout.shapes)
        assert all(torch.equal(loaded[name], value) for name, value in parameters.items())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("remove", "no encoder can be read"),
        ("garbage", "no encoder can be read"),
        ("name", "tensor 'filter_1' of encoder 'residual' is missing"),
        ("shape", "tensor 'filter_1' has shape"),
        ("nan", "tensor 'filter_1' holds numbers that are not finite"),
    ],
)
def test_a_pretrained_encoder_that_does_not_fit_is_refused(tmp_path: Path, damage, message):
    layout, path = image_layout("residual"), tmp_path / "encoder.safetensors"
    parameters = encoder_parameters(layout, generator(0))
    if damage == "name":
        del parameters["filter_1"]
    elif damage == "shape":
        parameters["filter_1"] = parameters["filter_1"][:5].clone()
    elif damage == "nan":
        parameters["filter_1"][0, 0, 0, 0] = torch.nan
    save_file(parameters, path)
    if damage == "remove":
        path.unlink()
    elif damage == "garbage":
        path.write_bytes(b"not a safetensors file")
    with pytest.raises(PolicyError, match=message):
        load_encoder(path, layout)


def test_a_stack_repeats_the_first_frame_of_an_episode_and_holds_the_newest():
    stack = FrameStack(image_layout("paper"))
    made = [np.full((32, 32, 3), number, np.uint8) for number in range(5)]
    for episode in range(2):
        seen = [stack.push(frame)[:, 0, 0, 0].tolist() for frame in made]
        assert seen == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]], episode
        stack.clear()
