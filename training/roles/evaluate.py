"""The evaluator's process: lets candidate policies drive a robot of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from policy.acting import NumpyActor
from policy.layout import PolicyLayout
from robot.clock import sleep_s
from training.env import RobotEnv
from training.evaluation import Evaluation, run_episode
from training.judging import Judge, Terms
from training.link import Link, LinkShape
from training.transport import Weights

_POLL_S = 0.02
# Lower priority than the learner: on few cores the learner is what the run waits for.
_NICE = 5


class Evaluator:
    """Runs episodes of the mean action, the same start poses every time, in an environment of its own: nothing of it reaches the replay."""

    def __init__(self, env: RobotEnv[Any], judge: Judge) -> None:
        self._env = env
        self._actor = NumpyActor(judge.layout)
        self.judge = judge

    def evaluate(self, weights: Weights, keep_going: Callable[[], bool] = lambda: True) -> Evaluation | None:
        """Judge one policy; None when told not to keep going."""
        self._actor.load(weights.vector)
        episodes = []
        for seed in range(self.judge.terms.episodes):
            if not keep_going():
                return None
            episodes.append(run_episode(self._env, self._actor, seed))
        return self.judge.decide(weights, episodes)


def evaluate(shape: LinkShape, make_env: Callable[[], RobotEnv[Any]], layout: PolicyLayout, terms: Terms) -> None:
    """Judge each candidate that the learner offers, newest first, until the run stops or its parent dies."""
    parent = os.getppid()
    os.nice(_NICE)
    link = Link.attach(shape)
    counters = link.counters
    env = make_env()
    judge = Judge(layout, terms, counters.get("started_s"))
    evaluator = Evaluator(env, judge)
    # A restarted evaluator takes the newest candidate again unless it has been judged.
    version = judge.version
    try:
        while not counters.get("stop") and os.getppid() == parent:
            candidate = link.candidate.newest(version)
            if candidate is None:
                sleep_s(_POLL_S)
                continue
            evaluator.evaluate(candidate, keep_going=lambda: not counters.get("stop") and os.getppid() == parent)
            version = candidate.version
            judge.report(counters, version)
    finally:
        env.close()
        link.close()
