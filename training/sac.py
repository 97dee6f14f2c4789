"""Soft Actor-Critic (Haarnoja et al. 2018, arXiv 1812.05905), in one file: losses as pure functions, then one update in place.

Options that make it sample-efficient: several updates a step, LayerNorm or dropout critics (DroQ, arXiv 2110.02034), an ensemble with a
random subset for the target (REDQ, arXiv 2101.05982), the actor updated every n-th time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value

from policy.actor import Parameters, actor_parameters, sample_action
from policy.critic import action_values, critic_parameters
from training.adam import Moments, adam_step, zero_moments
from training.config import SacConfig


class Batch(NamedTuple):
    """Transitions: observation (batch, o), action (batch, a), reward (batch,), terminated (batch,) as 0 or 1, next observation (batch, o).

    A time limit is not a termination: its transitions carry 0 and bootstrap. Where a policy sees, both observations have their stack of
    frames, (batch, stack, h, w, 3), uint8. `object_rad` is the angle of the tracked object at both observations, (batch, 2), where it is
    kept. Where critics are told what a policy has to see, that is `told` and `next_told`, (batch, t), and only `image` is there, of the
    first transitions.
    """

    observation: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    next_observation: Tensor
    image: Tensor | None = None
    next_image: Tensor | None = None
    object_rad: Tensor | None = None
    told: Tensor | None = None
    next_told: Tensor | None = None


class CriticMetrics(NamedTuple):
    """Scalars of a critic update: loss and mean Q."""

    loss: Tensor
    value: Tensor


class ActorMetrics(NamedTuple):
    """Scalars of an actor update: loss, policy entropy and temperature."""

    loss: Tensor
    entropy: Tensor
    temperature: Tensor


@dataclass(frozen=True)
class SacState:
    """All that learning changes, updated in place."""

    actor: Parameters
    critic: Parameters
    target: Parameters
    log_temperature: Parameters
    actor_moments: Moments
    critic_moments: Moments
    temperature_moments: Moments

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor under a flat name: what a checkpoint holds."""
        named: dict[str, Tensor] = {}
        for group in fields(self):
            value: Parameters | Moments = getattr(self, group.name)
            named.update({f"{group.name}.{name}": tensor for name, tensor in _tensors_of(value).items()})
        return named

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors of a checkpoint into this state; names and shapes are the checkpoint's to verify."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])


def _tensors_of(group: Parameters | Moments) -> dict[str, Tensor]:
    if not isinstance(group, Moments):
        return group
    first = {f"first.{name}": value for name, value in group.first.items()}
    return {**first, **{f"second.{name}": value for name, value in group.second.items()}, "steps": group.steps}


def initial_state(observation: int, action: int, config: SacConfig, generator: torch.Generator, judged: int | None = None) -> SacState:
    """Draw the networks for vectors of `observation` and `action` elements from `generator`; critics take `judged`, if they take others."""
    actor = actor_parameters(observation, action, config.network.hidden, generator)
    critic = critic_parameters(observation if judged is None else judged, action, config.network, generator)
    log_temperature = {"value": torch.tensor(math.log(config.initial_temperature))}
    return SacState(
        actor,
        critic,
        {name: value.clone() for name, value in critic.items()},
        log_temperature,
        zero_moments(actor),
        zero_moments(critic),
        zero_moments(log_temperature),
    )


def critic_loss(
    critic: Parameters,
    target: Parameters,
    actor: Parameters,
    temperature: Tensor,
    batch: Batch,
    noise: Tensor,
    subset: Tensor,
    config: SacConfig,
) -> tuple[Tensor, Tensor]:
    """Equations 5 and 3: J(Q) = E[1/2 (Q(s,a) - r - gamma (1 - terminated) (min Q'(s',a') - alpha log pi(a'|s')))^2].

    Summed over the critics. `noise` (batch, action) draws a'; `subset` (m,) names the target critics of the minimum. Returns loss and mean
    Q.
    """
    dropout = config.network.critic_dropout
    next_action, next_log_density = sample_action(actor, batch.next_observation, noise)
    next_values = action_values(target, batch.next_observation, next_action, dropout)
    if config.network.target_critics < config.network.critics:
        next_values = next_values.index_select(0, subset)
    soft_value = next_values.amin(0) - temperature * next_log_density
    goal = (batch.reward + config.discount * (1.0 - batch.terminated) * soft_value).detach()
    values = action_values(critic, batch.observation, batch.action, dropout)
    return 0.5 * (values - goal).square().mean(1).sum(), values.mean()


def actor_loss(
    actor: Parameters,
    critic: Parameters,
    temperature: Tensor,
    observation: Tensor,
    noise: Tensor,
    config: SacConfig,
) -> tuple[Tensor, Tensor]:
    """Equation 9: J(pi) = E[alpha log pi(a|s) - Q(s, a)], Q the minimum of two critics, REDQ the mean. Returns loss, entropy."""
    action, log_density = sample_action(actor, observation, noise)
    values = action_values(critic, observation, action, config.network.critic_dropout)
    value = values.amin(0) if config.network.critics <= 2 else values.mean(0)
    return (temperature * log_density - value).mean(), -log_density.mean()


