"""The learner: replay and Soft Actor-Critic. It knows no process and no clock."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from policy.layout import PolicyLayout, Vector
from robot.errors import UsageError
from training.config import PriorConfig, SacConfig, TrainConfig
from training.episodes import EpisodeBook, EpisodeSummary
from training.hindsight import Goals, Hindsight
from training.pixel_replay import PixelReplay
from training.pixel_sac import PixelSac
from training.precision import choose_products
from training.prior import Prior
from training.replay import Replay, sample
from training.sac import Batch, Metrics, Sac
from training.told_sac import ToldSac

_log = logging.getLogger(__name__)


def make_sac(layout: PolicyLayout, config: SacConfig, seed: int, goals: Goals | None = None, *, compiled: bool = False) -> Sac:
    """Return the algorithm of a policy, with an encoder if it sees, and critics that are told what `goals` say where they are.

    Raises:
        PolicyError: If a pretrained encoder does not fit.
    """
    sizes = len(layout.observation_names), len(layout.action_names)
    if layout.image is None or config.encoder is None:
        return Sac(*sizes, config, seed, compiled=compiled)
    if config.encoder.asymmetric:
        return ToldSac(*sizes, layout.image, config.encoder, config, seed, 0 if goals is None else goals.told_size, compiled=compiled)
    return PixelSac(*sizes, layout.image, config.encoder, config, seed, compiled=compiled)


class Learner:
    """Digests step records and updates the policy.

    Args:
        layout: Sizes of observation, action and network.
        sac: The algorithm.
        train: The schedule.
        seed: Of the networks and of every random number that learning consumes.
        compiled: Compile the updates; `warm_up` falls back to eager if that fails.
        goals: Of the task, where `sac.hindsight_share` exchanges them or critics are told of them.
        folder: Gets the file of `train.replay_on_disk`.
    """

    def __init__(
        self,
        layout: PolicyLayout,
        sac: SacConfig,
        train: TrainConfig,
        seed: int,
        *,
        compiled: bool,
        goals: Goals | None = None,
        folder: Path = Path(),
    ) -> None:
        self._sizes = len(layout.observation_names), len(layout.action_names)
        choose_products(sac)
        # Dropout draws from torch's global generator.
        torch.manual_seed(seed)
        self.layout = layout
        self._config = sac
        self._seed = seed
        self._telling = sac.encoder is not None and sac.encoder.asymmetric
        self._hindsight = None if goals is None else Hindsight(goals, sac.hindsight_share, telling=self._telling)
        self._tracking = goals is not None and (goals.needs_object or self._telling)
        self.sac = make_sac(layout, sac, seed, goals, compiled=compiled)
        self.replay = self._memory(train.replay_capacity, folder if train.replay_on_disk else None)
        self.book = EpisodeBook()
        self._prior: tuple[Replay, PriorConfig] | None = None
        self._begun = False

    @property
    def steps(self) -> int:
        """Environment steps digested so far."""
        return self.book.steps

    @property
    def updates(self) -> int:
        """Critic updates done so far; also the version of the policy."""
        return self.sac.updates

    @property
    def ready(self) -> bool:
        """Whether there is a policy to act with: one that was learned, or that the run began with."""
        return self._begun or self.updates > 0

    def begin(self, prior: Prior, config: PriorConfig) -> None:
        """Take networks and data of other runs, before anything else.

        Args:
            prior: Of the same networks, observations and actions.
            config: How much of every batch is drawn from its data, if there are any.
        """
        tensors = self.sac.state.tensors()
        for name, value in prior.tensors.items():
            tensors[name].copy_(value)
        self._begun = bool(prior.tensors)
        if len(prior.steps):
            data = Replay(*self._sizes, len(prior.steps), tracking=self._tracking)
            data.extend(prior.steps)
            self._prior = data, config

    def add(self, records: NDArray[np.void], frames: NDArray[np.void] | None = None, collector: int = 0) -> list[EpisodeSummary]:
        """Take step records, each once and in order; return the episodes that they finished.

        Args:
            records: Of `training.records.step_dtype`.
            frames: Of `training.records.frame_dtype`, in order, of the steps' collector; one that comes twice counts once. None: the policy
                sees nothing.
            collector: Whose frames they are.
        """
        if isinstance(self.replay, Replay):
            self.replay.extend(records)
        elif frames is not None:
            self.replay.extend(records, frames, collector)
        return self.book.add(records)

    def update(self) -> Metrics:
        """Do the updates of one environment step."""
        config, generator = self._config, self.sac.generator
        batches: Iterable[Batch]
        if isinstance(self.replay, Replay):
            batches = sample(self._parts(self.replay), config.updates_per_step, generator)
        else:
            batches = self.replay.sample(config.batch_size, config.updates_per_step, generator)
        return self.sac.update(self._seen_behind(batches))

    def _seen_behind(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        """Exchange goals, where there are any, of each batch when its turn comes."""
        hindsight = self._hindsight
        return batches if hindsight is None else (hindsight(batch, self.sac.generator) for batch in batches)

    def _memory(self, capacity: int, folder: Path | None = None) -> Replay | PixelReplay:
        if self.layout.image is None:
            return Replay(*self._sizes, capacity, tracking=self._tracking)
        encoder = self._config.encoder
        shift_px, images = (None, None) if encoder is None else (encoder.shift_px, encoder.images)
        sizes = *self._sizes, self.layout.image, capacity, folder, shift_px
        return PixelReplay(*sizes, tracking=self._tracking, images=images, following=not self._telling)

    def _parts(self, replay: Replay) -> list[tuple[Replay, int]]:
        """Return how many rows of a batch are drawn from what: of each at least one, however small the batch, until a share has faded."""
        size = self._config.batch_size
        if self._prior is None:
            return [(replay, size)]
        data, prior = self._prior
        learned = self.updates / self._config.updates_per_step
        left = 1.0 if prior.fade_steps is None else 1.0 - learned / prior.fade_steps
        if left <= 0.0:
            return [(replay, size)]
        count = min(size - 1, max(1, round(prior.share * left * size)))
        return [(replay, size - count), (data, count)]

    def vector(self) -> Vector:
        """Return the actor's parameters, shape (layout.vector_size,)."""
        return np.asarray(self.sac.actor_vector().numpy(), dtype=np.float32)

    def warm_up(self, *, required: bool = False) -> bool:
        """Compile the updates on throw-away data, leaving state and random numbers as they were; return whether they are compiled.

        On any failure of the compiler (it needs g++ at run time) the learner goes on eagerly, about half as fast, unless that is
        `required`.

        Raises:
            UsageError: If compiling is required and fails.
        """
        before = {name: value.clone() for name, value in self.sac.tensors().items()}
        generator, dropout = self.sac.generator.get_state(), torch.get_rng_state()
        scratch = self._memory(self._config.batch_size)
        scratch.fill_with_noise(self.sac.generator)
        compiled = True
        try:
            self.sac.update(self._seen_behind(scratch.sample(self._config.batch_size, self._config.actor_every, self.sac.generator)))
        except Exception as error:
            if required:
                raise UsageError(
                    f"train.compile is 'always' and torch.compile failed ({str(error).splitlines()[0]}): install g++"
                ) from error
            _log.warning(
                "torch.compile failed (%s): learning eagerly; is g++ installed? `fetlock doctor` checks it", str(error).splitlines()[0]
            )
            self.sac.use_eager()
            compiled = False
        self.sac.restore(before, updates=0)
        self.sac.generator.set_state(generator)
        torch.set_rng_state(dropout)
        return compiled

    def tensors(self) -> dict[str, Tensor]:
        """Return what a checkpoint holds: networks, optimiser and the states of both random generators."""
        return {**self.sac.tensors(), "random.sampler": self.sac.generator.get_state(), "random.global": torch.get_rng_state()}

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Take back what `tensors` gave."""
        self.sac.restore(tensors, updates)
        self.sac.generator.set_state(tensors["random.sampler"])
        torch.set_rng_state(tensors["random.global"])
