"""Laws of Soft Actor-Critic: the losses against independent references, and learning on problems with a known answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from policy.actor import sample_action
from policy.config import NetworkConfig
from policy.critic import action_values
from training.adam import adam_step, zero_moments
from training.config import SacConfig
from training.sac import Batch, Sac, actor_loss, critic_loss

SMALL = NetworkConfig(hidden=(32, 32))


def random_batch(size: int, observation: int, action: int, seed: int) -> Batch:
    g = torch.Generator().manual_seed(seed)
    return Batch(
        torch.randn(size, observation, generator=g),
        torch.rand(size, action, generator=g) * 2 - 1,
        torch.randn(size, generator=g),
        (torch.rand(size, generator=g) < 0.3).float(),
        torch.randn(size, observation, generator=g),
    )


def test_adam_equals_torch_optim():
    g = torch.Generator().manual_seed(0)
    ours = {"w": torch.randn(4, 3, generator=g), "b": torch.randn(3, generator=g)}
    theirs = [nn.Parameter(value.clone()) for value in ours.values()]
    optimiser = torch.optim.Adam(theirs, lr=1e-2)
    moments = zero_moments(ours)
    for _ in range(50):
        gradients = {name: torch.randn(value.shape, generator=g) for name, value in ours.items()}
        for parameter, gradient in zip(theirs, gradients.values(), strict=True):
            parameter.grad = gradient
        optimiser.step()
        adam_step(ours, gradients, moments, 1e-2)
    for mine, reference in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(mine, reference.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("critics", [2, 5])
def test_critic_loss_is_the_soft_bellman_residual_written_out(critics):
    config = SacConfig(network=NetworkConfig(hidden=(16,), critics=critics))
    sac = Sac(4, 2, config, seed=1)
    batch = random_batch(9, 4, 2, seed=2)
    noise = torch.randn(9, 2, generator=torch.Generator().manual_seed(3))
    subset = torch.tensor([1, 0]) if critics == 2 else torch.tensor([4, 2])
    alpha = torch.tensor(0.3)
    loss, _ = critic_loss(sac.state.critic, sac.state.target, sac.state.actor, alpha, batch, noise, subset, config)
    next_action, log_density = sample_action(sac.state.actor, batch.next_observation, noise)
    expected = 0.0
    for i in range(9):
        next_q = action_values(sac.state.target, batch.next_observation[i : i + 1], next_action[i : i + 1])[:, 0]
        soft = min(float(next_q[k]) for k in subset) - 0.3 * float(log_density[i])
        goal = float(batch.reward[i]) + (0.0 if batch.terminated[i] else 0.99 * soft)
        for q in action_values(sac.state.critic, batch.observation[i : i + 1], batch.action[i : i + 1])[:, 0]:
            expected += 0.5 * (float(q) - goal) ** 2 / 9
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_no_gradient_reaches_the_target_of_the_critic_and_a_terminal_has_no_future():
    config = SacConfig(network=SMALL)
    sac = Sac(4, 2, config, seed=1)
    batch = random_batch(8, 4, 2, seed=2)._replace(terminated=torch.ones(8))
    other = batch._replace(next_observation=batch.next_observation + 10.0)
    noise, subset = torch.randn(8, 2), torch.tensor([0, 1])
    first = critic_loss(sac.state.critic, sac.state.target, sac.state.actor, torch.tensor(0.1), batch, noise, subset, config)[0]
    second = critic_loss(sac.state.critic, sac.state.target, sac.state.actor, torch.tensor(0.1), other, noise, subset, config)[0]
    assert float(first) == float(second)


def test_actor_loss_gradient_agrees_with_finite_differences():
    config = SacConfig(network=NetworkConfig(hidden=(8,)))
    sac = Sac(3, 2, config, seed=4)
    actor = {name: value.double() for name, value in sac.state.actor.items()}
    critic = {name: value.double() for name, value in sac.state.critic.items()}
    observation, noise = torch.randn(5, 3).double(), torch.randn(5, 2).double()

    def loss(p: dict[str, torch.Tensor]) -> torch.Tensor:
        return actor_loss(p, critic, torch.tensor(0.2).double(), observation, noise, config)[0]

    gradient = torch.func.grad(loss)(actor)["weight_0"]
    for index in ((0, 0), (2, 5), (1, 3)):
        shifted = []
        for sign in (1.0, -1.0):
            moved = {name: value.clone() for name, value in actor.items()}
            moved["weight_0"][index] += sign * 1e-6
            shifted.append(float(loss(moved)))
        assert float(gradient[index]) == pytest.approx((shifted[0] - shifted[1]) / 2e-6, rel=1e-3, abs=1e-8)


def test_targets_follow_by_the_polyak_rate_and_the_actor_moves_every_nth_update():
    config = SacConfig(network=SMALL, actor_every=3, target_rate=0.1)
    sac = Sac(4, 2, config, seed=0)
    target = {name: value.clone() for name, value in sac.state.target.items()}
    actor = sac.actor_vector()
    moved = []
    for update in range(1, 7):
        sac.update([random_batch(16, 4, 2, seed=update)])
        for name, value in target.items():
            value.lerp_(sac.state.critic[name], 0.1)
            torch.testing.assert_close(value, sac.state.target[name])
        moved.append(not torch.equal(actor, sac.actor_vector()))
        actor = sac.actor_vector()
    assert moved == [False, False, True, False, False, True]
    assert sac.updates == 6


def test_two_learners_of_one_seed_are_identical_and_of_two_seeds_are_not():
    def learn(seed: int) -> dict[str, torch.Tensor]:
        sac = Sac(4, 2, SacConfig(network=NetworkConfig(hidden=(16,), critics=3, critic_dropout=0.0)), seed=seed)
        sac.update([random_batch(32, 4, 2, seed=i) for i in range(10)])
        return sac.state.tensors()

    first, second, other = learn(0), learn(0), learn(1)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["actor.weight_0"], other["actor.weight_0"])


def bandit(sac: Sac, updates: int) -> None:
    """One-step problem: reward -(action - 0.5)^2 in every dimension, every step terminal."""
    g = torch.Generator().manual_seed(7)
    for _ in range(updates // 8):
        batches = []
        for _ in range(8):
            action = torch.rand(64, 2, generator=g) * 2 - 1
            reward = -10.0 * (action - 0.5).square().sum(-1)
            batches.append(Batch(torch.zeros(64, 1), action, reward, torch.ones(64), torch.zeros(64, 1)))
        sac.update(batches)


def test_it_learns_the_best_action_of_a_bandit_and_its_value():
    sac = Sac(1, 2, SacConfig(network=SMALL, learning_rate=3e-3, actor_every=1, initial_temperature=0.1), seed=0)
    bandit(sac, 800)
    mean = sample_action(sac.state.actor, torch.zeros(1, 1), torch.zeros(1, 2))[0][0]
    np.testing.assert_allclose(mean.numpy(), 0.5, atol=0.1)
    values = action_values(sac.state.critic, torch.zeros(2, 1), torch.tensor([[0.5, 0.5], [-0.5, 0.5]]))
    assert float(values[:, 0].mean()) == pytest.approx(0.0, abs=0.7)
    assert float(values[:, 1].mean()) == pytest.approx(-10.0, abs=1.5)


def test_the_temperature_brings_the_entropy_to_its_target():
    config = SacConfig(network=SMALL, learning_rate=3e-3, actor_every=1, initial_temperature=1.0)
    sac = Sac(1, 2, config, seed=0)
    bandit(sac, 1600)
    _, log_density = sample_action(sac.state.actor, torch.zeros(4096, 1), torch.randn(4096, 2))
    assert float(-log_density.mean()) == pytest.approx(-2.0, abs=0.6)
    assert float(sac.state.log_temperature["value"].exp()) != pytest.approx(1.0)


def test_a_time_limit_bootstraps_and_a_termination_does_not():
    """A state that returns reward 1 for ever is worth 1 / (1 - gamma) when cut off by a limit, and 1 when it ends."""
    config = SacConfig(network=SMALL, learning_rate=3e-3, discount=0.5, initial_temperature=1e-6, target_rate=0.05, actor_every=10_000)
    values = {}
    for terminated in (0.0, 1.0):
        sac = Sac(1, 1, config, seed=0)
        g = torch.Generator().manual_seed(0)
        for _ in range(60):
            action = torch.rand(64, 1, generator=g) * 2 - 1
            sac.update([Batch(torch.zeros(64, 1), action, torch.ones(64), torch.full((64,), terminated), torch.zeros(64, 1))] * 8)
        values[terminated] = float(action_values(sac.state.critic, torch.zeros(1, 1), torch.zeros(1, 1)).mean())
    assert values[1.0] == pytest.approx(1.0, abs=0.1)
    assert values[0.0] == pytest.approx(2.0, abs=0.2)
    assert not math.isnan(values[0.0])