def critic_update(state: SacState, batch: Batch, noise: Tensor, subset: Tensor, config: SacConfig) -> CriticMetrics:
    """One gradient step of all critics, then of their targets."""
    temperature = state.log_temperature["value"].exp()
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        gradients, (loss, value) = grad_and_value(critic_loss, has_aux=True)(
            state.critic, state.target, state.actor, temperature, batch, noise, subset, config
        )
    adam_step(state.critic, gradients, state.critic_moments, config.learning_rate)
    for name, parameter in state.target.items():
        parameter.lerp_(state.critic[name], config.target_rate)
    return CriticMetrics(loss, value)


def actor_update(state: SacState, observation: Tensor, noise: Tensor, config: SacConfig) -> ActorMetrics:
    """One gradient step of the actor, then of the temperature: equation 18, J(alpha) = E[-alpha log pi - alpha H], on log alpha."""
    temperature = state.log_temperature["value"].exp()
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        gradients, (loss, entropy) = grad_and_value(actor_loss, has_aux=True)(
            state.actor, state.critic, temperature, observation, noise, config
        )
    adam_step(state.actor, gradients, state.actor_moments, config.learning_rate)
    temperature_update(state, temperature, entropy, noise.shape[-1], config)
    return ActorMetrics(loss, entropy, temperature)


def temperature_update(state: SacState, temperature: Tensor, entropy: Tensor, action: int, config: SacConfig) -> None:
    """One gradient step of the temperature, for actions of so many elements."""
    slope = {"value": temperature * (entropy - config.target_entropy_per_action * action)}
    adam_step(state.log_temperature, slope, state.temperature_moments, config.learning_rate)


CriticUpdate = Callable[[SacState, Batch, Tensor, Tensor, SacConfig], CriticMetrics]
ActorUpdate = Callable[[SacState, Tensor, Tensor, SacConfig], ActorMetrics]


class Metrics(NamedTuple):
    """Means over one call of `Sac.update`; shape () each."""

    critic_loss: Tensor
    value: Tensor
    actor_loss: Tensor
    entropy: Tensor
    temperature: Tensor


class Sac:
    """The state with the two updates, eager or compiled, and the random numbers that they consume."""

    def __init__(
        self, observation: int, action: int, config: SacConfig, seed: int, *, compiled: bool = False, judged: int | None = None
    ) -> None:
        self.config = config
        self.generator = torch.Generator().manual_seed(seed)
        self.state = initial_state(observation, action, config, self.generator, judged)
        self.updates = 0
        self._action = action
        self._critic_update: CriticUpdate = critic_update
        self._actor_update: ActorUpdate = actor_update
        if compiled:
            self._critic_update = torch.compile(critic_update, fullgraph=True, dynamic=False)
            self._actor_update = torch.compile(actor_update, fullgraph=True, dynamic=False)
        self._actor_metrics = ActorMetrics(torch.zeros(()), torch.zeros(()), torch.tensor(config.initial_temperature))

    def use_eager(self) -> None:
        """Give up on the compiled updates."""
        self._critic_update = critic_update
        self._actor_update = actor_update

    @torch.no_grad()
    def update(self, batches: Iterable[Batch]) -> Metrics:
        """Update the critics once with each batch, and the actor every `actor_every`-th time counted over the whole run."""
        critic = CriticMetrics(torch.zeros(()), torch.zeros(()))
        for batch in batches:
            noise = torch.randn(batch.action.shape, generator=self.generator)
            critic, observation = self._update_critics(batch, noise)
            self.updates += 1
            if self.updates % self.config.actor_every == 0:
                noise = torch.randn(batch.action.shape, generator=self.generator)
                self._actor_metrics = self._update_actor(batch, observation, noise)
        return Metrics(*critic, *self._actor_metrics)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state, and the actor's newest figures, which updates of the critics alone report again: what a checkpoint holds."""
        return {**self.state.tensors(), **{f"actor_metrics.{name}": value for name, value in self._actor_metrics._asdict().items()}}

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Take back what `tensors` gave after so many updates; checkpoints of earlier versions lack the figures."""
        self.state.load(tensors)
        named = self._actor_metrics._asdict()
        self._actor_metrics = ActorMetrics(*(tensors.get(f"actor_metrics.{name}", value) for name, value in named.items()))
        self.updates = updates

    def actor_vector(self) -> Tensor:
        """Return the actor's parameters as one new vector, in the order of `SacState.actor`."""
        return torch.cat([value.reshape(-1) for value in self.state.actor.values()])

    def _update_critics(self, batch: Batch, noise: Tensor) -> tuple[CriticMetrics, Tensor]:
        """Update the critics once; return what they took as well, which the actor takes next."""
        return self._critic_update(self.state, batch, noise, self._subset(), self.config), batch.observation

    def _update_actor(self, batch: Batch, observation: Tensor, noise: Tensor) -> ActorMetrics:
        """Update actor and temperature once, of what the critics took."""
        return self._actor_update(self.state, observation, noise, self.config)

    def _subset(self) -> Tensor:
        network = self.config.network
        return torch.randperm(network.critics, generator=self.generator)[: network.target_critics]
