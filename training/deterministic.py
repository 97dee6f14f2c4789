"""A run in one process: the same collector, logger, learner and evaluator over the same rings, in turns, so that every bit repeats.

Back ends are pinned: NumPy for acting, eager float32 in one thread for learning. Checkpoints fall on episode ends, where nothing is under
way, and every random number comes from the seed and an episode's number or from a generator that the checkpoint holds: a resumed run
equals an uninterrupted one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from policy.acting import NumpyActor
from policy.layout import PolicyLayout
from training.collector import Collector
from training.config import PriorConfig, SacConfig, TrainConfig
from training.contract import Contract
from training.env import RobotEnv
from training.feed import WeightFeed
from training.hindsight import Goals
from training.learner import Learner
from training.link import Link
from training.prior import load_prior
from training.roles.collect import box_of
from training.roles.evaluate import Evaluator
from training.rollout_log import Logger
from training.session import Session


def make_deterministic_learner(
    layout: PolicyLayout,
    sac: SacConfig,
    train: TrainConfig,
    seed: int,
    prior: PriorConfig | None = None,
    folder: Path = Path(),
    goals: Goals | None = None,
) -> Learner:
    """Return a learner with its back ends pinned, and with what the run's folder says that it begins with."""
    torch.set_num_threads(1)
    # As `use_deterministic_algorithms` does, which loads the compiler on its way: 3 s.
    torch.set_deterministic_debug_mode("error")
    learner = Learner(layout, sac, train, seed, compiled=False, goals=goals, folder=folder)
    if prior is not None:
        learner.begin(load_prior(folder), prior)
    return learner


def run_deterministic(
    link: Link,
    env: RobotEnv[Any],
    logger: Logger,
    learner: Learner,
    evaluator: Evaluator,
    train: TrainConfig,
    contract: Contract,
    folder: Path,
    config_sha: str,
    seed: int,
    each_step: Callable[[], bool],
) -> None:
    """Collect, log and learn from step after step, evaluate and checkpoint where due, until the run is finished or `each_step` is False."""
    session = Session(learner, link, contract, folder, config_sha, train.evaluate_every, train.checkpoint_every)
    session.restore()
    episode = int(link.counters.get("episode_0"))
    stamp_s = link.counters.get("stamp_s_0")
    collector = Collector(
        env,
        NumpyActor(learner.layout),
        link.steps[0],
        link.bus[0],
        seed=seed,
        index=0,
        episode=episode,
        stamp_s=stamp_s,
        box=box_of(train.caution, link, 0),
        frames=link.frames_of(0),
    )
    feed = WeightFeed(link.weights, collector)
    try:
        while not session.finished and each_step():
            feed.poll()
            collector.collect(explore=link.collected < contract.random_steps)
            logger.drain(flush=True)
            session.pull()
            while session.work():
                pass
            if session.offer_candidate():
                _evaluate(evaluator, link)
            session.write_scalars()
            if collector.between_episodes and session.checkpoint_due():
                session.checkpoint()
            if train.stop_after_marks and evaluator.judge.marks >= train.stop_after_marks:
                break
        session.save_last()
    finally:
        session.close()


def _evaluate(evaluator: Evaluator, link: Link) -> None:
    candidate = link.candidate.newest(0)
    if candidate is not None:
        evaluator.evaluate(candidate)
        evaluator.film()
        evaluator.judge.report(link.counters, candidate.version)
