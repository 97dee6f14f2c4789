"""The actor as a frozen TorchScript module; apart from `policy.acting`, so that acting with NumPy never imports torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from policy.actor import actor_output
from policy.layout import Vector


class _Module(nn.Module):
    """Observation (o,) and noise (a,) to action (a,); noise is scaled by 0 or 1."""

    def __init__(self, parameters: dict[str, Vector]) -> None:
        super().__init__()
        self._names = list(parameters)
        for name, value in parameters.items():
            self.register_buffer(name, torch.from_numpy(value))

    def forward(self, observation: Tensor, noise: Tensor, scale: Tensor) -> Tensor:
        mean, log_std = actor_output({name: getattr(self, name) for name in self._names}, observation.unsqueeze(0))
        return torch.tanh(mean + scale * log_std.exp() * noise).squeeze(0)


def script_actor(parameters: dict[str, Vector]) -> torch.jit.ScriptModule:
    """Trace and freeze the actor with its parameters folded in."""
    torch.set_num_threads(1)
    module = _Module(parameters).eval()
    observation = torch.zeros(parameters["weight_0"].shape[0])
    actions = parameters[f"bias_{len(parameters) // 2 - 1}"].shape[0] // 2
    with torch.no_grad():
        traced: torch.jit.ScriptModule = torch.jit.trace(module, (observation, torch.zeros(actions), torch.ones(())))  # type: ignore[no-untyped-call]
        frozen: torch.jit.ScriptModule = torch.jit.freeze(traced)
        return frozen


def run_script(module: object, observation: Vector, noise: Vector, *, deterministic: bool) -> Vector:
    """Evaluate a module of `script_actor` on NumPy vectors."""
    if not isinstance(module, torch.jit.ScriptModule):
        raise TypeError("run_script takes a module of script_actor")
    scale = torch.zeros(()) if deterministic else torch.ones(())
    with torch.inference_mode():
        action: Tensor = module(torch.from_numpy(observation), torch.from_numpy(noise), scale)
    return np.asarray(action.numpy(), dtype=np.float32)
