"""Pixel SAC updates a second, where their time goes, and bytes of the replay: ours and Stable-Baselines3's, in turns within one run.

    ./run bench pixels [--threads 1] [--batch 256] [--sides 64 84] [--repeats 3]

One update is one step of encoder, both critics, actor and temperature, sampling included (and with ours the random shift, which the peer
does not do): three frames of 64 and 84 px a side beside 18 joint figures, 9 actions, networks of 2 x 256. The peer is its SAC with
`MultiInputPolicy` (NatureCNN for the images), which needs at least 36 px; ours is measured at 32 px too. At each size the simulated claw
is stepped at random as well (configs/claw_pixels.yaml): what its camera takes of a step.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, cast, get_args

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import JsonValue
from torch import Tensor
from torch.func import grad

from benchmarks.report import Report
from benchmarks.timed_camera import TimedCamera
from fetlock.build import make_env
from fetlock.config import DEFAULT_CONFIG, load_config
from policy.actor import Parameters
from policy.config import EncoderConfig
from policy.encoders import encode
from policy.image import EncoderKind
from robot.clock import monotonic_s
from robot.errors import UsageError
from robot.protocols import Camera
from training.config import SacConfig
from training.pixel_replay import PixelReplay
from training.pixel_sac import PixelSac, pixel_critic_update
from training.precision import is_float32, medium_error
from training.sac import Batch, actor_update

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer

_JOINTS = 18
_ACTION = 9
_STACK = 3
_ROWS = 2_000
# What the default encoder is measured with in all parts; the others at every size, their passes alone.
_HEADLINE: EncoderKind = "residual"
_PRECISIONS = ("float32", "bfloat16")
_SIDES = (32, 64, 84)
_SCALE = 100_000
_PEER = "stable-baselines3"
# Policy ticks of the simulated claw in which its camera is measured, and those before that warm it up.
_STEPS, _WARM = 200, 20
# NatureCNN's filters leave nothing of less.
_SMALLEST_PEER_PX = 36

Call = Callable[[], object]
_Observation = dict[str, Any]


class _Shape(gymnasium.Env[_Observation, NDArray[np.float32]]):
    """Spaces of a seeing claw with random transitions: only the learner is measured."""

    action_space = spaces.Box(-1.0, 1.0, (_ACTION,), np.float32)

    def __init__(self, side: int) -> None:
        image = spaces.Box(0, 255, (3 * _STACK, side, side), np.uint8)
        self.observation_space: spaces.Space[_Observation] = spaces.Dict(
            {"image": image, "joints": spaces.Box(-np.inf, np.inf, (_JOINTS,), np.float32)}
        )
        self._images = np.random.default_rng(0).integers(0, 256, (8, *image.shape), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None) -> tuple[_Observation, dict[str, object]]:
        super().reset(seed=seed)
        return self._draw(), {}

    def step(self, action: NDArray[np.float32]) -> tuple[_Observation, float, bool, bool, dict[str, object]]:
        return self._draw(), float(self.np_random.standard_normal()), False, False, {}

    def _draw(self) -> _Observation:
        return {
            "image": self._images[self.np_random.integers(len(self._images))],
            "joints": self.np_random.standard_normal(_JOINTS, dtype=np.float32),
        }


class _Peer:
    """Stable-Baselines3's SAC with a full, small buffer."""

    def __init__(self, side: int, batch: int) -> None:
        from stable_baselines3 import SAC
        from stable_baselines3.common.logger import Logger

        self._batch = batch
        self.model = SAC(
            "MultiInputPolicy",
            _Shape(side),
            buffer_size=_ROWS,
            batch_size=batch,
            learning_starts=_ROWS,
            gradient_steps=0,
            device="cpu",
            seed=0,
        )
        self.model.learn(_ROWS)
        self.model.set_logger(Logger(folder=None, output_formats=[]))

    def update(self) -> None:
        self.model.train(gradient_steps=1, batch_size=self._batch)

    def sample(self) -> None:
        cast("ReplayBuffer", self.model.replay_buffer).sample(self._batch)

    @property
    def bytes_per_transition(self) -> float:
        buffer = cast("DictReplayBuffer", self.model.replay_buffer)
        arrays = [
            *buffer.observations.values(),
            *buffer.next_observations.values(),
            buffer.actions,
            buffer.rewards,
            buffer.dones,
            buffer.timeouts,
        ]
        return sum(array.nbytes for array in arrays) / _ROWS


