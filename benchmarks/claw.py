"""How well learned policies turn the valve: from any start to any goal, and after a hand has turned it away.

    ./run train --config configs/claw_turn.yaml --seed 0 --name claw-0        (and seeds 1 and 2)
    ./run bench claw runs/claw-0 runs/claw-1 runs/claw-2 [--episodes 100]

Each run's best policy, its mean action, from `--episodes` starts that no training and no evaluation has seen: the angle that is left at the
end of the episode, whatever ended it (arXiv 1812.05905's figure), and the share of episodes that end within the task's success_rad. Then
as many episodes of twice the length, in whose middle a hand turns the valve for 0.3 s: the share that ends within 0.2 rad all the same.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.build import env_around, judged_config, policy_layout
from fetlock.config import RunConfig, load_config, task_of
from policy.acting import Actor, load_actor
from robot.errors import UsageError
from sim import ClawConfig, simulate_servos
from training.env import RobotEnv
from training.evaluation import Evaluation, read_evaluations
from training.tasks import AnyTurnConfig, TurnGoals

# Starts apart from those of collectors, of evaluations and of each other.
_STARTS, _PUSHED = 2**22, 2**23
# What a hand does: so long, and within this range; without fingers in the way 0.2 N m turn the valve by 0.6 rad in that time.
_HAND_S, _HAND_NM = 0.3, (0.15, 0.4)
# An episode with a hand in it counts as recovered within this angle.
_RECOVERED_RAD = 0.2
_WITHIN_RAD = (0.15, 0.25, 0.5)
# Thirds of half a turn: how far the goals of an episode are.
_BOUNDS_RAD = (0.0, math.pi / 3.0, 2.0 * math.pi / 3.0, math.pi)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is found of a run.

    Attributes:
        task: Its kind.
        seed: Of the run.
        steps: Environment steps that the policy was learned in.
        minutes: Since the start of the run until the policy was judged; None if the run does not say.
        run_steps: Of the last evaluation of the run.
        run_minutes: Until then.
        median_rad: Of what is left at the end of an episode.
        there: Share of episodes that end within `success_rad` of the task.
        within: The same within other angles, rad.
        there_by_start: The same by what was left at the beginning, in thirds of half a turn.
        held: Share of episodes that a hold cut off.
        pushed_rad: How far the hand turned the valve, median.
        pushed_median_rad: As `median_rad`, after a hand.
        recovered: Share that ends within 0.2 rad after a hand.
    """

    task: str
    seed: int
    steps: int
    minutes: float | None
    run_steps: int | None
    run_minutes: float | None
    median_rad: float
    there: float
    within: dict[str, float]
    there_by_start: list[float | None]
    held: float
    pushed_rad: float
    pushed_median_rad: float
    recovered: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One episode.

    Attributes:
        start_rad: What was left at its beginning.
        end_rad: And at its end.
        pushed_rad: How far the valve was turned while the hand was at it; NaN where none was.
        whole: It was not cut off by a hold.
    """

    start_rad: float
    end_rad: float
    pushed_rad: float
    whole: bool


class Bench:
    """A claw in simulation, and a hand.

    Args:
        config: Of the run.

    Raises:
        UsageError: If it is of no simulated claw that turns a valve.
    """

    def __init__(self, config: RunConfig) -> None:
        task = _turning(config)
        if not isinstance(config.robot, ClawConfig):
            raise UsageError(f"robot.kind {config.robot.kind}: no hand reaches it; give runs of the simulated claw, robot.kind claw")
        simulation = simulate_servos(config.robot, config.bus_hz)
        self._hand: Callable[[float, float], None] = simulation.robot.turn_by_hand
        self.env: RobotEnv[Any] = env_around(judged_config(config), simulation)
        self._goals = TurnGoals(task, self.env.task.observation_names)

    def turn(self, actor: Actor, rng: np.random.Generator, *, pushed: bool) -> Turn:
        """Run an episode of the mean action."""
        env, length = self.env, self.env.time_limit_steps
        torque_nm = float(rng.uniform(*_HAND_NM) * rng.choice([-1.0, 1.0]))
        observation = env.begin(rng)
        valve_rad: list[float] = []
        start_rad = math.nan
        while True:
            if pushed and len(valve_rad) == length // 2:
                self._hand(torque_nm, _HAND_S)
            result = env.advance(actor.act(observation, None, env.image))
            if not valve_rad:
                start_rad = self._left_rad(observation, result.object_rad[0])
            valve_rad.append(result.object_rad[1])
            observation = result.observation
            if result.terminated or result.truncated:
                break
        end_rad = self._left_rad(observation, valve_rad[-1])
        # Before the hand came, and as it left.
        first, last = length // 2 - 1, length // 2 - 1 + round(_HAND_S / env.motion.policy_period_s)
        pushed_rad = abs(valve_rad[last] - valve_rad[first]) if pushed and last < len(valve_rad) else math.nan
        return Turn(start_rad, end_rad, pushed_rad, len(valve_rad) == length)

    def _left_rad(self, observation: np.ndarray, object_rad: float) -> float:
        seen = np.array([object_rad]) if self._goals.needs_object else None
        return abs(float(self._goals.left_rad(observation[None], seen)[0]))


def _turning(config: RunConfig) -> AnyTurnConfig:
    task = task_of(config)
    if not isinstance(task, AnyTurnConfig):
        raise UsageError(f"task.kind {task.kind} turns no valve: give runs of claw_turn, claw_turn_pixels or claw_screw")
    return task


def judge(run: Path, episodes: int) -> Figures:
    """Judge the best policy of a run.

    Raises:
        UsageError: If the folder holds no run of a claw.
        PolicyError: If it has no policy.
    """
    if not (run / "config.yaml").is_file():
        raise UsageError(f"{run} is no run: give folders that `./run train --config configs/claw_turn.yaml` made")
    config = load_config(["--config", str(run / "config.yaml")])
    task = _turning(config)
    success_rad = task.success_rad
    actor, policy = load_actor(run, policy_layout(config))

    def turns(stream: int, length: int, *, pushed: bool) -> list[Turn]:
        longer = task.model_copy(update={"time_limit_steps": length * task.time_limit_steps})
        bench = Bench(config.model_copy(update={"task": longer}))
        try:
            return [bench.turn(actor, np.random.default_rng([stream, seed]), pushed=pushed) for seed in range(episodes)]
        finally:
            bench.env.close()

    plain, hands = turns(_STARTS, 1, pushed=False), turns(_PUSHED, 2, pushed=True)
    evaluations = read_evaluations(run / "evaluations.jsonl")
    judged = [one for one in evaluations if one.version == policy.config.version]
    start, end = np.array([turn.start_rad for turn in plain]), np.array([turn.end_rad for turn in plain])
    pushed_end = np.array([turn.end_rad for turn in hands])
    there = end < success_rad
    thirds = [there[(start >= low) & (start <= high)] for low, high in pairwise(_BOUNDS_RAD)]
    return Figures(
        task=task.kind,
        seed=config.seed,
        steps=policy.config.steps,
        minutes=_minutes(judged),
        run_steps=evaluations[-1].steps if evaluations else None,
        run_minutes=_minutes(evaluations),
        median_rad=round(float(np.median(end)), 4),
        there=_share(there),
        within={f"{angle:g}": _share(end < angle) for angle in _WITHIN_RAD},
        there_by_start=[_share(third) if len(third) else None for third in thirds],
        held=_share(np.array([not turn.whole for turn in plain])),
        pushed_rad=round(float(np.nanmedian([turn.pushed_rad for turn in hands])), 3),
        pushed_median_rad=round(float(np.median(pushed_end)), 4),
        recovered=_share(pushed_end < _RECOVERED_RAD),
    )


def _minutes(evaluations: Sequence[Evaluation]) -> float | None:
    return round(evaluations[-1].seconds / 60.0, 1) if evaluations else None


def _share(values: NDArray[np.bool_]) -> float:
    return round(float(values.mean()), 3)


def main(argv: Sequence[str]) -> Report:
    """Judge runs; report the median share of episodes that end at the goal."""
    parser = argparse.ArgumentParser(prog="bench claw", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.add_argument("--episodes", type=int, default=100, help="of each kind (100)")
    options = parser.parse_args(list(argv))
    if options.episodes < 1:
        raise UsageError(f"--episodes {options.episodes}: at least 1")
    found: dict[str, Figures] = {}
    for run in options.runs:
        found[run.name] = judge(run, options.episodes)
        print(f"{run.name}: {found[run.name]}", flush=True)
    shares = [figures.there for figures in found.values()]
    details: dict[str, JsonValue] = {name: asdict(figures) for name, figures in found.items()}
    seeds = sorted({figures.seed for figures in found.values()})
    return Report("claw", float(np.median(shares)), None, 1.0, "share of episodes that end at the goal (median of runs)", seeds, details)
