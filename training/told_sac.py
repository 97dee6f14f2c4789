"""Soft Actor-Critic whose critics are told what its policy has to see (Pinto et al. 2017, arXiv 1710.06542).

Where something is measured while a policy learns that it will have to do without, critics need not find it in images: they take what is
felt and what is told, and the encoder learns from the actor's gradient. Both may learn as well to say what is told: a linear layer, the
head, takes the encoder's features and what the actor's last layer takes, and its error is a part of the loss (auxiliary task: Jaderberg et
al. 2016, arXiv 1611.05397). What acts is the same actor behind the same encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad_and_value

from policy.actor import Parameters, actor_hidden, linear_parameters
from policy.config import EncoderConfig
from policy.image import ImageLayout
from training.adam import Moments, adam_step, zero_moments
from training.config import SacConfig
from training.pixel_sac import PixelSac, PixelState, seen
from training.sac import ActorMetrics, Batch, CriticMetrics, actor_loss, critic_update, temperature_update


@dataclass(frozen=True)
class ToldState(PixelState):
    """What learning changes; `head` says what is told, weight (features + hidden, told) and bias (told,); empty where nobody asks."""

    head: Parameters
    head_moments: Moments


def told_critic_update(
    state: PixelState, batch: Batch, noise: Tensor, subset: Tensor, config: SacConfig, layout: ImageLayout
) -> CriticMetrics:
    """One gradient step of the critics on what is felt and told; the next action is that of the policy, which sees."""
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        next_seen = seen(state.encoder, batch.next_image, batch.next_observation, layout)
    felt = Batch(
        judged(batch.observation, batch.told),
        batch.action,
        batch.reward,
        batch.terminated,
        judged(batch.next_observation, batch.next_told),
        next_seen=next_seen,
    )
    return critic_update(state, felt, noise, subset, config)


def told_actor_loss(
    learned: dict[str, Parameters],
    critic: Parameters,
    temperature: Tensor,
    batch: Batch,
    noise: Tensor,
    config: SacConfig,
    layout: ImageLayout,
    weight: float = 0.0,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """`actor_loss` of the parameters "actor" and "encoder", and `weight` times the mean squared error of "head".

    Returns the sum, and the actor's loss and entropy.
    """
    observation = seen(learned["encoder"], batch.image, batch.observation, layout)
    loss, entropy = actor_loss(learned["actor"], critic, temperature, observation, noise, config, judged(batch.observation, batch.told))
    if not weight or batch.told is None:
        return loss, (loss, entropy)
    # The compiled update does what both take in common once.
    known = torch.cat([observation[:, : layout.features], actor_hidden(learned["actor"], observation)], dim=-1)
    said = torch.addmm(learned["head"]["bias"], known, learned["head"]["weight"]).float()
    return loss + weight * (said - batch.told).square().mean(), (loss, entropy)


def told_actor_update(
    state: ToldState, batch: Batch, noise: Tensor, config: SacConfig, layout: ImageLayout, weight: float = 0.0
) -> ActorMetrics:
    """One gradient step of actor, encoder and head, then of the temperature."""
    temperature = state.log_temperature["value"].exp()
    learned = {"actor": state.actor, "encoder": state.encoder, "head": state.head}
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        gradients, (_, (loss, entropy)) = grad_and_value(told_actor_loss, has_aux=True)(
            learned, state.critic, temperature, batch, noise, config, layout, weight
        )
    adam_step(state.actor, gradients["actor"], state.actor_moments, config.learning_rate)
    adam_step(state.encoder, gradients["encoder"], state.encoder_moments, config.learning_rate)
    adam_step(state.head, gradients["head"], state.head_moments, config.learning_rate)
    temperature_update(state, temperature, entropy, noise.shape[-1], config)
    return ActorMetrics(loss, entropy, temperature)


def judged(observation: Tensor, told: Tensor | None) -> Tensor:
    """Return what critics take: what is felt, beside what is told, shape (batch, observation + told)."""
    if told is None:
        raise ValueError("a batch for critics that are told something needs told and next_told")
    return torch.cat([observation, told], dim=-1)


ToldCriticUpdate = Callable[[PixelState, Batch, Tensor, Tensor, SacConfig, ImageLayout], CriticMetrics]
ToldActorUpdate = Callable[[ToldState, Batch, Tensor, SacConfig, ImageLayout, float], ActorMetrics]


class ToldSac(PixelSac):
    """`PixelSac` with critics that are told.

    Args:
        observation: Elements of the vector beside the images.
        action: Elements.
        layout: Of the images.
        encoder: What the encoder begins as.
        config: Of the algorithm.
        seed: Of the networks and of the random numbers that updates consume.
        told: Elements of what critics are told.
        compiled: Compile the updates.
    """

    state: ToldState

    def __init__(
        self,
        observation: int,
        action: int,
        layout: ImageLayout,
        encoder: EncoderConfig,
        config: SacConfig,
        seed: int,
        told: int,
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__(observation, action, layout, encoder, config, seed, compiled=compiled, judged=observation + told)
        self._weight = encoder.told_weight
        head: Parameters = {}
        if self._weight:
            known = layout.features + config.network.hidden[-1]
            for name, shape in {"weight": (known, told), "bias": (told,)}.items():
                head[name] = linear_parameters(shape, known, self.generator)
        # Critics take no features: nothing follows the encoder.
        self.state = ToldState(**{**vars(self.state), "target_encoder": {}}, head=head, head_moments=zero_moments(head))
        self._told_critic_update: ToldCriticUpdate = told_critic_update
        self._told_actor_update: ToldActorUpdate = told_actor_update
        if compiled:
            self._told_critic_update = torch.compile(told_critic_update, fullgraph=True, dynamic=False)
            self._told_actor_update = torch.compile(told_actor_update, fullgraph=True, dynamic=False)

    def use_eager(self) -> None:
        """Give up on the compiled updates."""
        super().use_eager()
        self._told_critic_update, self._told_actor_update = told_critic_update, told_actor_update

    def _update_critics(self, batch: Batch, noise: Tensor) -> tuple[CriticMetrics, Tensor]:
        # The actor looks for itself.
        return self._told_critic_update(self.state, batch, noise, self._subset(), self.config, self.layout), batch.observation

    def _update_actor(self, batch: Batch, observation: Tensor, noise: Tensor) -> ActorMetrics:
        return self._told_actor_update(self.state, batch, noise, self.config, self.layout, self._weight)
