"""Acting at batch 1: the same actor, and encoder, in NumPy and in TorchScript, and the choice between them by measurement.

One policy tick of a robot evaluates one observation. Dispatching torch operations costs more than the 0.1 MFLOP that they do: NumPy takes
7-9 us, frozen TorchScript 12 us, eager torch 24 us (docs/learning.md), but hardware differs, so `fastest` measures where it runs.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from policy.image import Image
from policy.layout import PolicyLayout, Vector
from policy.numpy_encoder import NumpyEncoder
from policy.snapshot import Policy, load_policy
from robot.clock import monotonic_s

Backend = Literal["numpy", "torchscript"]

# Calls timed for each back end; the median of them is compared.
_TRIALS = 200
# Bounds of the log standard deviation, as in `policy.actor`.
_LOG_STD = (-20.0, 2.0)

_log = logging.getLogger(__name__)


class Actor(Protocol):
    """A policy that acts on one observation."""

    backend: Backend

    def load(self, vector: Vector) -> None:
        """Take new parameters, shape (layout.vector_size,); raises PolicyError and keeps the old ones if they are not finite."""

    def act(self, observation: Vector, noise: Vector | None, image: Image | None = None) -> Vector:
        """Return the action, shape (a,), in [-1, 1]: tanh(mean + std noise), or tanh(mean) without noise.

        A policy that sees needs a stack of frames, shape (stack, h, w, 3); PolicyError if it is missing, not of this shape, or given to one
        that does not see.
        """


class NumpyActor:
    """The actor as NumPy products over views of the vector."""

    backend: Backend = "numpy"

    def __init__(self, layout: PolicyLayout) -> None:
        self._layout = layout
        self._hidden: list[tuple[Vector, Vector]] = []
        self._output: tuple[Vector, Vector] | None = None
        self._encoder: NumpyEncoder | None = None

    def load(self, vector: Vector) -> None:
        actor, encoder = self._layout.split_encoder(vector.copy())
        parameters = list(actor.values())
        layers = list(zip(parameters[0::2], parameters[1::2], strict=True))
        self._hidden, self._output = layers[:-1], layers[-1]
        if self._layout.image is not None:
            self._encoder = NumpyEncoder(encoder, self._layout.image)

    def act(self, observation: Vector, noise: Vector | None, image: Image | None = None) -> Vector:
        if self._output is None:
            raise RuntimeError("act was called before load")
        x = observation
        if self._encoder is not None or image is not None:
            seen = self._layout.require_image(image)
            x = x if self._encoder is None else np.concatenate([self._encoder.encode(seen), observation])
        for weight, bias in self._hidden:
            x = np.maximum(x @ weight + bias, 0.0)
        weight, bias = self._output
        mean_and_log_std = x @ weight + bias
        actions = len(mean_and_log_std) // 2
        mean = mean_and_log_std[:actions]
        if noise is None:
            return _as_vector(np.tanh(mean))
        log_std = np.minimum(np.maximum(mean_and_log_std[actions:], _LOG_STD[0]), _LOG_STD[1])
        return _as_vector(np.tanh(mean + np.exp(log_std) * noise))


class TorchScriptActor:
    """The actor as a TorchScript module, in one thread."""

    backend: Backend = "torchscript"

    def __init__(self, layout: PolicyLayout) -> None:
        self._layout = layout
        self._module: object | None = None

    def load(self, vector: Vector) -> None:
        from policy.script import load_script, script_actor

        actor, encoder = self._layout.split_encoder(vector.copy())
        if self._module is None:
            self._module = script_actor(actor, encoder, self._layout.image)
        else:
            load_script(self._module, actor, encoder)

    def act(self, observation: Vector, noise: Vector | None, image: Image | None = None) -> Vector:
        from policy.script import run_script

        if self._module is None:
            raise RuntimeError("act was called before load")
        if self._layout.image is not None or image is not None:
            image = self._layout.require_image(image)
        drawn = np.zeros(len(self._layout.action_names), np.float32) if noise is None else noise
        return run_script(self._module, observation, drawn, image, deterministic=noise is None)


def _as_vector(values: NDArray[np.floating]) -> Vector:
    return values.astype(np.float32, copy=False)


def make_actor(layout: PolicyLayout, backend: Literal["auto", "numpy", "torchscript"]) -> Actor:
    """Return an actor of the given back end, or of the fastest one here; the choice is logged."""
    if backend == "numpy":
        return NumpyActor(layout)
    if backend == "torchscript":
        return TorchScriptActor(layout)
    return fastest(layout)


def fastest(layout: PolicyLayout) -> Actor:
    """Measure every back end at batch 1 and return the fastest."""
    actors: list[Actor] = [NumpyActor(layout), TorchScriptActor(layout)]
    medians = {actor.backend: median_act_s(actor, layout) for actor in actors}
    best = min(actors, key=lambda actor: medians[actor.backend])
    _log.info("acting with %s: %s", best.backend, ", ".join(f"{name} {1e6 * value:.1f} us" for name, value in medians.items()))
    return best


def median_act_s(actor: Actor, layout: PolicyLayout) -> float:
    """Return the median time of one `act` with noise, s."""
    rng = np.random.default_rng(0)
    actor.load(rng.standard_normal(layout.vector_size, dtype=np.float32) * np.float32(0.05))
    observation = rng.standard_normal(len(layout.observation_names), dtype=np.float32)
    noise = rng.standard_normal(len(layout.action_names), dtype=np.float32)
    image = None if layout.image is None else rng.integers(0, 256, layout.image.shape, np.uint8)
    times = []
    for _ in range(_TRIALS):
        start_s = monotonic_s()
        actor.act(observation, noise, image)
        times.append(monotonic_s() - start_s)
    return float(np.median(times))


def load_actor(folder: Path, layout: PolicyLayout) -> tuple[NumpyActor, Policy]:
    """Read the policy of a run's folder or of its own; return what acts with it, and the policy.

    Args:
        folder: Where it lies.
        layout: Of the robot and the task that it is to act for.

    Raises:
        PolicyError: If there is no policy, or it belongs to another robot, task or network.
    """
    policy = load_policy(folder)
    policy.config.layout.require_same(layout, str(folder))
    actor = NumpyActor(layout)
    actor.load(policy.vector)
    return actor, policy
