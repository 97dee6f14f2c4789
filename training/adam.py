"""Adam as a function over dictionaries of tensors, compiled into one graph with the gradients (Kingma and Ba, arXiv 1412.6980)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from policy.actor import Parameters

# Defaults of the paper's algorithm 1.
_BETA_1 = 0.9
_BETA_2 = 0.999
_EPSILON = 1e-8


@dataclass(frozen=True)
class Moments:
    """First and second moments of each parameter, and the number of steps taken (shape (), float32, counted in the graph)."""

    first: Parameters
    second: Parameters
    steps: Tensor


def zero_moments(parameters: Parameters) -> Moments:
    """Return the moments before the first step."""
    return Moments(
        {name: torch.zeros_like(value) for name, value in parameters.items()},
        {name: torch.zeros_like(value) for name, value in parameters.items()},
        torch.zeros(()),
    )


def adam_step(parameters: Parameters, gradients: Parameters, moments: Moments, learning_rate: float) -> None:
    """Update parameters and moments in place: algorithm 1 of the paper."""
    moments.steps.add_(1.0)
    correction_1 = 1.0 - torch.pow(_BETA_1, moments.steps)
    correction_2 = 1.0 - torch.pow(_BETA_2, moments.steps)
    rate = learning_rate / correction_1
    root = correction_2.rsqrt()
    for name, parameter in parameters.items():
        gradient, first, second = gradients[name], moments.first[name], moments.second[name]
        first.lerp_(gradient, 1.0 - _BETA_1)
        second.mul_(_BETA_2).addcmul_(gradient, gradient, value=1.0 - _BETA_2)
        parameter.sub_(rate * first / (second.sqrt() * root + _EPSILON))
