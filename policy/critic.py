"""An ensemble of soft Q functions, stacked: every critic's layer is one slice of a batched matrix product."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from policy.actor import Parameters, linear_parameters
from policy.config import NetworkConfig


def critic_parameters(observation: int, action: int, config: NetworkConfig, generator: torch.Generator) -> Parameters:
    """Create the parameters of E critics: weight_i (E, in, out), bias_i (E, 1, out), and scale_i, shift_i (E, 1, out) with LayerNorm."""
    sizes = (observation + action, *config.hidden, 1)
    last = len(sizes) - 2
    parameters: Parameters = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        parameters[f"weight_{layer}"] = linear_parameters((config.critics, fan_in, fan_out), fan_in, generator)
        parameters[f"bias_{layer}"] = linear_parameters((config.critics, 1, fan_out), fan_in, generator)
        if config.critic_layer_norm and layer < last:
            parameters[f"scale_{layer}"] = torch.ones(config.critics, 1, fan_out)
            parameters[f"shift_{layer}"] = torch.zeros(config.critics, 1, fan_out)
    return parameters


def action_values(parameters: Parameters, observation: Tensor, action: Tensor, dropout: float = 0.0) -> Tensor:
    """Return Q of every critic, shape (E, batch).

    Args:
        parameters: Of `critic_parameters`.
        observation: Shape (batch, observation).
        action: Shape (batch, action), in [-1, 1].
        dropout: Probability of the masks between layers (DroQ, arXiv 2110.02034: dropout, then LayerNorm, then ReLU).
    """
    critics = parameters["bias_0"].shape[0]
    last = sum(name.startswith("weight_") for name in parameters) - 1
    x = torch.cat([observation, action], dim=-1).expand(critics, -1, -1)
    for layer in range(last):
        x = torch.baddbmm(parameters[f"bias_{layer}"], x, parameters[f"weight_{layer}"])
        if dropout > 0.0:
            x = F.dropout(x, dropout)
        if f"scale_{layer}" in parameters:
            x = F.layer_norm(x, x.shape[-1:]) * parameters[f"scale_{layer}"] + parameters[f"shift_{layer}"]
        x = F.relu(x)
    return torch.baddbmm(parameters[f"bias_{last}"], x, parameters[f"weight_{last}"]).squeeze(-1)
