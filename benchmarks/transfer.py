"""From simulation to a robot that differs: steps until the shifted, emulated kitty is as good as the simulated one was.

    ./run bench transfer [--seeds 0 1 2] [--arms scratch weights data] [--runs runs/transfer] [--out docs/results]

For each seed a policy is learned in simulation (configs/kitty_walk.yaml). The robot of configs/kitty_shifted.yaml is shifted further, in
latency and friction, until that policy alone keeps less than half of its return. This robot learns: from scratch; from the simulated
networks (`--from RUN --prior.share 0`); from them and the simulated data, whose share fades (`--from RUN`); all with their whole range of
actions. Counted are the steps to the first evaluation whose mean return reaches half, 70% and 90% of what the simulated policy had in
simulation; the headline is 70%, because a slower robot may not reach 90% at all. Nothing is slowed to real time: 1,000 steps are 40 s of
the robot's own time. Runs stay in `--runs`, and are not made again; with `--out`, transfer.json and transfer.png.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.plots.figure import COLOURS, new_figure, plain, save_figure
from fetlock.revision import revision
from robot.errors import FetlockError
from training.evaluation import read_evaluations

Arm = Literal["scratch", "weights", "data"]

_SHARE, _HALF = 0.9, 0.5
# The headline's share is one that a weaker robot can reach at all.
_HEADLINE = 0.7
_SHARES = (_HALF, _HEADLINE, _SHARE)
_EVERY, _EPISODES = 250, 3
# Where an arm gives up: from scratch the simulated kitty needs 4,000 to 9,000 steps.
_STEPS: dict[Arm, int] = {"scratch": 12_000, "weights": 4_000, "data": 4_000}
# Control latency, s, and friction of the feet, from 20 ms and 30% less than the simulation's to what no policy of ours has walked with.
_SHIFTS = ((0.02, 0.7), (0.03, 0.6), (0.04, 0.5), (0.05, 0.4), (0.06, 0.3), (0.06, 0.2), (0.08, 0.2), (0.1, 0.2), (0.12, 0.2))
_LABELS: dict[Arm, str] = {"scratch": "from scratch", "weights": "simulated networks", "data": "simulated networks and data"}


@dataclass(frozen=True)
class Transfer:
    """One arm of one seed.

    Attributes:
        arm: How it began.
        seed: Of both runs.
        simulated: Mean return of the simulated policy in its simulation.
        latency_s: Of the shifted robot.
        friction: Of its feet.
        alone: Mean return of that policy on it.
        falls: Until the end of the run.
        evaluations: Steps and mean return of each.
    """

    arm: Arm
    seed: int
    simulated: float
    latency_s: float
    friction: float
    alone: float
    falls: int
    evaluations: list[tuple[int, float]]

    def reached(self, share: float) -> int | None:
        """Return the steps of the first evaluation that reaches a share of the return in simulation; None where there is none."""
        return next((steps for steps, mean in self.evaluations if mean >= share * self.simulated), None)


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


def shifted(latency_s: float, friction: float) -> tuple[str, ...]:
    """Return the flags of a robot with this latency, s, and this friction of its feet."""
    randomise = "--robot.machine.randomise"
    return (
        *("--config", "configs/kitty_shifted.yaml", "--robot.paced", "false"),
        *(f"{randomise}.control-latency-s", f"[{latency_s}, {latency_s}]", f"{randomise}.foot-friction", f"[{friction}, {friction}]"),
    )


def return_alone(source: Path, words: Sequence[str]) -> float:
    """Return the mean return of a run's policy on the robot of some flags.

    Raises:
        FetlockError: If it cannot be run there.
    """
    command = [sys.executable, "-m", "fetlock", "eval", str(source), "--episodes", "5", "--json", *words]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise FetlockError(f"fetlock eval {source} ended with an error")
    return float(json.loads(done.stdout)["episode_return"]["mean"])


def shift_of(source: Path, simulated: float) -> tuple[float, float, float]:
    """Return latency and friction of the least shift with which a policy keeps less than half of its return, and that return.

    Raises:
        FetlockError: If it walks with all of them.
    """
    for latency_s, friction in _SHIFTS:
        alone = return_alone(source, shifted(latency_s, friction))
        if alone < _HALF * simulated:
            return latency_s, friction, alone
    raise FetlockError(f"{source}: its policy keeps half of its return with every shift")


def transfer(runs: Path, arms: Sequence[Arm], seed: int) -> Iterator[Transfer]:
    """Learn in simulation, then on the shifted robot, arm by arm."""
    common = ("--seed", str(seed))
    source = learn(runs, f"simulated-{seed}", "--config", "configs/kitty_walk.yaml", *common)
    simulated = max(read_evaluations(source / "evaluations.jsonl"), key=lambda result: result.rank).mean_return
    latency_s, friction, alone = shift_of(source, simulated)
    begin: dict[Arm, tuple[str, ...]] = {
        "scratch": ("--train.learning-starts", "500"),
        "weights": ("--from", str(source), "--prior.share", "0"),
        "data": ("--from", str(source), "--prior.fade-steps", "1500"),
    }
    for arm in arms:
        schedule = (
            *("--train.caution.first", "1"),
            *("--train.total-steps", str(_STEPS[arm]), "--train.stop-after-marks", "0"),
            *("--train.evaluate-every", str(_EVERY), "--train.evaluation-episodes", str(_EPISODES)),
        )
        run = learn(runs, f"{arm}-{seed}", *shifted(latency_s, friction), *common, *schedule, *begin[arm])
        results = read_evaluations(run / "evaluations.jsonl")
        falls = int(json.loads((run / "summary.json").read_text())["training_falls"])
        yield Transfer(arm, seed, simulated, latency_s, friction, alone, falls, [(e.steps, e.mean_return) for e in results])


def plot(transfers: Sequence[Transfer], path: Path) -> None:
    """Draw the return over the steps, as a share of what the simulated policy had in simulation: a line a seed, a colour an arm."""
    figure = new_figure(8.0, 4.5)
    axes = figure.subplots()
    for colour, arm in zip(COLOURS, get_args(Arm), strict=False):
        for number, one in enumerate(t for t in transfers if t.arm == arm):
            steps, returns = zip(*one.evaluations, strict=True)
            label = _LABELS[arm] if number == 0 else None
            axes.plot(steps, np.array(returns) / one.simulated, color=colour, marker=".", linewidth=1.2, label=label)
    axes.axhline(_SHARE, color="0.5", linestyle="--", linewidth=1)
    axes.set_xlabel("steps on the shifted robot")
    axes.set_ylabel("return / return in simulation")
    plain(axes)
    axes.legend(frameon=False)
    save_figure(figure, path)


def report(transfers: Sequence[Transfer]) -> Report:
    """Reduce to medians over the seeds that reached the goal; every seed is in the details."""
    medians: dict[str, float | None] = {}
    details: dict[str, JsonValue] = {}
    for arm in get_args(Arm):
        own = [one for one in transfers if one.arm == arm]
        details[_LABELS[arm]] = {
            **{f"steps to {share:.0%}": [one.reached(share) for one in own] for share in _SHARES},
            "falls": [one.falls for one in own],
            "return alone / in simulation": [round(one.alone / one.simulated, 3) for one in own],
            "best return / in simulation": [round(max(mean for _, mean in one.evaluations) / one.simulated, 3) for one in own],
        }
        done = [steps for one in own if (steps := one.reached(_HEADLINE)) is not None]
        medians[arm] = float(np.median(done)) if done else None
    best = min((value for arm in ("weights", "data") if (value := medians[arm]) is not None), default=None)
    if best is None:
        raise FetlockError(f"nothing that began with a simulated policy reached {_HEADLINE:.0%} of its return: its runs stay, look at them")
    unit = f"steps to {_HEADLINE:.0%} of the simulated return (median; the better of networks, and networks and data)"
    return Report("transfer", best, medians["scratch"], None, unit, sorted({one.seed for one in transfers}), details)


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
        for one in transfer(options.runs, options.arms, seed):
            transfers.append(one)
            if options.out is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                rows = {"commit": revision(), "transfers": [asdict(one) for one in transfers]}
                (options.out / "transfer.json").write_text(json.dumps(rows, indent=1) + "\n")
                plot(transfers, options.out / "transfer.png")
    return report(transfers)
