"""`./run bench kill_sweep`: 1,000 SIGKILLs of a training run at random moments, and a death at each system call of what is written.

After each kill the process, or the run, is started again, and all files are read: what had been acknowledged must be there, once, and as it
was. "Acknowledged" is told by the run's shared memory, which a process of its own watches.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from pydantic import JsonValue

from benchmarks.fault_matrix.outcome import WrongOutcome
from benchmarks.killing.calls import Outcomes, checkpoint_calls, log_calls, recovery_calls, taking_back_calls
from benchmarks.killing.roles import sweep_roles
from benchmarks.killing.tally import Quota
from benchmarks.killing.whole import sweep_whole
from benchmarks.report import Report
from fetlock.build import policy_layout
from fetlock.config import load_config
from robot.clock import monotonic_s
from robot.errors import FetlockError, UsageError
from training.learner import Learner

_fork = multiprocessing.get_context("fork")


def main(argv: Sequence[str]) -> Report:
    """Sweep, in single processes and in whole runs at once; 1,000 kills take half an hour on two cores.

    Raises:
        UsageError: If there is nothing to kill.
    """
    parser = argparse.ArgumentParser(prog="bench kill_sweep", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="in all (1000)")
    parser.add_argument("--whole", type=int, default=40, help="how many of them in fetlock train with its supervisor (40)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="as many of them as this is time for")
    parser.add_argument("--no-calls", action="store_true", help="leave the death at each system call out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(list(argv))
    if not 0 <= options.whole <= options.kills or options.kills < 1 or not options.minutes > 0.0:
        raise UsageError(
            f"--kills {options.kills} --whole {options.whole} --minutes {options.minutes:g}: kill at least once, the whole run no more "
            "often than in all, in more than no time"
        )
    details, violations = _sweeps(options)
    if not options.no_calls:
        calls, wrong = _calls()
        details["at each system call"] = calls
        violations += wrong
    unit = "records lost, doubled or changed, files unreadable, promises broken"
    return Report("kill_sweep", float(violations), None, 0.0, unit, [options.seed], details)


def _sweeps(options: argparse.Namespace) -> tuple[dict[str, JsonValue], int]:
    """Kill single processes and whole runs at the same time, from a process each; return what came of both, and how much went wrong."""
    until_s = monotonic_s() + 60.0 * options.minutes
    sweeps = {"single processes": (sweep_roles, options.kills - options.whole), "fetlock train": (sweep_whole, options.whole)}
    told: dict[str, JsonValue] = {}
    wrong = 0
    with ProcessPoolExecutor(len(sweeps), _fork) as pool:
        swept = {
            name: pool.submit(sweep, Quota(kills, until_s), np.random.default_rng([options.seed, kills]), _say)
            for name, (sweep, kills) in sweeps.items()
        }
        for name, future in swept.items():
            tally, lateness = future.result()
            told[name] = tally.record() | {"acknowledged after, at most": lateness.record()}
            wrong += tally.violations
    return told, wrong


def _say(line: str) -> None:
    print(line, flush=True)


def _calls() -> tuple[Outcomes, int]:
    """Kill everything that is written at each of its system calls; return what came of it, and how much of it went wrong."""
    config = load_config([])
    learner = Learner(policy_layout(config), config.sac, config.train, config.seed, compiled=False)
    told: Outcomes = {}
    wrong = 0
    parts: dict[str, Callable[[], Outcomes]] = {
        "checkpoint": lambda: checkpoint_calls(learner.tensors()),
        "log": log_calls,
        "recovery": recovery_calls,
        "taking back": taking_back_calls,
    }
    for name, part in parts.items():
        try:
            told[name] = part()
        except (WrongOutcome, FetlockError) as error:
            told[name], wrong = str(error), wrong + 1
        print(f"{name}: {told[name]}", flush=True)
    return told, wrong
