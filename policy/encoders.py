"""Encoders of images: pure functions of a dictionary of tensors, as the actor is.

Every kind ends in the bottleneck of DrQ and of SAC-AE (arXiv 2004.13649, 1910.01741): a linear layer, LayerNorm, tanh. What a robot feels
joins behind it: the features are concatenated with the observation's vector.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from policy.actor import Parameters, linear_parameters
from policy.image import ImageLayout
from policy.layout import ENCODER
from robot.errors import PolicyError


def encoder_parameters(layout: ImageLayout, generator: torch.Generator) -> Parameters:
    """Create the parameters named in `layout.shapes`, drawn as torch.nn.Conv2d and torch.nn.Linear do; LayerNorm starts as the identity."""
    parameters: Parameters = {}
    fan_in = 1
    for name, shape in layout.shapes.items():
        if name == "neck_scale":
            parameters[name] = torch.ones(shape)
        elif name == "neck_shift":
            parameters[name] = torch.zeros(shape)
        else:
            # A bias has the fan-in of the weight before it.
            if len(shape) > 1:
                fan_in = shape[0] if name == "neck_weight" else math.prod(shape[1:])
            parameters[name] = linear_parameters(shape, fan_in, generator)
    return parameters


def encode(parameters: Parameters, image: Tensor, layout: ImageLayout) -> Tensor:
    """Return features, shape (batch, features), in (-1, 1).

    Args:
        parameters: Of `encoder_parameters`.
        image: Stacks of frames as the camera gives them and the replay holds them, shape (batch, stack, h, w, 3), uint8.
        layout: Of the images and of the encoder.
    """
    # One copy: the frames of a stack become channels, last in memory as oneDNN's convolutions are fastest, scaled as in DrQ-v2.
    pixels = image.permute(0, 2, 3, 1, 4).flatten(3).float() * (1.0 / 255.0) - 0.5
    x = entered = pixels.permute(0, 3, 1, 2)
    for number, layer in enumerate(layout.convolutions):
        before, entered = entered, x
        active = F.relu(x) if number else x
        x = F.conv2d(active, parameters[f"filter_{number}"], parameters[f"offset_{number}"], layer.stride, layer.padding)
        if layer.pool > 1:
            x = F.max_pool2d(x, layer.pool)
        if layer.skip:
            x = x + before
    flat = F.relu(x).permute(0, 2, 3, 1).flatten(1)
    neck = torch.addmm(parameters["neck_bias"], flat, parameters["neck_weight"])
    return torch.tanh(F.layer_norm(neck.float(), neck.shape[-1:], parameters["neck_scale"], parameters["neck_shift"]))


def load_encoder(path: Path, layout: ImageLayout) -> Parameters:
    """Read the parameters of an encoder that was trained before.

    Args:
        path: A safetensors file with the tensors of `layout.shapes`; others, such as an actor's, are passed over.
        layout: Of the images and of the encoder.

    Raises:
        PolicyError: If the file cannot be read, or a tensor is missing, of another shape or not finite.
    """
    try:
        tensors = load_tensors(path.read_bytes())
    except (OSError, SafetensorError) as error:
        raise PolicyError(f"{path}: no encoder can be read ({error}): name a safetensors file in encoder.pretrained") from error
    prefixed = {name.removeprefix(ENCODER): value for name, value in tensors.items()}
    for name, shape in layout.shapes.items():
        if name not in prefixed:
            raise PolicyError(
                f"{path}: tensor {name!r} of encoder {layout.encoder!r} is missing, it holds {', '.join(sorted(tensors)) or 'none'}: "
                "give the file of an encoder of this kind"
            )
        value = prefixed[name]
        if tuple(value.shape) != shape:
            raise PolicyError(
                f"{path}: tensor {name!r} has shape {tuple(value.shape)}, encoder {layout.encoder!r} of {layout.stack} x "
                f"{layout.width_px} x {layout.height_px} px and {layout.features} features has {shape}: set what it was trained with"
            )
        if not torch.isfinite(value).all():
            raise PolicyError(f"{path}: tensor {name!r} holds numbers that are not finite: take the encoder of another run or checkpoint")
    return {name: prefixed[name].float() for name in layout.shapes}