class _Ours:
    """Our pixel SAC with a full, small replay."""

    def __init__(self, side: int, kind: EncoderKind, precision: str, batch: int, *, compiled: bool) -> None:
        encoder = EncoderConfig(kind=kind, stack=_STACK)
        self._config = SacConfig.model_validate({"precision": precision, "actor_every": 1, "batch_size": batch})
        self.layout = encoder.layout(side, side)
        self._sac = PixelSac(_JOINTS, _ACTION, self.layout, encoder, self._config, 0, compiled=compiled)
        self.replay = PixelReplay(_JOINTS, _ACTION, self.layout, _ROWS)
        self.replay.fill_with_noise(self._sac.generator)

    def update(self) -> None:
        self._sac.update(self._drawn())

    def sample(self) -> Batch:
        return next(self._drawn())

    def parts(self) -> dict[str, Call]:
        """Return what an update consists of, each to be timed alone."""
        batch = self.sample()
        image = cast("Tensor", batch.image)
        state, config = self._sac.state, self._config
        noise, subset = torch.randn(batch.action.shape), torch.arange(2)
        features = torch.randn(len(noise), self.layout.features + _JOINTS)
        forward, backward = self.passes()
        critics, actor = (torch.compile(update, fullgraph=True, dynamic=False) for update in (pixel_critic_update, actor_update))
        return {
            "sample and shift": self.sample,
            "encoder forward": lambda: forward(state.encoder, image),
            "encoder forward and backward": lambda: backward(state.encoder, image),
            "critics' update": lambda: critics(state, batch, noise, subset, config, self.layout),
            "actor's update": lambda: actor(state, features, noise, config),
        }

    def passes(self) -> tuple[Callable[[Parameters, Tensor], object], Callable[[Parameters, Tensor], object]]:
        """Return the encoder's pass forward, and forward and backward, compiled."""

        def total(parameters: Parameters, image: Tensor) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=self._config.precision == "bfloat16"):
                return encode(parameters, image, self.layout).square().sum()

        return torch.compile(total, fullgraph=True, dynamic=False), torch.compile(grad(total), fullgraph=True, dynamic=False)

    def encoder(self) -> Call:
        """Return a pass forward and backward through the encoder alone."""
        image = cast("Tensor", self.sample().image)
        _, backward = self.passes()
        encoder = self._sac.state.encoder
        return lambda: backward(encoder, image)

    def _drawn(self) -> Iterator[Batch]:
        return self.replay.sample(self._config.batch_size, 1, self._sac.generator)


def _camera(side: int) -> dict[str, JsonValue]:
    """Measure what drawing takes of a policy tick of the simulated claw that sees, reset and learner left out."""
    words = ("--config", str(DEFAULT_CONFIG.with_name("claw_pixels.yaml")), "--camera.width-px", str(side), "--camera.height-px", str(side))
    env = make_env(load_config(words))
    try:
        env.eye = timed = TimedCamera(cast("Camera", env.eye))
        steps_s, frames_s = [], []
        env.action_space.seed(0)
        over = True
        for step in range(_WARM + _STEPS):
            if over:
                env.reset(seed=step)
            timed.taking_s.clear()
            start_s = monotonic_s()
            *_, terminated, truncated, _ = env.step(env.action_space.sample())
            over = terminated or truncated
            if step >= _WARM:
                steps_s.append(monotonic_s() - start_s)
                frames_s.append(sum(timed.taking_s))
    finally:
        env.close()
    return {
        f"{side} px, a step of the claw [ms]": round(1e3 * float(np.median(steps_s)), 2),
        f"{side} px, its camera's frame [ms]": round(1e3 * float(np.median(frames_s)), 2),
        f"{side} px, the camera's share of the step": round(sum(frames_s) / sum(steps_s), 3),
    }


