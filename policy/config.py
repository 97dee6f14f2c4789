"""Shape and regularisation of the networks."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from policy.image import EncoderKind, ImageLayout

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


class EncoderConfig(BaseModel):
    """What a policy sees, and the encoder of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # paper: of the D'Claw in arXiv 1812.05905; drq: of DrQ-v2, arXiv 2107.09645; residual: what two cores can afford at 84 px.
    kind: EncoderKind = "residual"
    # Outputs of the bottleneck: 50 in SAC-AE (arXiv 1910.01741), DrQ and DrQ-v2.
    features: int = Field(default=50, ge=1, le=4096)
    # Frames of one observation: 3 in all of them.
    stack: int = Field(default=3, ge=1, le=16)
    # Largest random shift of a stack, px (DrQ). Null: 4 px of 84, as much of the image at other sizes; 0: none.
    shift_px: int | None = Field(default=None, ge=0, le=64)
    # Critics are told what the policy has to see, where that is measured while it learns (Pinto et al. 2017, arXiv 1710.06542), and so is
    # a teacher, whose actions the policy learns.
    asymmetric: bool = False
    # With it, the policy learns from the images of so many transitions of a batch, critics and teacher from all of it. Null: of all.
    images: int | None = Field(default=None, ge=1)
    # A safetensors file with a trained encoder, which then stays as it is. Null: it begins at random, and learns.
    pretrained: str | None = None

    @model_validator(mode="after")
    def _it_learns(self) -> Self:
        if self.images is not None and not self.asymmetric:
            raise ValueError(
                f"images is {self.images}, and critics that see need those of every transition: set asymmetric true, or leave images out"
            )
        if self.asymmetric and self.pretrained is not None:
            raise ValueError(
                f"asymmetric trains the encoder with the actor, and pretrained {self.pretrained} stays as it is: set one of the two"
            )
        return self

    def layout(self, width_px: int, height_px: int) -> ImageLayout:
        """Return the layout for frames of a size."""
        return ImageLayout(width_px=width_px, height_px=height_px, stack=self.stack, encoder=self.kind, features=self.features)
