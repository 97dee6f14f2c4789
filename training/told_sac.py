"""Soft Actor-Critic whose critics are told what its policy has to see (Pinto et al. 2017, arXiv 1710.06542).

Where something is measured while a policy learns that it will have to do without, critics need not find it in images: they take what is
felt and what is told, and the encoder learns from the actor's gradient. What acts is the same actor behind the same encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import grad_and_value

from policy.actor import Parameters
from policy.config import EncoderConfig
from policy.image import ImageLayout
from training.adam import adam_step
from training.config import SacConfig
from training.pixel_sac import PixelSac, PixelState, seen
from training.sac import ActorMetrics, Batch, CriticMetrics, actor_loss, critic_update, temperature_update


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
) -> tuple[Tensor, Tensor]:
    """`actor_loss` of the parameters "actor" and "encoder". Returns loss, entropy."""
    observation = seen(learned["encoder"], batch.image, batch.observation, layout)
    return actor_loss(learned["actor"], critic, temperature, observation, noise, config, judged(batch.observation, batch.told))


def told_actor_update(state: PixelState, batch: Batch, noise: Tensor, config: SacConfig, layout: ImageLayout) -> ActorMetrics:
    """One gradient step of actor and encoder, then of the temperature."""
    temperature = state.log_temperature["value"].exp()
    learned = {"actor": state.actor, "encoder": state.encoder}
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        gradients, (loss, entropy) = grad_and_value(told_actor_loss, has_aux=True)(
            learned, state.critic, temperature, batch, noise, config, layout
        )
    adam_step(state.actor, gradients["actor"], state.actor_moments, config.learning_rate)
    adam_step(state.encoder, gradients["encoder"], state.encoder_moments, config.learning_rate)
    temperature_update(state, temperature, entropy, noise.shape[-1], config)
    return ActorMetrics(loss, entropy, temperature)


def judged(observation: Tensor, told: Tensor | None) -> Tensor:
    """Return what critics take: what is felt, beside what is told, shape (batch, observation + told)."""
    if told is None:
        raise ValueError("a batch for critics that are told something needs told and next_told")
    return torch.cat([observation, told], dim=-1)


ToldCriticUpdate = Callable[[PixelState, Batch, Tensor, Tensor, SacConfig, ImageLayout], CriticMetrics]
ToldActorUpdate = Callable[[PixelState, Batch, Tensor, SacConfig, ImageLayout], ActorMetrics]


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
        # Critics take no features: nothing follows the encoder.
        self.state = replace(self.state, target_encoder={})
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
        return self._told_actor_update(self.state, batch, noise, self.config, self.layout)
