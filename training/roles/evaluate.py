"""The evaluator's process: lets candidate policies drive a robot of its own."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.acting import Actor, NumpyActor
from policy.layout import PolicyLayout
from robot.clock import sleep_s
from robot.errors import FetlockError
from training.env import RobotEnv
from training.evaluation import Evaluation, run_episode
from training.judging import Judge, Terms
from training.link import Link, LinkShape
from training.roles import orphaned
from training.transport import Weights

_POLL_S = 0.02
# Lower priority than the learner: on few cores the learner is what the run waits for.
_NICE = 5

_log = logging.getLogger(__name__)

# Films an episode of an actor's mean action into a file, as long as the run goes on; raises FetlockError where there is no film.
Filming = Callable[[RobotEnv[Any], Actor, Path, Callable[[], bool]], None]


@dataclass(frozen=True)
class Filmer:
    """Keeps videos of judged policies in a folder, `<steps>.mp4`.

    Args:
        folder: Made when the first one is.
        film: Films one episode.
        limit: Videos that are kept.
    """

    folder: Path
    film: Filming
    limit: int

    def add(self, env: RobotEnv[Any], actor: Actor, results: Sequence[Evaluation], goes_on: Callable[[], bool]) -> None:
        """Film the policy of the newest result if its turn has come, and remove the videos of all whose turn is over.

        A video that cannot be written is named and costs no evaluation.
        """
        kept = results[:: every(len(results), self.limit)]
        if kept and kept[-1] is results[-1]:
            try:
                self.film(env, actor, self._path(kept[-1]), goes_on)
            except FetlockError as error:
                _log.warning("no video of step %d: %s", kept[-1].steps, error)
        wanted = {self._path(result) for result in kept}
        for path in self.folder.glob("[0-9]*.mp4"):
            if path not in wanted:
                path.unlink(missing_ok=True)

    def _path(self, result: Evaluation) -> Path:
        return self.folder / f"{result.steps:09d}.mp4"


def every(results: int, limit: int) -> int:
    """Return the power of two of which a video is kept: the smallest with which there are at most `limit` of so many results."""
    stride = 1
    while -(-results // stride) > limit:
        stride *= 2
    return stride


class Evaluator:
    """Runs episodes of the mean action, the same start poses every time, in an environment of its own: nothing of it reaches the replay."""

    def __init__(self, env: RobotEnv[Any], judge: Judge, filmer: Filmer | None = None) -> None:
        self._env = env
        self._actor = NumpyActor(judge.layout)
        self._filmer = filmer
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

    def film(self, keep_going: Callable[[], bool] = lambda: True) -> None:
        """Film the policy that was judged last, unless told not to keep going."""
        if self._filmer is not None and self.judge.results:
            self._filmer.add(self._env, self._actor, self.judge.results, keep_going)


def evaluate(
    shape: LinkShape, make_env: Callable[[], RobotEnv[Any]], layout: PolicyLayout, terms: Terms, filmer: Filmer | None = None
) -> None:
    """Judge each candidate that the learner offers, newest first, until the run stops or its parent dies; film it then."""
    alone = orphaned()
    os.nice(_NICE)
    link = Link.attach(shape)
    counters = link.counters
    env = make_env()
    judge = Judge(layout, terms, counters.get("started_s"))
    evaluator = Evaluator(env, judge, filmer)
    # A restarted evaluator takes the newest candidate again unless it has been judged.
    version = judge.version

    def goes_on() -> bool:
        return not counters.get("stop") and not alone()

    try:
        while goes_on():
            candidate = link.candidate.newest(version)
            if candidate is None:
                sleep_s(_POLL_S)
                continue
            # A run that ends with this evaluation waits for its film; one that is stopped does not.
            if evaluator.evaluate(candidate, goes_on) is not None:
                evaluator.film(goes_on)
            version = candidate.version
            judge.report(counters, version)
    finally:
        env.close()
        link.close()
