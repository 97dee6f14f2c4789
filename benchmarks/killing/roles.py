"""SIGKILL of a run's collector, learner and logger, one at a time and again while it recovers, many times a minute."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.fault_matrix.run_faults import DEATHS
from benchmarks.killing.tally import Acknowledged, Quota, Tally
from benchmarks.killing.witness import Lateness, Witness
from benchmarks.training_run import ROLES, Run, training_run
from robot.clock import sleep_s

# A new run begins after so many kills, or steps: every look reads the whole log.
_KILLS_A_RUN, _STEPS_A_RUN = 100, 4_000
# The longest from one recovery to the next kill, s; and from a start to a second kill: recovery takes 0.1 to 1 s.
_PAUSE_S, _AGAIN_S = 0.4, 0.5
# How often the killed process is killed again while it recovers: chosen, one time in three.
_AGAIN = 1.0 / 3.0


def sweep_roles(quota: Quota, rng: np.random.Generator, say: Callable[[str], None]) -> tuple[Tally, Lateness]:
    """Kill so many times, in one run of fast simulation after the other; return what came of it."""
    tally, lateness = Tally(), Lateness()
    while quota.left(tally) > 0:
        tally.judged(partial(_one_run, quota, rng, tally, lateness))
        say(f"{tally.total} kills of single processes, {lateness}: {tally.violations} violations {dict(tally.wrong)}")
    return tally, lateness


def _one_run(quota: Quota, rng: np.random.Generator, tally: Tally, lateness: Lateness) -> None:
    some = Quota(min(quota.kills, tally.total + _KILLS_A_RUN), quota.until_s)
    with (
        TemporaryDirectory(prefix="fetlock-kills-") as folder,
        training_run(Path(folder), realtime=False) as run,
        Witness(run.shape) as witness,
    ):
        _kill(run, witness, some, rng, tally)
        run.stop()
        seen, late = witness.tell()
        lateness.join(late)
        steps = tally.look(run.rollouts, Acknowledged.of(run.link), None)
        first = int(seen["sequence"][0]) if len(seen) else 0
        tally.changed += steps[first : first + len(seen)].tobytes() != seen.tobytes()


def _kill(run: Run, witness: Witness, quota: Quota, rng: np.random.Generator, tally: Tally) -> None:
    steps = None
    while quota.left(tally) > 0 and run.acknowledged < _STEPS_A_RUN:
        role = str(rng.choice(ROLES))
        sleep_s(float(rng.uniform(0.0, _PAUSE_S)))
        if role == "logger":
            witness.logger_killed()
        if quota.left(tally) > 1 and rng.random() < _AGAIN:
            run.kill(role)
            run.start(role)
            tally.kills[role] += 1
            sleep_s(float(rng.uniform(0.0, _AGAIN_S)))
        acknowledged = Acknowledged.of(run.link)
        tally.kills[role] += 1
        if not tally.judged(partial(DEATHS[role], run)):
            # A run that has gone wrong proves nothing more.
            return
        witness.logger_back()
        steps = tally.look(run.rollouts, acknowledged, steps)
