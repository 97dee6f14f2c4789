"""Laws of actor, critics and of acting at batch 1."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform

from policy.acting import NumpyActor, TorchScriptActor, fastest
from policy.actor import actor_output, actor_parameters, sample_action
from policy.config import NetworkConfig
from policy.critic import action_values, critic_parameters
from policy.layout import PolicyLayout
from policy.snapshot import Policy, PolicyConfig, load_policy, save_policy
from robot import PolicyError

LAYOUT = PolicyLayout(
    robot="test",
    task="test",
    joint_names=("a", "b"),
    observation_names=tuple(f"o{i}" for i in range(5)),
    action_names=("x", "y", "z"),
    control_hz=50.0,
    action_scaling=("scale=0.5",),
    hidden=(16, 8),
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vector(seed: int) -> np.ndarray:
    parameters = actor_parameters(5, 3, LAYOUT.hidden, generator(seed))
    return torch.cat([value.reshape(-1) for value in parameters.values()]).numpy()


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_log_density_agrees_with_torch_distributions_in_float64(seed):
    g = generator(seed)
    parameters = {name: value.double() for name, value in actor_parameters(5, 3, (16,), g).items()}
    observation = torch.randn(7, 5, generator=g, dtype=torch.float64)
    noise = torch.randn(7, 3, generator=g, dtype=torch.float64)
    action, log_density = sample_action(parameters, observation, noise)
    mean, log_std = actor_output(parameters, observation)
    reference = TransformedDistribution(Normal(mean, log_std.exp()), [TanhTransform()]).log_prob(action).sum(-1)
    torch.testing.assert_close(log_density, reference, rtol=1e-6, atol=1e-6)
    assert (action.abs() <= 1.0).all()


def test_log_density_stays_finite_where_tanh_saturates():
    parameters = actor_parameters(5, 3, (16,), generator(0))
    parameters["bias_1"][:3] = 40.0
    action, log_density = sample_action(parameters, torch.zeros(2, 5), torch.zeros(2, 3))
    assert (action == 1.0).all()
    assert torch.isfinite(log_density).all()


@pytest.mark.parametrize("layer_norm", [False, True])
def test_stacked_critics_equal_separate_ones(layer_norm):
    config = NetworkConfig(hidden=(16, 12), critics=4, critic_layer_norm=layer_norm)
    parameters = critic_parameters(5, 3, config, generator(1))
    observation, action = torch.randn(6, 5, generator=generator(2)), torch.randn(6, 3, generator=generator(3))
    stacked = action_values(parameters, observation, action)
    assert stacked.shape == (4, 6)
    for critic in range(4):
        alone = {name: value[critic : critic + 1] for name, value in parameters.items()}
        torch.testing.assert_close(action_values(alone, observation, action)[0], stacked[critic])
    assert not torch.allclose(stacked[0], stacked[1])


def test_dropout_changes_values_only_when_it_is_on():
    parameters = critic_parameters(5, 3, NetworkConfig(hidden=(16,)), generator(1))
    inputs = torch.randn(6, 5, generator=generator(2)), torch.randn(6, 3, generator=generator(3))
    assert torch.equal(action_values(parameters, *inputs), action_values(parameters, *inputs))
    assert not torch.equal(action_values(parameters, *inputs, 0.5), action_values(parameters, *inputs, 0.5))


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_all_back_ends_act_like_the_trained_network(seed):
    rng = np.random.default_rng(seed)
    weights = vector(seed)
    observation, noise = rng.standard_normal(5, dtype=np.float32), rng.standard_normal(3, dtype=np.float32)
    parameters = {name: torch.from_numpy(value) for name, value in LAYOUT.split(weights).items()}
    stochastic = sample_action(parameters, torch.from_numpy(observation)[None], torch.from_numpy(noise)[None])[0][0].numpy()
    mean = sample_action(parameters, torch.from_numpy(observation)[None], torch.zeros(1, 3))[0][0].numpy()
    for actor in (NumpyActor(LAYOUT), TorchScriptActor(LAYOUT)):
        actor.load(weights)
        np.testing.assert_allclose(actor.act(observation, noise), stochastic, atol=1e-5)
        np.testing.assert_allclose(actor.act(observation, None), mean, atol=1e-5)


@pytest.mark.parametrize("backend", [NumpyActor, TorchScriptActor])
def test_bad_weights_are_refused_and_the_last_good_set_acts_on(backend):
    actor = backend(LAYOUT)
    actor.load(vector(0))
    observation = np.ones(5, np.float32)
    before = actor.act(observation, None)
    poisoned = vector(1).copy()
    poisoned[7] = np.nan
    for bad, message in ((poisoned, "not finite"), (vector(1)[:-1], "another network")):
        with pytest.raises(PolicyError, match=message):
            actor.load(bad)
        np.testing.assert_array_equal(actor.act(observation, None), before)


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize("backend", [NumpyActor, TorchScriptActor])
def test_an_actor_that_is_given_parameters_for_hours_acts_by_the_newest_and_takes_no_more_memory(backend):
    wide = LAYOUT.model_copy(update={"hidden": (256, 256)})
    actor, reference = backend(wide), NumpyActor(wide)
    rng = np.random.default_rng(0)
    observation, before = np.ones(5, np.float32), 0.0
    for number in range(220):
        weights = rng.standard_normal(wide.vector_size, dtype=np.float32) * np.float32(0.05)
        actor.load(weights)
        reference.load(weights)
        np.testing.assert_allclose(actor.act(observation, None), reference.act(observation, None), atol=1e-5)
        if number == 20:
            before = resident_mib()
    # 1 MiB each where every load makes a module of its own.
    assert resident_mib() - before < 40.0


@pytest.mark.parametrize("backend", [NumpyActor, TorchScriptActor])
def test_an_actor_keeps_no_reference_to_the_vector_it_was_given(backend):
    actor = backend(LAYOUT)
    weights = vector(0).copy()
    actor.load(weights)
    before = actor.act(np.ones(5, np.float32), None)
    weights[:] = 0.0
    np.testing.assert_array_equal(actor.act(np.ones(5, np.float32), None), before)


def test_the_fastest_back_end_is_one_of_those_measured():
    assert fastest(LAYOUT).backend in ("numpy", "torchscript")


def policy(seed: int, version: int) -> Policy:
    return Policy(PolicyConfig(layout=LAYOUT, version=version, steps=10, updates=80), vector(seed))


def test_a_policy_returns_from_disk_bit_for_bit_and_replaces_the_older(tmp_path):
    save_policy(tmp_path / "policy", policy(0, 1))
    save_policy(tmp_path / "policy", policy(1, 2))
    for path in (tmp_path, tmp_path / "policy"):
        loaded = load_policy(path)
        assert loaded.config.version == 2
        np.testing.assert_array_equal(loaded.vector, vector(1))
    assert len(list((tmp_path / "policy").iterdir())) == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "config", "empty config", "swap"])
def test_a_damaged_policy_is_refused(tmp_path, damage):
    save_policy(tmp_path, policy(0, 1))
    weights = next(tmp_path.glob("*.safetensors"))
    config = tmp_path / "config.json"
    content = bytearray(weights.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        weights.write_bytes(bytes(content))
    elif damage == "cut":
        weights.write_bytes(bytes(content[:-10]))
    elif damage == "remove":
        weights.unlink()
    elif damage == "config":
        config.write_text(config.read_text()[:-20])
    elif damage == "empty config":
        config.write_text("")
    else:
        save_policy(tmp_path / "other", policy(5, 1))
        weights.write_bytes(next((tmp_path / "other").glob("*.safetensors")).read_bytes())
    with pytest.raises(PolicyError, match=r"corrupt|checksum"):
        load_policy(tmp_path)


def test_a_folder_without_a_policy_says_so(tmp_path):
    with pytest.raises(PolicyError, match="holds no policy"):
        load_policy(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"robot": "other"},
        {"joint_names": ("b", "a")},
        {"control_hz": 20.0},
        {"action_scaling": ("scale=0.4",)},
        {"observation_names": ("o",) * 5},
    ],
)
def test_a_policy_of_another_robot_is_refused_by_the_field_that_differs(change):
    with pytest.raises(PolicyError, match=next(iter(change))):
        LAYOUT.require_same(LAYOUT.model_copy(update=change), "here")
    LAYOUT.require_same(LAYOUT.model_copy(), "here")
