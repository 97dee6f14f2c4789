"""The encoder of `policy.encoders` at batch 1 in NumPy: convolutions as products of gathered columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policy.image import Convolution, Image, ImageLayout
from policy.layout import Vector

Floats = NDArray[np.float32]

# As in torch.nn.functional.layer_norm.
_EPSILON = np.float32(1e-5)


class NumpyEncoder:
    """An encoder with its parameters laid out for products.

    Args:
        parameters: Of `ImageLayout.shapes`.
        layout: Of the images and of the encoder.
    """

    def __init__(self, parameters: dict[str, Vector], layout: ImageLayout) -> None:
        self._layers: list[tuple[Convolution, Floats, Vector]] = []
        for number, layer in enumerate(layout.convolutions):
            # (out, in, k, k) to (k k in, out): channels lie last in the images.
            filters = parameters[f"filter_{number}"].transpose(2, 3, 1, 0).reshape(-1, layer.outputs)
            # The scale of the pixels in `encode`, once for all images.
            scale = np.float32(1.0 if number else 1.0 / 255.0)
            self._layers.append((layer, np.ascontiguousarray(scale * filters), parameters[f"offset_{number}"]))
        self._neck = parameters["neck_weight"], parameters["neck_bias"], parameters["neck_scale"], parameters["neck_shift"]

    def encode(self, image: Image) -> Vector:
        """Return features, shape (features,), of a stack of frames, shape (stack, h, w, 3)."""
        x = entered = image.transpose(1, 2, 0, 3).reshape(*image.shape[1:3], -1) - np.float32(127.5)
        for number, (layer, filters, offset) in enumerate(self._layers):
            before, entered = entered, x
            x = _convolve(np.maximum(x, 0.0) if number else x, layer, filters) + offset
            if layer.pool > 1:
                x = _pool(x, layer.pool)
            if layer.skip:
                x += before
        weight, bias, scale, shift = self._neck
        neck = np.maximum(x, 0.0).reshape(-1) @ weight + bias
        centred = neck - neck.mean()
        features: Vector = np.tanh(centred / np.sqrt(np.square(centred).mean() + _EPSILON) * scale + shift)
        return features


def _convolve(x: Floats, layer: Convolution, filters: Floats) -> Floats:
    if layer.padding:
        padded = np.zeros((x.shape[0] + 2 * layer.padding, x.shape[1] + 2 * layer.padding, x.shape[2]), np.float32)
        padded[layer.padding : -layer.padding, layer.padding : -layer.padding] = x
        x = padded
    height = (x.shape[0] - layer.kernel) // layer.stride + 1
    width = (x.shape[1] - layer.kernel) // layer.stride + 1
    columns = np.empty((height, width, layer.kernel, layer.kernel, layer.inputs), np.float32)
    for down in range(layer.kernel):
        rows = x[down : down + (height - 1) * layer.stride + 1 : layer.stride]
        for right in range(layer.kernel):
            columns[:, :, down, right] = rows[:, right : right + (width - 1) * layer.stride + 1 : layer.stride]
    return (columns.reshape(height * width, -1) @ filters).reshape(height, width, -1)


def _pool(x: Floats, side: int) -> Floats:
    height, width = x.shape[0] // side, x.shape[1] // side
    cells = x[: height * side, : width * side].reshape(height, side, width, side, -1)
    pooled: Floats = cells.max(axis=(1, 3))
    return pooled
