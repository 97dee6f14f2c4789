"""SAC updates a second: ours, Stable-Baselines3's and sbx's, on one shape, in turns within one run.

    ./run bench updates [--threads 1] [--seconds 3] [--repeats 3]

One update is one step of both critics, of the actor and of the temperature on a batch of 256 (2 x 256 networks, observation 36, action 8),
sampling included: the actor is updated every time, as the peers do by default. The rule for robots (actor every 4th time) is reported
beside it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from pydantic import JsonValue

from benchmarks.report import Report
from policy.config import NetworkConfig
from policy.layout import PolicyLayout
from robot.clock import monotonic_s
from robot.errors import UsageError
from training.config import SacConfig, TrainConfig
from training.learner import Learner
from training.precision import is_float32, medium_error

_OBSERVATION = 36
_ACTION = 8
_BATCH = 256
_ROWS = 20_000
# Peers are asked for many updates a call, their fastest way: Stable-Baselines3 100, sbx 20 (its scan is compiled for that length).
_SB3_CALL = 100
_SBX_CALL = 20


class _Shape(gymnasium.Env[np.ndarray, np.ndarray]):
    """The spaces of the Minitaur task with random transitions: only the learner is measured."""

    observation_space = spaces.Box(-np.inf, np.inf, (_OBSERVATION,), np.float32)
    action_space = spaces.Box(-1.0, 1.0, (_ACTION,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None) -> tuple[np.ndarray, dict[str, object]]:
        super().reset(seed=seed)
        return self._draw(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, object]]:
        return self._draw(), float(self.np_random.standard_normal()), False, False, {}

    def _draw(self) -> np.ndarray:
        return self.np_random.standard_normal(_OBSERVATION, dtype=np.float32)


def learner_call(*, compiled: bool, precision: str, actor_every: int, layer_norm: bool) -> Callable[[], int]:
    """Return what makes the updates of one environment step with our learner, and says how many."""
    config = SacConfig.model_validate(
        {"precision": precision, "actor_every": actor_every, "network": NetworkConfig(critic_layer_norm=layer_norm)}
    )
    layout = PolicyLayout(
        robot="bench",
        task="bench",
        joint_names=("joint",),
        observation_names=tuple(f"o{i}" for i in range(_OBSERVATION)),
        action_names=tuple(f"a{i}" for i in range(_ACTION)),
        control_hz=50.0,
        action_scaling=(),
        hidden=config.network.hidden,
    )
    learner = Learner(layout, config, TrainConfig(replay_capacity=_ROWS), 0, compiled=compiled)
    if compiled:
        learner.warm_up(required=True)
    learner.replay.fill_with_noise(learner.sac.generator)

    def call() -> int:
        learner.update()
        return config.updates_per_step

    return call


def _sb3() -> Callable[[], int]:
    from stable_baselines3 import SAC
    from stable_baselines3.common.logger import Logger

    model = SAC(
        "MlpPolicy",
        _Shape(),
        buffer_size=_ROWS,
        batch_size=_BATCH,
        learning_starts=1_000,
        train_freq=1,
        gradient_steps=0,
        device="cpu",
        seed=0,
    )
    model.learn(_ROWS)
    model.set_logger(Logger(folder=None, output_formats=[]))

    def call() -> int:
        model.train(gradient_steps=_SB3_CALL, batch_size=_BATCH)
        return _SB3_CALL

    return call


def _sbx() -> Callable[[], int]:
    from sbx import SAC
    from stable_baselines3.common.logger import Logger

    model = SAC("MlpPolicy", _Shape(), buffer_size=_ROWS, batch_size=_BATCH, learning_starts=1_000, train_freq=1, gradient_steps=0, seed=0)
    model.learn(_ROWS)
    model.set_logger(Logger(folder=None, output_formats=[]))

    def call() -> int:
        model.train(gradient_steps=_SBX_CALL, batch_size=_BATCH)
        return _SBX_CALL

    return call


def _rate(call: Callable[[], int], seconds: float) -> float:
    start_s, updates = monotonic_s(), 0
    while (elapsed_s := monotonic_s() - start_s) < seconds:
        updates += call()
    return updates / elapsed_s


def main(argv: Sequence[str]) -> Report:
    """Measure every implementation in turns and report the medians."""
    parser = argparse.ArgumentParser(prog="bench updates")
    parser.add_argument("--threads", type=int, default=1, help="of every library; the process is bound to as many cores")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each, in turns; the median is reported")
    options = parser.parse_args(list(argv))
    cores = sorted(os.sched_getaffinity(0))
    if not 1 <= options.threads <= len(cores):
        raise UsageError(f"--threads must be 1 to {len(cores)}, the cores of this machine: got {options.threads}")
    # jax sizes its pool by the cores that it may use, when it is first imported: below, in `_sbx`.
    os.sched_setaffinity(0, cores[: options.threads])
    torch.set_num_threads(options.threads)
    makers: dict[str, Callable[[], Callable[[], int]]] = {
        "ours": lambda: learner_call(compiled=True, precision="float32", actor_every=1, layer_norm=False),
        "ours, layer norm": lambda: learner_call(compiled=True, precision="float32", actor_every=1, layer_norm=True),
        "ours, layer norm, actor every 4th": lambda: learner_call(compiled=True, precision="float32", actor_every=4, layer_norm=True),
        "ours, bfloat16": lambda: learner_call(compiled=True, precision="bfloat16", actor_every=1, layer_norm=False),
        "ours, eager": lambda: learner_call(compiled=False, precision="float32", actor_every=1, layer_norm=False),
        "stable-baselines3": _sb3,
        "stable-baselines3, medium": _sb3,
        "sbx": _sbx,
    }
    float32_by_medium = is_float32(medium_error())
    # "medium" is ours to set, as `choose_products` does: each peer is measured as its users run it, and Stable-Baselines3 once more so.
    calls: dict[str, Callable[[], int]] = {}
    for name, make in makers.items():
        calls[name] = make()
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(options.repeats):
        for name, call in calls.items():
            own = name.startswith("ours") and ("bfloat16" in name or float32_by_medium)
            torch.set_float32_matmul_precision("medium" if own or name.endswith("medium") else "highest")
            call()
            rates[name].append(_rate(call, options.seconds))
    medians = {name: float(np.median(values)) for name, values in rates.items()}
    details: dict[str, JsonValue] = {f"{name} [1/s]": round(value, 1) for name, value in medians.items()}
    details["ours over sbx"] = round(medians["ours"] / medians["sbx"], 2)
    details["threads"] = options.threads
    return Report("updates", medians["ours"], medians["stable-baselines3"], None, "updates/s", [0], details)