def _median_s(calls: dict[str, Call], repeats: int) -> dict[str, float]:
    """Return the median time of a call of each, in turns, after one call to warm up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            start_s = monotonic_s()
            with torch.set_grad_enabled(mode=name.startswith(_PEER)):
                call()
            if repeat:
                times[name].append(monotonic_s() - start_s)
    return {name: float(np.median(values)) for name, values in times.items()}


def _updates(side: int, batch: int, repeats: int) -> dict[str, JsonValue]:
    """Measure whole updates at one size, and sampling; with ratios where there is a peer."""
    calls: dict[str, Call] = {}
    for precision in _PRECISIONS:
        calls[precision] = _Ours(side, _HEADLINE, precision, batch, compiled=True).update
    eager = _Ours(side, _HEADLINE, "float32", batch, compiled=False)
    calls |= {"float32, eager": eager.update, "sample": eager.sample}
    peer = _Peer(side, batch) if side >= _SMALLEST_PEER_PX else None
    if peer is not None:
        calls |= {_PEER: peer.update, f"{_PEER}, sample": peer.sample}
    times = _median_s(calls, repeats)
    details: dict[str, JsonValue] = {f"{side} px, {name} [ms]": round(1e3 * value, 1) for name, value in times.items()}
    if peer is not None:
        held = PixelReplay(_JOINTS, _ACTION, eager.layout, _SCALE)
        details |= {f"{side} px, {name} over {_PEER}": round(times[_PEER] / times[name], 2) for name in (*_PRECISIONS, "float32, eager")}
        details[f"{side} px, sample over {_PEER}"] = round(times[f"{_PEER}, sample"] / times["sample"], 2)
        details[f"{side} px, replay of 100k [MiB]"] = round(held.nbytes / 2**20)
        details[f"{side} px, {_PEER}, replay of 100k [MiB]"] = round(_SCALE * peer.bytes_per_transition / 2**20)
        details[f"{side} px, bytes over {_PEER}"] = round(held.nbytes / _SCALE / peer.bytes_per_transition, 3)
    return details


def _measured(sides: Sequence[int], batch: int, repeats: int) -> Iterator[dict[str, JsonValue]]:
    """Yield the figures of updates, of their parts and of encoders, as they are measured."""
    for side in sides:
        yield _camera(side)
        yield _updates(side, batch, repeats)
    for precision in _PRECISIONS:
        parts = _Ours(sides[-1], _HEADLINE, precision, batch, compiled=False).parts()
        yield _rounded(f"{sides[-1]} px, {precision}", parts, repeats)
    for side, precision in product(sides, _PRECISIONS):
        kinds: dict[str, Call] = {kind: _Ours(side, kind, precision, batch, compiled=False).encoder() for kind in get_args(EncoderKind)}
        yield _rounded(f"encoder forward and backward, {side} px, {precision}", kinds, repeats)


def _rounded(label: str, calls: dict[str, Call], repeats: int) -> dict[str, JsonValue]:
    return {f"{label}, {name} [ms]": round(1e3 * value, 1) for name, value in _median_s(calls, repeats).items()}


def main(argv: Sequence[str]) -> Report:
    """Measure updates, their parts and every encoder, in turns, and report the medians."""
    parser = argparse.ArgumentParser(prog="bench pixels")
    parser.add_argument("--threads", type=int, default=1, help="of torch; the process is bound to as many cores")
    parser.add_argument("--batch", type=int, default=256, help="transitions of an update")
    parser.add_argument("--sides", type=int, nargs="+", default=list(_SIDES), help="of the images, px; the last is the headline")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each, in turns; the median is reported")
    options = parser.parse_args(list(argv))
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= options.threads <= len(cores):
        raise UsageError(f"--threads must be 1 to {len(cores)}, the cores of this machine: got {options.threads}")
    if options.sides[-1] < _SMALLEST_PEER_PX:
        raise UsageError(f"the last of --sides is compared with a peer that needs {_SMALLEST_PEER_PX} px: got {options.sides[-1]}")
    os.sched_setaffinity(0, cores[: options.threads])
    torch.set_num_threads(options.threads)
    # One function is compiled for every size, encoder and precision.
    torch._dynamo.config.recompile_limit = 64  # noqa: SLF001 (torch has no other switch)
    # "medium" is the learner's; where it means bfloat16, which float32 shall not, it is left alone.
    medium = is_float32(medium_error())
    torch.set_float32_matmul_precision("medium" if medium else "highest")
    details: dict[str, JsonValue] = {"threads": options.threads, "batch": options.batch, "float32 products at medium": medium}
    for figures in _measured(options.sides, options.batch, options.repeats):
        print(json.dumps(figures), file=sys.stderr, flush=True)
        details |= figures
    ours, peer = (cast("float", details[f"{options.sides[-1]} px, {name} [ms]"]) for name in ("float32", _PEER))
    return Report("pixels", 1e3 / ours, 1e3 / peer, None, "updates/s", [0], details)
