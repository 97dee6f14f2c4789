"""Steps and seconds until the Minitaur walks: ours against Stable-Baselines3's SAC at its defaults, on the same environment and machine.

    ./run bench walk [--seeds 0 1 2] [--sides fetlock stable-baselines3] [--peer-steps 120000] [--peer-threads 2] [--out docs/results]

The mark: mean forward speed of at least 0.6 m/s and no fall in 10 evaluation episodes of 10 s, held over three evaluations in a row; the
figure is the step, and the second, of the third. Evaluation episodes start from the same poses for both and take no time of the peer's
clock; ours run in a process of their own while training goes on, so their cost is in our seconds. Ours is evaluated every 1,000 steps; the
peer, ten times slower, every 5,000. Seeds run in sequence. With `--out`, finished seeds are kept in walk.json and a later call adds to
them or replaces them, so that a benchmark of hours can be run in parts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import gymnasium
import matplotlib as mpl
import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.environments import minitaur_walk
from fetlock.revision import revision
from robot.clock import monotonic_s, process_cpu_s
from robot.errors import FetlockError
from training.evaluation import Evaluation, Mark, first_held, marks_in_a_row, read_evaluations, run_episode, summarise

_ID = "fetlock:fetlock/MinitaurWalk-v0"
_PEER_EVERY = 5_000
_IN_A_ROW = 3
_EPISODES = 10
_MARK = Mark(measure=0.6)

Side = Literal["fetlock", "stable-baselines3"]


@dataclass(frozen=True)
class Training:
    """One seed of one side.

    Attributes:
        side: "fetlock" or "stable-baselines3".
        seed: Of the run.
        steps: Environment steps until the mark; None if it was not reached.
        seconds: Training time until then; None if it was not reached.
        cpu_seconds: Of the peer, which is one process, with all its threads; None for ours, which has several processes.
        threads: torch's, in the process that learns.
        commit: Of the checkout that ran.
        falls: During training, until its end.
        evaluations: All of them.
    """

    side: Side
    seed: int
    steps: int | None
    seconds: float | None
    cpu_seconds: float | None
    threads: int
    commit: str
    falls: int
    evaluations: list[Evaluation]


def train_ours(seed: int) -> Training:
    """Train by the command line, as a user does."""
    with tempfile.TemporaryDirectory() as folder:
        return _train_ours(seed, Path(folder))


def _train_ours(seed: int, folder: Path) -> Training:
    name = f"seed-{seed}"
    command = [sys.executable, "-m", "fetlock", "train", "--name", name, "--runs-dir", str(folder), "--no-video", "--seed", str(seed)]
    result = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    if result.returncode != 0:
        raise FetlockError(f"fetlock train ended with exit code {result.returncode} on seed {seed}")
    summary = json.loads((folder / name / "summary.json").read_text())
    evaluations = read_evaluations(folder / name / "evaluations.jsonl")
    threads = int(summary["learner_threads"])
    return Training("fetlock", seed, *_reached(evaluations), None, threads, revision(), int(summary["training_falls"]), evaluations)


def train_peer(seed: int, steps: int, threads: int | None) -> Training:
    """Train Stable-Baselines3's SAC at its defaults until the mark or `steps` steps."""
    import torch
    from stable_baselines3 import SAC

    if threads is not None:
        torch.set_num_threads(threads)
    env, judge = gymnasium.make(_ID), minitaur_walk()
    model = SAC("MlpPolicy", env, seed=seed, device="cpu")
    evaluations: list[Evaluation] = []
    falls = 0
    seconds = cpu_seconds = 0.0
    reached_cpu_s: float | None = None
    while model.num_timesteps < steps:
        counter = _FallCounter()
        start_s, start_cpu_s = monotonic_s(), process_cpu_s()
        model.learn(_PEER_EVERY, callback=counter, reset_num_timesteps=False, log_interval=_PEER_EVERY)
        seconds += monotonic_s() - start_s
        cpu_seconds += process_cpu_s() - start_cpu_s
        falls += counter.falls
        episodes = [run_episode(judge, _PeerActor(model), number) for number in range(_EPISODES)]
        evaluations.append(
            summarise(episodes, _MARK, steps=model.num_timesteps, updates=model._n_updates, version=0, seconds=seconds)  # noqa: SLF001
        )
        last = evaluations[-1]
        print(f"stable-baselines3 seed {seed}: {last.model_dump_json()}", file=sys.stderr, flush=True)
        if marks_in_a_row(evaluations) >= _IN_A_ROW:
            reached_cpu_s = round(cpu_seconds, 1)
            break
    env.close()
    judge.close()
    threads = torch.get_num_threads()
    return Training("stable-baselines3", seed, *_reached(evaluations), reached_cpu_s, threads, revision(), falls, evaluations)


class _FallCounter:
    """A callback of Stable-Baselines3 that counts terminated episodes."""

    def __init__(self) -> None:
        self.falls = 0

    def __call__(self, local: dict[str, Any], _: dict[str, Any]) -> bool:
        done, info = local["dones"][0], local["infos"][0]
        self.falls += bool(done and not info.get("TimeLimit.truncated", False))
        return True


