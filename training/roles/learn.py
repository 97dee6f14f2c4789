"""The learner's process."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch

from policy.layout import PolicyLayout
from robot.clock import monotonic_s, sleep_s
from training.config import PriorConfig, SacConfig, TrainConfig
from training.contract import Contract
from training.hindsight import Goals
from training.learner import Learner
from training.link import Link, LinkShape
from training.prior import load_prior
from training.roles import orphaned
from training.session import Session

# How long a learner that owes nothing sleeps before it looks for steps again.
_IDLE_S = 0.0005
# Beside a robot in real time the learner takes only what is left: 48 us of median lateness instead of 76 (docs/learning.md).
_NICE_REALTIME = 19

_log = logging.getLogger(__name__)


def learn(
    shape: LinkShape,
    layout: PolicyLayout,
    sac: SacConfig,
    train: TrainConfig,
    prior: PriorConfig | None,
    contract: Contract,
    folder: Path,
    config_sha: str,
    seed: int,
    goals: Goals | None = None,
) -> None:
    """Learn until the run stops or its parent dies; begins where the newest checkpoint and the log stand."""
    alone = orphaned()
    if contract.realtime:
        os.nice(_NICE_REALTIME)
    link = Link.attach(shape)
    counters = link.counters
    torch.set_num_interop_threads(1)
    torch.set_num_threads(train.threads)
    learner = Learner(layout, sac, train, seed, compiled=train.compile != "never", goals=goals, folder=folder)
    start_s = monotonic_s()
    compiled = train.compile != "never" and learner.warm_up(required=train.compile == "always")
    _log.info(
        "learning with %d threads, %s, ready in %.1f s",
        torch.get_num_threads(),
        "compiled" if compiled else "eager",
        monotonic_s() - start_s,
    )
    if prior is not None:
        learner.begin(load_prior(folder), prior)
    session = Session(learner, link, contract, folder, config_sha, train.evaluate_every, train.checkpoint_every)
    session.restore()
    counters.set("learner_ready", 1)
    try:
        while not counters.get("stop") and not alone():
            session.pull()
            if not session.work():
                sleep_s(_IDLE_S)
            if session.offer_candidate():
                counters.set("offered", link.candidate.version)
            if session.finished:
                counters.set("learner_done", 1)
            session.write_scalars()
            if session.checkpoint_due():
                session.checkpoint()
    finally:
        if learner.updates:
            session.checkpoint()
            session.save_last()
        session.close()
        link.close()
