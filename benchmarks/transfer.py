"""From simulation to a robot that differs: steps and minutes until the shifted, emulated kitty is as good as the simulated one was.

    ./run bench transfer [--seeds 0 1 2] [--arms scratch weights data] [--runs runs/transfer] [--out docs/results]

For each seed a policy is learned in simulation (configs/kitty_walk.yaml). Then the robot of configs/kitty_shifted.yaml learns: from
scratch; from the simulated networks (`--from RUN --prior.share 0`); from them and the simulated data (`--from RUN`). The goal: 90% of the
return that the simulated policy had in simulation, as the mean of 5 evaluation episodes. The figure is the first evaluation that reaches
it. The simulated policy alone, on the shifted robot, is the evaluation at step 0. Runs stay in `--runs`, and are not made again; with
`--out`, transfer.json and transfer.png.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.plots.figure import COLOURS, new_figure, plain, save_figure
from fetlock.revision import revision
from robot.errors import FetlockError
from training.evaluation import Evaluation, read_evaluations

Arm = Literal["scratch", "weights", "data"]

_SHARE = 0.9
_EVERY, _EPISODES = 500, 5
# Where an arm gives up: from scratch the simulated kitty needs 4,000 to 9,000 steps.
_STEPS: dict[Arm, int] = {"scratch": 12_000, "weights": 6_000, "data": 6_000}
_LABELS: dict[Arm, str] = {"scratch": "from scratch", "weights": "simulated networks", "data": "simulated networks and data"}


@dataclass(frozen=True)
class Transfer:
    """One arm of one seed.

    Attributes:
        arm: How it began.
        seed: Of both runs.
        simulated: Mean return of the simulated policy in its simulation.
        alone: Mean return of that policy on the shifted robot; None from scratch.
        steps: Until the goal; None: it was not reached.
        seconds: Until then.
        falls: Until the end of the run.
        evaluations: Steps, seconds and mean return of each.
    """

    arm: Arm
    seed: int
    simulated: float
    alone: float | None
    steps: int | None
    seconds: float | None
    falls: int
    evaluations: list[tuple[int, float, float]]


def learn(runs: Path, name: str, *words: str) -> Path:
    """Train by the command line, as a user does, unless it was done before; return the run.

    Raises:
        FetlockError: If the training fails.
    """
    run = runs / name
    if not (run / "summary.json").is_file():
        resume = ("--resume",) if (run / "config.yaml").is_file() else words
        command = [sys.executable, "-m", "fetlock", "train", "--name", name, "--runs-dir", str(runs), "--no-video", *resume]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode != 0:
            raise FetlockError(f"fetlock train ended with an error in {run}: see its logs/")
    return run


def transfer(runs: Path, arm: Arm, seed: int) -> Transfer:
    """Learn in simulation, then on the shifted robot."""
    common = ("--seed", str(seed))
    source = learn(runs, f"simulated-{seed}", "--config", "configs/kitty_walk.yaml", *common)
    simulated = max(read_evaluations(source / "evaluations.jsonl"), key=lambda result: result.rank).mean_return
    begin: dict[Arm, tuple[str, ...]] = {
        "scratch": ("--train.caution.first", "1", "--train.learning-starts", "500"),
        "weights": ("--from", str(source), "--prior.share", "0"),
        "data": ("--from", str(source)),
    }
    schedule = (
        *("--train.total-steps", str(_STEPS[arm]), "--train.stop-after-marks", "0"),
        *("--train.evaluate-every", str(_EVERY), "--train.evaluation-episodes", str(_EPISODES)),
    )
    run = learn(runs, f"{arm}-{seed}", "--config", "configs/kitty_shifted.yaml", *common, *schedule, *begin[arm])
    results = read_evaluations(run / "evaluations.jsonl")
    falls = int(json.loads((run / "summary.json").read_text())["training_falls"])
    return Transfer(
        arm, seed, simulated, *reached(results, _SHARE * simulated), falls, [(e.steps, e.seconds, e.mean_return) for e in results]
    )


def reached(results: Sequence[Evaluation], goal: float) -> tuple[float | None, int | None, float | None]:
    """Return the return at step 0, and steps and seconds of the first evaluation that reaches a goal; None where there is none."""
    alone = next((result.mean_return for result in results if result.steps == 0), None)
    first = next((result for result in results if result.mean_return >= goal), None)
    return (alone, None, None) if first is None else (alone, first.steps, round(first.seconds, 1))


def plot(transfers: Sequence[Transfer], path: Path) -> None:
    """Draw the return over the steps, as a share of what the simulated policy had in simulation: a line a seed, a colour an arm."""
    figure = new_figure(8.0, 4.5)
    axes = figure.subplots()
    for colour, arm in zip(COLOURS, get_args(Arm), strict=False):
        for number, one in enumerate(t for t in transfers if t.arm == arm):
            steps, _, returns = zip(*one.evaluations, strict=True)
            label = _LABELS[arm] if number == 0 else None
            axes.plot(steps, np.array(returns) / one.simulated, color=colour, marker=".", linewidth=1.2, label=label)
    axes.axhline(_SHARE, color="0.5", linestyle="--", linewidth=1)
    axes.set_xlabel("steps on the shifted robot")
    axes.set_ylabel("return / return in simulation")
    plain(axes)
    axes.legend(frameon=False)
    save_figure(figure, path)


def report(transfers: Sequence[Transfer]) -> Report:
    """Reduce to medians over the seeds that reached the goal; how many did is in the details."""
    medians: dict[str, float | None] = {}
    details: dict[str, JsonValue] = {}
    for arm in get_args(Arm):
        own = [one for one in transfers if one.arm == arm]
        done = [one for one in own if one.steps is not None]
        medians[arm] = float(np.median([one.steps for one in done if one.steps is not None])) if done else None
        details[_LABELS[arm]] = {
            "seeds at the goal": f"{len(done)} of {len(own)}",
            "steps, median": medians[arm],
            "minutes, median": round(float(np.median([one.seconds or 0.0 for one in done])) / 60.0, 1) if done else None,
            "falls": [one.falls for one in own],
            "return alone / in simulation": [None if one.alone is None else round(one.alone / one.simulated, 3) for one in own],
            "best return / in simulation": [round(max(r for _, _, r in one.evaluations) / one.simulated, 3) for one in own],
        }
    best = min((value for arm in ("weights", "data") if (value := medians[arm]) is not None), default=None)
    unit = "steps to 90% of the simulated return (median; the better of networks, and networks and data)"
    return Report("transfer", best or float("nan"), medians["scratch"], None, unit, sorted({one.seed for one in transfers}), details)


def main(argv: Sequence[str]) -> Report:
    """Run every arm and seed that is asked for."""
    parser = argparse.ArgumentParser(prog="bench transfer")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", choices=get_args(Arm), default=list(get_args(Arm)))
    parser.add_argument("--runs", type=Path, default=Path("runs/transfer"), help="where the runs stay")
    parser.add_argument("--out", type=Path, default=None, help="folder for transfer.json and transfer.png")
    options = parser.parse_args(list(argv))
    transfers: list[Transfer] = []
    for seed in options.seeds:
        for arm in options.arms:
            transfers.append(transfer(options.runs, arm, seed))
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                rows = {"commit": revision(), "transfers": [asdict(one) for one in transfers]}
                (options.out / "transfer.json").write_text(json.dumps(rows, indent=1) + "\n")
                plot(transfers, options.out / "transfer.png")
    return report(transfers)
