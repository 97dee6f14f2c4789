"""Soft Actor-Critic with a teacher: critics and a first actor are told what the policy has to see, and the policy learns to act as it does.

Where something is measured while a policy learns that it will have to do without, critics need not find it in images (asymmetric actor
critic: Pinto et al. 2017, arXiv 1710.06542), nor need the actor whose actions they judge. That actor, the teacher, learns as from state;
the policy, which sees, learns its distribution of actions from everything that it has met itself (learning by cheating: Chen et al. 2019,
arXiv 1912.12294; the loss is that of policy distillation, Rusu et al. 2015, arXiv 1511.06295). What acts, from the first policy on, sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.func import grad_and_value

from policy.actor import Parameters, actor_output, actor_parameters
from policy.config import EncoderConfig
from policy.image import ImageLayout
from training.adam import Moments, adam_step, zero_moments
from training.config import SacConfig
from training.pixel_sac import PixelSac, PixelState, seen
from training.sac import ActorMetrics, Batch, CriticMetrics, SacState


@dataclass(frozen=True)
class ToldState(PixelState):
    """What learning changes: `actor` acts and sees, `teacher` is told."""

    teacher: Parameters
    teacher_moments: Moments


def imitation_loss(learned: dict[str, Parameters], teacher: Parameters, batch: Batch, layout: ImageLayout) -> Tensor:
    """Return the divergence KL(teacher || policy) of the parameters "actor" and "encoder", mean of the batch.

    It is that of the Gaussians: the squashing, the same for both, leaves it as it is. Of the transitions, the first that have an image.
    """
    count = 0 if batch.image is None else len(batch.image)
    mean, log_std = actor_output(learned["actor"], seen(learned["encoder"], batch.image, batch.observation[:count], layout))
    told_mean, told_log_std = actor_output(teacher, judged(batch.observation, batch.told)[:count])
    spread = (2.0 * (told_log_std - log_std)).exp()
    distance = (mean - told_mean).square() * (-2.0 * log_std).exp()
    return (log_std - told_log_std + 0.5 * (spread + distance - 1.0)).sum(-1).mean()


def imitation_update(state: ToldState, batch: Batch, config: SacConfig, layout: ImageLayout) -> Tensor:
    """One gradient step of actor and encoder; returns the loss."""
    learned = {"actor": state.actor, "encoder": state.encoder}
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        gradients, divergence = grad_and_value(imitation_loss)(learned, state.teacher, batch, layout)
    adam_step(state.actor, gradients["actor"], state.actor_moments, config.learning_rate)
    adam_step(state.encoder, gradients["encoder"], state.encoder_moments, config.learning_rate)
    loss: Tensor = divergence
    return loss


def judged(observation: Tensor, told: Tensor | None) -> Tensor:
    """Return what critics and teacher take: what is felt, beside what is told, shape (batch, observation + told)."""
    if told is None:
        raise ValueError("a batch for critics that are told something needs told and next_told")
    return torch.cat([observation, told], dim=-1)


ImitationUpdate = Callable[[ToldState, Batch, SacConfig, ImageLayout], Tensor]


class ToldSac(PixelSac):
    """`Sac` of what is felt and told, with a policy that sees beside it.

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
        teacher = actor_parameters(observation + told, action, config.network.hidden, self.generator)
        # Critics take no features: nothing follows the encoder.
        self.state = ToldState(**{**vars(self.state), "target_encoder": {}}, teacher=teacher, teacher_moments=zero_moments(teacher))
        # The same tensors, as an algorithm that sees nothing knows them.
        shared = {field.name: getattr(self.state, field.name) for field in fields(SacState)}
        self._blind = SacState(**{**shared, "actor": teacher, "actor_moments": self.state.teacher_moments})
        self._imitation_update: ImitationUpdate = imitation_update
        if compiled:
            self._imitation_update = torch.compile(imitation_update, fullgraph=True, dynamic=False)

    def use_eager(self) -> None:
        """Give up on the compiled updates."""
        super().use_eager()
        self._imitation_update = imitation_update

    def _update_critics(self, batch: Batch, noise: Tensor) -> tuple[CriticMetrics, Tensor]:
        observation = judged(batch.observation, batch.told)
        following = judged(batch.next_observation, batch.next_told)
        felt = Batch(observation, batch.action, batch.reward, batch.terminated, following)
        return self._critic_update(self._blind, felt, noise, self._subset(), self.config), observation

    def _update_actor(self, batch: Batch, observation: Tensor, noise: Tensor) -> ActorMetrics:
        metrics = self._actor_update(self._blind, observation, noise, self.config)
        # The loss is that of what acts; entropy and temperature are the teacher's.
        return metrics._replace(loss=self._imitation_update(self.state, batch, self.config, self.layout))
