"""What an image policy sees, and the layers of its encoder as data: the same list is trained by torch and evaluated by NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

EncoderKind = Literal["paper", "drq", "residual"]
# A stack of frames, oldest first, shape (stack, h, w, 3), RGB.
Image = NDArray[np.uint8]

# Filters of DrQ-v2's convolutions (arXiv 2107.09645); the residual encoder has as many.
_FILTERS = 32
# From this side on the residual encoder's patches are 4 x 4 px, else 2 x 2: its grids are then 16 to 21 cells wide from 32 to 84 px.
_COARSE_PX = 64


@dataclass(frozen=True, slots=True)
class Convolution:
    """One layer: ReLU (but before the first), convolution, max-pooling, addition.

    Attributes:
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of the square filter.
        stride: Of the filter.
        padding: Zeros on each side.
        pool: Side and stride of the max-pooling behind it; 1: none.
        skip: Add what entered the layer before this one: the two are a residual block.
    """

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    pool: int = 1
    skip: bool = False

    def side(self, side: int) -> int:
        """Return the number of cells along a side that has `side` of them before the layer."""
        return ((side + 2 * self.padding - self.kernel) // self.stride + 1) // self.pool


class ImageLayout(BaseModel):
    """Size of the frames, how many of them one observation holds, and the encoder that they go through."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Of 16 px every encoder leaves something; 256 px is the most that a camera is set to.
    width_px: int = Field(ge=16, le=256)
    height_px: int = Field(ge=16, le=256)
    stack: int = Field(ge=1, le=16)
    encoder: EncoderKind
    features: int = Field(ge=1, le=4096)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of a stack of frames: (stack, h, w, 3)."""
        return (self.stack, self.height_px, self.width_px, 3)

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """The layers in front of the bottleneck.

        paper: two of four 3 x 3 filters, each with 3 x 3 max-pooling (Haarnoja et al. 2018, arXiv 1812.05905, D'Claw). The paper gives
        neither padding nor stride: "same" and the pool's size are the defaults of the frameworks of its time.

        drq: four of 32 3 x 3 filters, the first with stride 2 (DrQ-v2, arXiv 2107.09645).

        residual: patches (Dosovitskiy et al. 2020, arXiv 2010.11929), a halving, one residual block before whose convolutions the ReLUs
        stand (He et al. 2016, arXiv 1603.05027). Large filters with a large stride at full resolution, little of it left for the rest: at
        84 px an eighth of drq's products (`./run bench pixels` has the times).
        """
        channels = 3 * self.stack
        if self.encoder == "paper":
            return (Convolution(channels, 4, 3, padding=1, pool=3), Convolution(4, 4, 3, padding=1, pool=3))
        if self.encoder == "drq":
            return (Convolution(channels, _FILTERS, 3, stride=2), *(Convolution(_FILTERS, _FILTERS, 3) for _ in range(3)))
        patch = 4 if min(self.width_px, self.height_px) >= _COARSE_PX else 2
        return (
            Convolution(channels, _FILTERS, patch, stride=patch),
            Convolution(_FILTERS, _FILTERS, 3, stride=2, padding=1),
            Convolution(_FILTERS, _FILTERS, 3, padding=1),
            Convolution(_FILTERS, _FILTERS, 3, padding=1, skip=True),
        )

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of what enters the bottleneck."""
        height, width = self.height_px, self.width_px
        for layer in self.convolutions:
            height, width = layer.side(height), layer.side(width)
        return height, width

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter: filters (out, in, k, k) and biases, the bottleneck (cells x channels, features), its LayerNorm."""
        shapes: dict[str, tuple[int, ...]] = {}
        for number, layer in enumerate(self.convolutions):
            shapes[f"filter_{number}"] = (layer.outputs, layer.inputs, layer.kernel, layer.kernel)
            shapes[f"offset_{number}"] = (layer.outputs,)
        height, width = self.cells
        shapes["neck_weight"] = (height * width * self.convolutions[-1].outputs, self.features)
        for name in ("neck_bias", "neck_scale", "neck_shift"):
            shapes[name] = (self.features,)
        return shapes


class FrameStack:
    """The newest frames of an episode as a policy sees them: before there are enough, its first frame is repeated."""

    def __init__(self, layout: ImageLayout) -> None:
        self._frames = np.zeros(layout.shape, np.uint8)
        self._empty = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a stack: (stack, h, w, 3)."""
        return self._frames.shape

    def clear(self) -> None:
        """Forget the frames: another episode begins."""
        self._empty = True

    def push(self, frame: NDArray[np.uint8]) -> Image:
        """Add a frame, shape (h, w, 3), and return a new stack, shape (stack, h, w, 3)."""
        self._frames[:-1] = self._frames[1:]
        self._frames[-1] = frame
        if self._empty:
            self._frames[:] = frame
            self._empty = False
        return self._frames.copy()
