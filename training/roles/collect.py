"""The collector's process."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from policy.acting import make_actor
from policy.gaits import Walker
from policy.layout import PolicyLayout, Vector
from robot.clock import request_realtime, set_timer_slack, sleep_s
from robot.errors import RobotError, UsageError
from safety import Cause
from training.caution import ActionBox
from training.collector import Collector
from training.config import CautionConfig, TrainConfig
from training.contract import Contract
from training.env import RobotEnv
from training.feed import Rehearsal, WeightFeed
from training.judging import Judge, Terms
from training.link import Link, LinkShape
from training.roles import orphaned
from training.takeover import Takeover

# How long a throttled collector sleeps before it looks again: a tenth of a simulated step's time at the learner's pace.
_THROTTLE_S = 0.001


def collect(
    shape: LinkShape,
    make_env: Callable[[], RobotEnv[Any]],
    layout: PolicyLayout,
    contract: Contract,
    train: TrainConfig,
    seed: int,
    index: int,
    terms: Terms | None,
) -> None:
    """Collect until the run stops or its parent dies; an episode under way is cut off there.

    With `terms`, candidates are judged by episodes of this robot; otherwise somebody else does that.

    In real time the process asks for SCHED_FIFO and keeps the garbage collector out of episodes: a full collection takes up to 0.4 s.
    """
    alone = orphaned()
    link = Link.attach(shape)
    counters = link.counters
    env = make_env()

    def goes_on() -> bool:
        return not counters.get("stop") and not alone()

    def waits() -> bool:
        counters.set(f"waiting_{index}", 1)
        return goes_on()

    collector = Collector(
        env,
        make_actor(layout, train.acting),
        link.steps[index],
        link.bus[index],
        seed=seed,
        index=index,
        episode=_next_episode(link, index),
        stamp_s=counters.get(f"stamp_s_{index}"),
        goes_on=waits,
        box=box_of(train.caution, link, index),
        person=_person(link, layout, env.motion.policy_period_s, index),
        frames=link.frames_of(index),
    )
    feed = _feed(layout, terms, link, collector)
    if contract.realtime:
        link.populate(index)
        set_timer_slack()
        request_realtime()
    missed_before, lost_before, errors_before = (counters.get(f"{name}_{index}") for name in ("missed", "lost", "bus_errors"))
    gc.freeze()
    gc.disable()
    begun = False
    try:
        while goes_on():
            if contract.realtime and counters.get("log_error"):
                # What cannot be written is not worth moving motors for.
                collector.hold(Cause.DISK)
                counters.set(f"held_{index}", 1)
                sleep_s(_THROTTLE_S)
                continue
            feed.poll()
            explore = link.collected < contract.random_steps
            # Where there is to be a policy, the first episode waits for it; later a robot that waits would have to be held.
            unguided = not (begun or explore or feed.adopted)
            if unguided or _throttled(contract, link, index):
                sleep_s(_THROTTLE_S)
                continue
            begun = True
            if collector.between_episodes:
                gc.collect()
                counters.set(f"episode_{index}", collector.episode + 1)
            try:
                feed.take(collector.collect(explore=explore))
            except RobotError:
                # One that was waited for when the run was over is no failure of it.
                if goes_on():
                    raise
            counters.set(f"waiting_{index}", 0)
            counters.set(f"held_{index}", 0)
            counters.set(f"adopted_{index}", feed.adopted)
            counters.set(f"refused_{index}", feed.refused)
            counters.set(f"missed_{index}", missed_before + env.timing.missed)
            counters.set(f"lost_{index}", lost_before + collector.lost)
            counters.set(f"stamp_s_{index}", collector.stamp_s)
            counters.set(f"bus_errors_{index}", errors_before + env.bus_errors())
            counters.set(f"lateness_s_{index}", collector.lateness_s)
            counters.set(f"box_{index}", collector.box.bound)
    finally:
        env.close()
        link.close()


def _person(link: Link, layout: PolicyLayout, period_s: float, index: int) -> Callable[[], Vector | None]:
    """Return what says how a person drives: one robot, the first; nobody does where no gait is known."""
    if index:
        return lambda: None
    try:
        return Takeover(link.twist, Walker(layout.action_names, period_s)).act
    except UsageError:
        return lambda: None


def _feed(layout: PolicyLayout, terms: Terms | None, link: Link, collector: Collector) -> WeightFeed:
    if terms is None:
        return WeightFeed(link.weights, collector)
    return Rehearsal(link, collector, Judge(layout, terms, link.counters.get("started_s")))


def box_of(config: CautionConfig | None, link: Link, index: int) -> ActionBox:
    """Return a collector's box of actions as its predecessor, or the log, left it."""
    return ActionBox(config, link.counters.get(f"box_{index}") or None)


def _next_episode(link: Link, index: int) -> int:
    """Return the number of the first episode that nobody has begun: a restarted collector never continues an old one."""
    return int(link.counters.get(f"episode_{index}"))


def _throttled(contract: Contract, link: Link, index: int) -> bool:
    full = not contract.realtime and ring_full(link, index)
    return full or not contract.may_collect(link.collected, int(link.counters.get("updates")))


def ring_full(link: Link, index: int) -> bool:
    """Tell whether a fast simulation has to wait for the logger; a robot never waits: what does not fit is counted as lost."""
    frames = link.frames_of(index)
    return link.steps[index].free < 1 or link.bus[index].free < 64 or (frames is not None and frames.free < 1)