class _PeerActor:
    """The peer's policy under our evaluation."""

    backend: Literal["numpy", "torchscript"] = "torchscript"

    def __init__(self, model: Any) -> None:  # noqa: ANN401 (the peer is not typed)
        self._model = model

    def load(self, vector: np.ndarray) -> None:
        raise NotImplementedError("the peer keeps its own weights")

    def act(self, observation: np.ndarray, noise: np.ndarray | None, image: np.ndarray | None = None) -> np.ndarray:
        return np.asarray(self._model.predict(observation, deterministic=noise is None)[0], dtype=np.float32)


def _reached(evaluations: list[Evaluation]) -> tuple[int | None, float | None]:
    held = first_held(evaluations, _IN_A_ROW)
    return (None, None) if held is None else (held.steps, round(held.seconds, 1))


def plot(trainings: list[Training], path: Path) -> None:
    """Draw speed and share of falls over the environment steps, one line a seed."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    # Okabe and Ito's palette, safe for colour-blind readers.
    colours = {"fetlock": "#0072B2", "stable-baselines3": "#D55E00"}
    figure, axes = plt.subplots(2, 1, figsize=(8, 7), sharex=True, layout="constrained")
    labelled: set[str] = set()
    for training in trainings:
        label = None if training.side in labelled else training.side
        labelled.add(training.side)
        steps = [e.steps for e in training.evaluations]
        axes[0].plot(steps, [e.mean_measure for e in training.evaluations], color=colours[training.side], label=label, marker=".")
        axes[1].plot(steps, [e.falls / e.episodes for e in training.evaluations], color=colours[training.side], marker=".")
    axes[0].axhline(_MARK.measure, color="#999999", linestyle="--", linewidth=1)
    axes[0].set_ylabel("speed, m/s (mean of 10 episodes)")
    axes[1].set_ylabel("share of episodes that fall")
    axes[1].set_xlabel("environment steps")
    axes[1].set_xscale("log")
    axes[0].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv: Sequence[str]) -> Report:
    """Train every seed on the sides asked for; report the median steps to the mark, and everything else in the details."""
    parser = argparse.ArgumentParser(prog="bench walk")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sides", nargs="+", choices=get_args(Side), default=list(get_args(Side)))
    parser.add_argument("--peer-steps", type=int, default=120_000, help="where the peer gives up")
    parser.add_argument("--peer-threads", type=int, default=None, help="torch's threads for the peer; by default torch's own choice")
    parser.add_argument("--out", type=Path, default=None, help="folder for walk.json and walk.png; adds to what is there")
    options = parser.parse_args(list(argv))
    trainings = _known(options.out)
    for seed in options.seeds:
        for side in options.sides:
            done = train_ours(seed) if side == "fetlock" else train_peer(seed, options.peer_steps, options.peer_threads)
            trainings = sorted([t for t in trainings if (t.side, t.seed) != (side, seed)] + [done], key=lambda t: (t.side, t.seed))
            _write(trainings, options.out)
    return report(trainings)


def report(trainings: list[Training]) -> Report:
    """Reduce trainings to medians; seeds that never reached the mark are counted in the details and are in no median.

    Raises:
        FetlockError: If no seed of ours reached the mark.
    """
    ours = [t for t in trainings if t.side == "fetlock"]
    peer = [t for t in trainings if t.side != "fetlock"]
    details: dict[str, JsonValue] = {
        f"{t.side} seed {t.seed}": {
            "steps": t.steps,
            "seconds": t.seconds,
            "cpu seconds": t.cpu_seconds,
            "threads": t.threads,
            "training falls": t.falls,
            "commit": t.commit,
        }
        for t in trainings
    }
    details["seconds ratio"] = _ratio([t.seconds for t in ours], [t.seconds for t in peer])
    details["seeds at the mark"] = {
        "fetlock": f"{sum(t.steps is not None for t in ours)} of {len(ours)}",
        "stable-baselines3": f"{sum(t.steps is not None for t in peer)} of {len(peer)}",
    }
    median, peer_median = _median([t.steps for t in ours]), _median([t.steps for t in peer])
    if median is None:
        raise FetlockError(f"no seed reached the mark: {details}")
    return Report("walk", median, peer_median, None, "environment steps to the mark (median)", sorted({t.seed for t in trainings}), details)


def _write(trainings: list[Training], out: Path | None) -> None:
    """Write what is known so far: a long benchmark that is cut off has not been for nothing."""
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    rows = [{**asdict(t), "evaluations": [e.model_dump() for e in t.evaluations]} for t in trainings]
    (out / "walk.json").write_text(json.dumps(rows, indent=1) + "\n")
    plot(trainings, out / "walk.png")


def _known(out: Path | None) -> list[Training]:
    """Return the trainings that earlier calls left in `out`."""
    if out is None or not (out / "walk.json").exists():
        return []
    rows = json.loads((out / "walk.json").read_text())
    return [Training(**{**row, "evaluations": [Evaluation(**e) for e in row["evaluations"]]}) for row in rows]


def _median(values: Sequence[float | None]) -> float | None:
    """Return the median of those that reached the mark; None if none did."""
    reached = [value for value in values if value is not None]
    return float(np.median(reached)) if reached else None


def _ratio(ours: Sequence[float | None], peer: Sequence[float | None]) -> float | None:
    mine, theirs = _median(ours), _median(peer)
    return round(mine / theirs, 4) if mine and theirs else None
