"""What a training run can be told: the algorithm, the replay, the schedule."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from policy.config import EncoderConfig, NetworkConfig

# A camera that is later shows another episode: the guard takes a view as old for a fault of the camera (robot.camera, max_age_s).
_LATENCY_MAX_S = 0.2


class SacConfig(BaseModel):
    """Soft Actor-Critic. Defaults: SAC v2 (arXiv 1812.05905, table 1) with the update rule for robots of `docs/learning.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: NetworkConfig = NetworkConfig()
    # Null: the policy sees nothing. Otherwise the frames of `camera` are its observation, beside what the task feels.
    encoder: EncoderConfig | None = None
    batch_size: int = Field(default=256, ge=1)
    discount: float = Field(default=0.99, ge=0.0, lt=1.0)
    # Polyak rate of the target critics.
    target_rate: float = Field(default=0.005, gt=0.0, le=1.0)
    learning_rate: float = Field(default=3e-4, gt=0.0, lt=1.0)
    # SAC v2 starts at 1; 0.1 wakes the policy up in half of the steps (measured on the Minitaur).
    initial_temperature: float = Field(default=0.1, gt=0.0)
    # Target entropy per action dimension: -1 in SAC v2.
    target_entropy_per_action: float = -1.0
    # Updates of the critics for each environment step: the update-to-data ratio.
    updates_per_step: int = Field(default=4, ge=1, le=64)
    # Updates of the critics for each update of actor and temperature.
    actor_every: int = Field(default=2, ge=1)
    # Share of every batch that is given other goals than it was experienced with (hindsight experience replay, arXiv 1707.01495); only for
    # tasks that have goals.
    hindsight_share: float = Field(default=0.0, ge=0.0, lt=1.0)
    # Products of the networks in float32, or bfloat16 with float32 accumulation and parameters.
    precision: Literal["float32", "bfloat16"] = "float32"


class CautionConfig(BaseModel):
    """A cautious start: actions are clipped to a box that grows with every episode that ends well, and shrinks with every fall.

    A Walk in the Park (arXiv 2208.07860) learns on a real robot only in such a box, of a fixed size.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Half-width of the box in the first episode, in action units: 1 is all.
    first: float = Field(default=0.5, gt=0.0, le=1.0)
    # Added after an episode without a fall or a stop, taken away after one with; never below the first.
    growth: float = Field(default=0.1, ge=0.0, le=1.0)


class FramesConfig(BaseModel):
    """Frames of the robot's camera, one at every policy tick, taken with the tick's observation; they go into the log, without loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # 84 x 84 is what DrQ (arXiv 2004.13649) and others learn from. Up to a size of which the log's shared memory holds 6.8 s at 50 Hz.
    width_px: int = Field(default=84, ge=16, le=256)
    height_px: int = Field(default=84, ge=16, le=256)
    latency_s: tuple[float, float] = Field(
        default=(0.0, 0.0),
        description="How old the pictures of a simulated camera are, drawn for each episode, in whole bus ticks; in real time each camera "
        "has a latency of its own.",
    )

    @property
    def late(self) -> bool:
        """Whether the pictures of a simulated camera come later than they are taken."""
        return self.latency_s[1] > 0.0

    @field_validator("latency_s")
    @classmethod
    def _latency_is_a_range(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= bounds[0] <= bounds[1] <= _LATENCY_MAX_S:
            raise ValueError(f"a latency is drawn from low to high, 0 <= low <= high <= {_LATENCY_MAX_S} s: got {bounds}")
        return bounds


class PriorConfig(BaseModel):
    """What a run begins with: networks of another run, and data of others in every batch (RLPD, arXiv 2302.02948)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Folder of a run, or of a policy: a run gives its best actor, critics, temperature and optimiser, a policy its actor alone. Null: the
    # networks are fresh.
    policy: str | None = None
    # Folders of runs whose transitions are the prior data. Null: that of `policy`, if it is a run's.
    runs: tuple[str, ...] | None = None
    # Of every batch, from the prior data: half in RLPD; 0: none.
    share: float = Field(default=0.5, ge=0.0, lt=1.0)
    # Steps of learning over which that share falls to nothing: data of another robot than this one help at first, and mislead in the end
    # (docs/learning.md). Null: it stays.
    fade_steps: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _gives_something(self) -> Self:
        if self.policy is None and not self.runs:
            raise ValueError("prior gives neither networks nor data: set prior.policy or prior.runs, or leave prior out")
        if self.policy is None and not self.share:
            raise ValueError("prior.share is 0, so that prior.runs are for nothing: raise it, or set prior.policy")
        return self


class TrainConfig(BaseModel):
    """Schedule of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total_steps: int = Field(default=12_000, ge=1)
    # No update before this step; until then actions are uniformly random, or those of the policy that the run begins with.
    learning_starts: int = Field(default=500, ge=1)
    replay_capacity: int = Field(default=1_000_000, ge=1_000)
    # Where the frames of a policy that sees are held for learning: in memory, or in a file of the run's folder that ends with the learner.
    replay_on_disk: bool = False
    collectors: int = Field(default=1, ge=1, le=16)
    # Environment steps that a fast simulation may run ahead of the update-to-data contract.
    collector_lead: int = Field(default=64, ge=1)
    # A robot that fails, by silence or noise on its bus, is held and tried again, in growing pauses of so many seconds of its own time in
    # all; then the run ends, to be resumed.
    retry_s: float = Field(default=60.0, ge=0.0, le=86_400.0)
    # Where only a person can help a robot in real time, it waits so many seconds for `fetlock stop --clear`; 0: the run ends at once.
    operator_wait_s: float = Field(default=86_400.0, ge=0.0, le=604_800.0)
    # Null: actions may go as far as the task lets them from the first episode on.
    caution: CautionConfig | None = None
    # Slow a simulation to real time: the contract then throttles the learner only.
    realtime: bool = False
    evaluate_every: int = Field(default=1_000, ge=1)
    evaluation_episodes: int = Field(default=10, ge=1)
    # Videos of the policy at its evaluations, in videos/: at most so many are kept, every evaluation's until then, every second one's
    # after that, and so on; 0: none. Each takes 2.5 s of the evaluator's CPU (measured on one core of an AMD EPYC).
    videos: int = Field(default=50, ge=0, le=10_000)
    # Length of each, s, and its width, px, of which its height is two thirds: a picture of 240 px takes 22 ms, one of 480 px 75 ms.
    video_s: float = Field(default=4.0, gt=0.0, le=600.0)
    video_width_px: int = Field(default=240, ge=48, le=1920)
    # Stop when the task's mark was held in that many evaluations in a row; 0: never.
    stop_after_marks: int = Field(default=3, ge=0)
    checkpoint_every: int = Field(default=1_000, ge=1)
    # Threads of the learner; 0: one for each core but one. More than there are idle cores cost a hundredfold (docs/learning.md).
    learner_threads: int = Field(default=0, ge=0, le=256)
    # Compile the update with torch.compile (needs g++); auto falls back to eager and says so.
    compile: Literal["auto", "always", "never"] = "auto"
    # How a collector evaluates the policy; auto measures at start and takes the fastest.
    acting: Literal["auto", "numpy", "torchscript"] = "auto"

    @property
    def threads(self) -> int:
        """Threads of the learner on this machine: as set, or one for each core but the collector's."""
        return self.learner_threads or max(1, len(os.sched_getaffinity(0)) - 1)
