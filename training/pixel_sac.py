"""Soft Actor-Critic that sees: an encoder of images in front of the networks of `training.sac`, whose losses take its features.

The encoder learns from the critics' gradient alone, and the actor is fed its features (SAC-AE, arXiv 1910.01741; DrQ, 2004.13649). Its
slow copy gives the features of next observations to target critics and actor in one pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.func import grad_and_value

from policy.actor import Parameters
from policy.config import EncoderConfig
from policy.encoders import encode, encoder_parameters, load_encoder
from policy.image import ImageLayout
from training.adam import Moments, adam_step, zero_moments
from training.config import SacConfig
from training.sac import Batch, CriticMetrics, Sac, SacState, critic_loss, critic_update


@dataclass(frozen=True)
class PixelState(SacState):
    """What learning changes, and the encoder with its slow copy."""

    encoder: Parameters
    target_encoder: Parameters
    encoder_moments: Moments


def seen(encoder: Parameters, image: Tensor | None, observation: Tensor, layout: ImageLayout) -> Tensor:
    """Return features of the images beside the vectors, shape (batch, features + observation): what actor and critics take."""
    if image is None:
        raise ValueError("a batch for an image policy needs image and next_image")
    return torch.cat([encode(encoder, image, layout), observation], dim=-1)


def pixel_critic_loss(
    learned: dict[str, Parameters],
    state: PixelState,
    temperature: Tensor,
    batch: Batch,
    noise: Tensor,
    subset: Tensor,
    config: SacConfig,
    layout: ImageLayout,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """`critic_loss` on features, of the parameters "critic" and "encoder". Returns loss, and mean Q and what the critics took."""
    observation = seen(learned["encoder"], batch.image, batch.observation, layout)
    next_observation = seen(state.target_encoder, batch.next_image, batch.next_observation, layout)
    features = batch._replace(observation=observation, next_observation=next_observation, image=None, next_image=None)
    loss, value = critic_loss(learned["critic"], state.target, state.actor, temperature, features, noise, subset, config)
    return loss, (value, observation)


def pixel_critic_update(
    state: PixelState, batch: Batch, noise: Tensor, subset: Tensor, config: SacConfig, layout: ImageLayout
) -> tuple[CriticMetrics, Tensor]:
    """One gradient step of encoder and critics, then of their targets; returns what the critics took as well, for the actor's update."""
    temperature = state.log_temperature["value"].exp()
    learned = {"encoder": state.encoder, "critic": state.critic}
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        gradients, (loss, (value, observation)) = grad_and_value(pixel_critic_loss, has_aux=True)(
            learned, state, temperature, batch, noise, subset, config, layout
        )
    adam_step(state.critic, gradients["critic"], state.critic_moments, config.learning_rate)
    adam_step(state.encoder, gradients["encoder"], state.encoder_moments, config.learning_rate)
    for target, learner in ((state.target, state.critic), (state.target_encoder, state.encoder)):
        for name, parameter in target.items():
            parameter.lerp_(learner[name], config.target_rate)
    return CriticMetrics(loss, value), observation.detach()


def frozen_critic_update(
    state: PixelState, batch: Batch, noise: Tensor, subset: Tensor, config: SacConfig, layout: ImageLayout
) -> tuple[CriticMetrics, Tensor]:
    """One gradient step of the critics behind an encoder that stays as it is."""
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        observation = seen(state.encoder, batch.image, batch.observation, layout)
        next_observation = seen(state.encoder, batch.next_image, batch.next_observation, layout)
    features = batch._replace(observation=observation, next_observation=next_observation, image=None, next_image=None)
    return critic_update(state, features, noise, subset, config), observation


PixelCriticUpdate = Callable[[PixelState, Batch, Tensor, Tensor, SacConfig, ImageLayout], tuple[CriticMetrics, Tensor]]


class PixelSac(Sac):
    """`Sac` with an encoder.

    Args:
        observation: Elements of the vector beside the images.
        action: Elements.
        layout: Of the images.
        encoder: What the encoder begins as.
        config: Of the algorithm.
        seed: Of the networks and of the random numbers that updates consume.
        compiled: Compile the updates.
        judged: Elements of what critics take, where that is no features.

    Raises:
        PolicyError: If a pretrained encoder cannot be read or does not fit.
    """

    state: PixelState

    def __init__(
        self,
        observation: int,
        action: int,
        layout: ImageLayout,
        encoder: EncoderConfig,
        config: SacConfig,
        seed: int,
        *,
        compiled: bool = False,
        judged: int | None = None,
    ) -> None:
        super().__init__(layout.features + observation, action, config, seed, compiled=compiled, judged=judged)
        self.layout = layout
        pretrained = encoder.pretrained
        parameters = encoder_parameters(layout, self.generator) if pretrained is None else load_encoder(Path(pretrained), layout)
        # A frozen encoder learns nothing: it has neither copy nor moments.
        learned = {} if pretrained is not None else parameters
        self.state = PixelState(
            **vars(self.state),
            encoder=parameters,
            target_encoder={name: value.clone() for name, value in learned.items()},
            encoder_moments=zero_moments(learned),
        )
        self._eager_update: PixelCriticUpdate = pixel_critic_update if pretrained is None else frozen_critic_update
        self._pixel_update: PixelCriticUpdate = self._eager_update
        if compiled:
            self._pixel_update = torch.compile(self._eager_update, fullgraph=True, dynamic=False)

    def use_eager(self) -> None:
        """Give up on the compiled updates."""
        super().use_eager()
        self._pixel_update = self._eager_update

    def actor_vector(self) -> Tensor:
        """Return the parameters of actor and encoder as one new vector, in the order of `PolicyLayout.shapes`."""
        return torch.cat([super().actor_vector(), *(value.reshape(-1) for value in self.state.encoder.values())])

    def _update_critics(self, batch: Batch, noise: Tensor) -> tuple[CriticMetrics, Tensor]:
        return self._pixel_update(self.state, batch, noise, self._subset(), self.config, self.layout)
