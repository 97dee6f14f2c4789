"""Shape and regularisation of the networks."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Far beyond what learns at a robot's pace, and small enough that a typing error does not fill the memory.
Width = Annotated[int, Field(ge=1, le=16_384)]


class NetworkConfig(BaseModel):
    """Multi-layer perceptrons of the actor and of the critic ensemble."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Two layers of 256: SAC v2, arXiv 1812.05905, table 1.
    hidden: tuple[Width, ...] = Field(default=(256, 256), min_length=1)
    # Critics in the ensemble: 2 in SAC v2, 10 in REDQ (arXiv 2101.05982).
    critics: int = Field(default=2, ge=1, le=32)
    # Critics drawn for each target minimum: 2 in both.
    target_critics: int = Field(default=2, ge=1, le=32)
    # LayerNorm before each ReLU of a critic: what lets many updates a step stay stable (DroQ, arXiv 2110.02034; RLPD, 2302.02948).
    critic_layer_norm: bool = True
    # DroQ uses 0.01; each forward pass of a critic then costs a random mask a layer.
    critic_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _target_critics_exist(self) -> Self:
        if self.target_critics > self.critics:
            raise ValueError(f"target_critics {self.target_critics} must be at most critics {self.critics}")
        return self
