"""The actor as a TorchScript module; apart from `policy.acting`, so that acting with NumPy never imports torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from policy.actor import actor_output
from policy.encoders import encode
from policy.image import Image, ImageLayout
from policy.layout import Vector


class _Module(nn.Module):
    """Observation (o,), noise (a,) and, if it sees, frames (stack, h, w, 3) to action (a,); noise is scaled by 0 or 1."""

    def __init__(self, actor: dict[str, Vector], encoder: dict[str, Vector], image: ImageLayout | None) -> None:
        super().__init__()
        self._actor, self._encoder, self._image = list(actor), list(encoder), image
        for name, value in {**actor, **encoder}.items():
            self.register_buffer(name, torch.from_numpy(value))

    def forward(self, observation: Tensor, noise: Tensor, scale: Tensor, image: Tensor | None = None) -> Tensor:
        x = observation.unsqueeze(0)
        if self._image is not None and image is not None:
            encoder = {name: getattr(self, name) for name in self._encoder}
            x = torch.cat([encode(encoder, image.unsqueeze(0), self._image), x], dim=-1)
        mean, log_std = actor_output({name: getattr(self, name) for name in self._actor}, x)
        return torch.tanh(mean + scale * log_std.exp() * noise).squeeze(0)


def script_actor(actor: dict[str, Vector], encoder: dict[str, Vector], image: ImageLayout | None) -> torch.jit.ScriptModule:
    """Trace the actor, behind its encoder if it sees, once for all parameters: `load_script` gives it others.

    A trace is never given back (3 MiB of one that sees, measured), and its first call compiles it for 20 ms: parameters are not folded in.
    """
    torch.set_num_threads(1)
    module = _Module(actor, encoder, image).eval()
    observation = torch.zeros(actor["weight_0"].shape[0] - (0 if image is None else image.features))
    actions = actor[f"bias_{len(actor) // 2 - 1}"].shape[0] // 2
    inputs = [observation, torch.zeros(actions), torch.ones(())]
    if image is not None:
        inputs.append(torch.zeros(image.shape, dtype=torch.uint8))
    with torch.no_grad():
        traced: torch.jit.ScriptModule = torch.jit.trace(module, tuple(inputs))  # type: ignore[no-untyped-call]
    return traced


def load_script(module: object, actor: dict[str, Vector], encoder: dict[str, Vector]) -> None:
    """Copy parameters into a module of `script_actor` of the same shapes."""
    buffers = dict(_scripted(module).named_buffers())
    for name, value in {**actor, **encoder}.items():
        buffers[name].copy_(torch.from_numpy(value))


def run_script(module: object, observation: Vector, noise: Vector, image: Image | None = None, *, deterministic: bool) -> Vector:
    """Evaluate a module of `script_actor` on NumPy arrays."""
    scale = torch.zeros(()) if deterministic else torch.ones(())
    frames = () if image is None else (torch.from_numpy(image),)
    with torch.inference_mode():
        action: Tensor = _scripted(module)(torch.from_numpy(observation), torch.from_numpy(noise), scale, *frames)
    return np.asarray(action.numpy(), dtype=np.float32)


def _scripted(module: object) -> torch.jit.ScriptModule:
    if not isinstance(module, torch.jit.ScriptModule):
        raise TypeError("this takes a module of script_actor")
    return module
