"""The evaluator's process: judges candidate policies and keeps the best."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from policy.acting import NumpyActor
from policy.layout import PolicyLayout
from policy.snapshot import Policy, PolicyConfig, save_policy
from robot.clock import monotonic_s, sleep_s
from training.env import RobotEnv
from training.evaluation import (
    Evaluation,
    Mark,
    append_evaluation,
    marks_in_a_row,
    read_evaluations,
    run_episode,
    summarise,
    write_evaluations,
)
from training.link import Link, LinkShape
from training.transport import Weights

_POLL_S = 0.02
# Lower priority than the learner: on few cores the learner is what the run waits for.
_NICE = 5


class Evaluator:
    """Runs episodes of the mean action and keeps the best policy in `folder/policy`.

    Args:
        env: Its own environment: nothing that it does reaches the replay.
        layout: Of the policies.
        mark: When the task counts as learned.
        episodes: Episodes for each policy; the same start poses every time.
        folder: The run's.
        started_s: Monotonic time of the start of the run, for the `seconds` of each evaluation.
    """

    def __init__(self, env: RobotEnv[Any], layout: PolicyLayout, mark: Mark, episodes: int, folder: Path, started_s: float) -> None:
        self._env = env
        self._layout = layout
        self._mark = mark
        self._episodes = episodes
        self._folder = folder
        self._started_s = started_s
        self._actor = NumpyActor(layout)
        self.results: list[Evaluation] = read_evaluations(folder / "evaluations.jsonl")

    @property
    def marks(self) -> int:
        """For how many evaluations in a row the mark has been held."""
        return marks_in_a_row(self.results)

    def forget_after(self, steps: int) -> None:
        """Drop the results of policies younger than `steps`: a deterministic run that goes back to a checkpoint judges them anew."""
        self.results = [result for result in self.results if result.steps <= steps]
        write_evaluations(self._folder / "evaluations.jsonl", self.results)

    def evaluate(self, weights: Weights, keep_going: Callable[[], bool] = lambda: True) -> Evaluation | None:
        """Judge one policy, write the result, keep the policy if it is the best so far; None when told not to keep going."""
        self._actor.load(weights.vector)
        episodes = []
        for seed in range(self._episodes):
            if not keep_going():
                return None
            episodes.append(run_episode(self._env, self._actor, seed))
        seconds = monotonic_s() - self._started_s
        result = summarise(episodes, self._mark, steps=weights.steps, updates=weights.updates, version=weights.version, seconds=seconds)
        best = all(result.rank > other.rank for other in self.results)
        self.results.append(result)
        append_evaluation(self._folder / "evaluations.jsonl", result)
        if best:
            figures = {"mean_return": result.mean_return, "mean_measure": result.mean_measure, "falls": float(result.falls)}
            config = PolicyConfig(
                layout=self._layout, version=result.version, steps=result.steps, updates=result.updates, evaluation=figures
            )
            save_policy(self._folder / "policy", Policy(config, weights.vector))
        return result


def evaluate(
    shape: LinkShape, make_env: Callable[[], RobotEnv[Any]], layout: PolicyLayout, mark: Mark, episodes: int, folder: Path
) -> None:
    """Judge each candidate that the learner offers, newest first, until the run stops or its parent dies."""
    parent = os.getppid()
    os.nice(_NICE)
    link = Link.attach(shape)
    counters = link.counters
    env = make_env()
    evaluator = Evaluator(env, layout, mark, episodes, folder, counters.get("started_s"))
    # A restarted evaluator takes the newest candidate again unless it has been judged.
    version = max((result.version for result in evaluator.results), default=0)
    try:
        while not counters.get("stop") and os.getppid() == parent:
            candidate = link.candidate.newest(version)
            if candidate is None:
                sleep_s(_POLL_S)
                continue
            evaluator.evaluate(candidate, keep_going=lambda: not counters.get("stop") and os.getppid() == parent)
            version = candidate.version
            counters.set("marks", evaluator.marks)
            counters.set("evaluations", len(evaluator.results))
            counters.set("evaluated", version)
    finally:
        env.close()
        link.close()
