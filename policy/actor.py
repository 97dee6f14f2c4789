"""The squashed Gaussian actor of SAC: observation -> action in [-1, 1].

Haarnoja et al. 2018, arXiv 1812.05905, appendix C. Networks are pure functions of a dictionary of tensors: the same parameters are trained
by torch, flattened into one vector for the collectors and evaluated by NumPy at batch 1.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

Parameters = dict[str, Tensor]

# Bounds of the log standard deviation: the SAC authors' reference implementation.
LOG_STD_MIN = -20.0
LOG_STD_MAX = 2.0


def linear_parameters(shape: tuple[int, ...], fan_in: int, generator: torch.Generator) -> Tensor:
    """Draw from U(-1/sqrt(fan_in), 1/sqrt(fan_in)), as torch.nn.Linear does. Shape as given."""
    bound = 1.0 / math.sqrt(fan_in)
    return torch.rand(shape, generator=generator) * (2.0 * bound) - bound


def actor_parameters(observation: int, action: int, hidden: tuple[int, ...], generator: torch.Generator) -> Parameters:
    """Create the parameters: weight_i (in, out) and bias_i (out,); the last layer gives mean and log standard deviation, (2 action,)."""
    sizes = (observation, *hidden, 2 * action)
    parameters: Parameters = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        parameters[f"weight_{layer}"] = linear_parameters((fan_in, fan_out), fan_in, generator)
        parameters[f"bias_{layer}"] = linear_parameters((fan_out,), fan_in, generator)
    return parameters


def actor_layers(parameters: Parameters) -> int:
    """Return the number of linear layers in `parameters`."""
    return len(parameters) // 2


def actor_output(parameters: Parameters, observation: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and log standard deviation before the squashing, each of shape (batch, action). Observation: (batch, observation)."""
    last = actor_layers(parameters) - 1
    x = observation
    for layer in range(last):
        x = F.relu(torch.addmm(parameters[f"bias_{layer}"], x, parameters[f"weight_{layer}"]))
    mean, log_std = torch.addmm(parameters[f"bias_{last}"], x, parameters[f"weight_{last}"]).chunk(2, dim=-1)
    return mean, log_std.clamp(LOG_STD_MIN, LOG_STD_MAX)


def sample_action(parameters: Parameters, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Reparameterised action tanh(mean + std noise) and its log density.

    Args:
        parameters: The actor's.
        observation: Shape (batch, observation).
        noise: Shape (batch, action), standard normal.

    Returns:
        Action of shape (batch, action) in [-1, 1] and log pi of shape (batch,): equation 26 of arXiv 1812.05905, with
        log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)), which does not underflow.
    """
    mean, log_std = actor_output(parameters, observation)
    unsquashed = mean + log_std.exp() * noise
    gaussian = -0.5 * noise.square() - log_std - 0.5 * math.log(2.0 * math.pi)
    squashing = 2.0 * (math.log(2.0) - unsquashed - F.softplus(-2.0 * unsquashed))
    return torch.tanh(unsquashed), (gaussian - squashing).sum(-1)
