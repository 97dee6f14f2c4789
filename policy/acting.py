"""Acting at batch 1: the same actor in NumPy and in TorchScript, and the choice between them by measurement.

One policy tick of a robot evaluates one observation. Dispatching torch operations costs more than the 0.1 MFLOP that they do: NumPy takes
7-9 us, frozen TorchScript 12 us, eager torch 24 us (docs/learning.md), but hardware differs, so `fastest` measures where it runs.
"""

from __future__ import annotations

import logging
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from policy.layout import PolicyLayout, Vector
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

    def act(self, observation: Vector, noise: Vector | None) -> Vector:
        """Return the action, shape (a,), in [-1, 1]: tanh(mean + std noise), or tanh(mean) without noise."""


class NumpyActor:
    """The actor as NumPy products over views of the vector."""

    backend: Backend = "numpy"

    def __init__(self, layout: PolicyLayout) -> None:
        self._layout = layout
        self._hidden: list[tuple[Vector, Vector]] = []
        self._output: tuple[Vector, Vector] | None = None

    def load(self, vector: Vector) -> None:
        parameters = list(self._layout.split(vector.copy()).values())
        layers = list(zip(parameters[0::2], parameters[1::2], strict=True))
        self._hidden, self._output = layers[:-1], layers[-1]

    def act(self, observation: Vector, noise: Vector | None) -> Vector:
        if self._output is None:
            raise RuntimeError("act was called before load")
        x = observation
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
    """The actor as a frozen TorchScript module, in one thread."""

    backend: Backend = "torchscript"

    def __init__(self, layout: PolicyLayout) -> None:
        self._layout = layout
        self._module: object | None = None

    def load(self, vector: Vector) -> None:
        from policy.script import script_actor

        self._module = script_actor(self._layout.split(vector.copy()))

    def act(self, observation: Vector, noise: Vector | None) -> Vector:
        from policy.script import run_script

        if self._module is None:
            raise RuntimeError("act was called before load")
        actions = len(self._layout.action_names)
        return run_script(self._module, observation, np.zeros(actions, np.float32) if noise is None else noise, deterministic=noise is None)


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
    times = []
    for _ in range(_TRIALS):
        start_s = monotonic_s()
        actor.act(observation, noise)
        times.append(monotonic_s() - start_s)
    return float(np.median(times))
