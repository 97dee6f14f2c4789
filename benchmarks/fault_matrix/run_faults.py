"""Faults of a run's processes: learner, collector or logger is killed at a random time, and started again; the disk takes no more.

In real time, as a robot is: nobody waits for a dead learner.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.fault_matrix.checks import require
from benchmarks.fault_matrix.outcome import Outcome
from benchmarks.training_run import Run, training_run
from robot.clock import monotonic_s, sleep_s
from training.rollout_log import log_files, read_log, read_run

# How long a dead process stays dead, s: ten steps of the collector.
_DEAD_S = 0.3


@contextmanager
def runs(role: str) -> Iterator[Callable[[np.random.Generator], Outcome]]:
    """Repeat the death of one role, or the end of the disk's room, in one long run."""
    judge = {**DEATHS, "disk": _disk}[role]
    with TemporaryDirectory(prefix="fetlock-faults-") as folder, training_run(Path(folder), realtime=True) as run:

        def repeat(rng: np.random.Generator) -> Outcome:
            sleep_s(float(rng.uniform(0.1, 0.6)))
            return judge(run)

        yield repeat


def _learner(run: Run) -> Outcome:
    """The collector goes on with the last good weights; the learner digests every acknowledged step, once."""
    run.kill("learner")
    weights = run.link.weights.newest(0)
    require(weights is not None and bool(np.isfinite(weights.vector).all()), "the last good weights cannot be read")
    head, at = run.link.steps[0].head, run.acknowledged
    sleep_s(_DEAD_S)
    # A fast simulation waits for its learner, a robot does not.
    require(not run.realtime or run.link.steps[0].head > head + 3, "the collector stood still while the learner was dead")
    run.start("learner")
    version = 0 if weights is None else weights.version
    run.wait(lambda: run.link.weights.version > version, "new weights")
    counters = run.link.counters
    # Counted after the weights are published, and a learner that had fallen behind has more to digest.
    run.wait(lambda: int(counters.get("consumed")) >= at, "digestion of every acknowledged step")
    require(int(counters.get("consumed")) <= run.acknowledged, "steps were digested twice")
    return Outcome(saw="the collector went on; resumed with every acknowledged step once")


def _collector(run: Run) -> Outcome:
    """What it had recorded stays; the episode is marked as cut off; the next one begins."""
    ring = run.link.steps[0]
    run.kill("collector")
    head = ring.head
    run.wait(lambda: run.acknowledged == head, "acknowledgement of what was appended")
    newest = ring.read(head - 1, 1)[0]
    episode, over = int(newest["episode"]), bool(newest["terminated"] or newest["truncated"])
    run.start("collector")
    run.wait(lambda: ring.head > head + 3 and run.acknowledged > head + 3, "new steps")
    steps = read_run(run.rollouts)
    require(len(steps) >= head and bool((steps["sequence"] == np.arange(len(steps))).all()), "the log has a gap")
    require(int(steps["episode"][head]) > episode, "the old episode was continued")
    own = [read_log(path) for path in log_files(run.rollouts) if f"e{episode:06d}" in path.name]
    require(over or not any(log.complete for log in own), "the partial episode counts as complete")
    return Outcome(saw="between episodes" if over else "partial episode kept, marked as cut off")


def _logger(run: Run) -> Outcome:
    """Nothing that was acknowledged is lost, and nothing is written twice."""
    run.kill("logger")
    at = run.acknowledged
    sleep_s(_DEAD_S)
    require(run.acknowledged == at, "acknowledged by nobody")
    run.start("logger")
    run.wait(lambda: run.acknowledged > at + 10, "acknowledgements")
    acknowledged = run.acknowledged
    steps = read_run(run.rollouts)
    require(len(steps) >= acknowledged, f"{acknowledged} steps were acknowledged, {len(steps)} are there")
    require(bool((steps["sequence"] == np.arange(len(steps))).all()), "the log has a gap or a double")
    return Outcome(saw="recovered, every acknowledged step once")


def _disk(run: Run) -> Outcome:
    """The logger's files may not grow any more: the robot holds until they may, and nothing is lost or doubled."""
    logger, counters, ring = run.children["logger"].pid or 0, run.link.counters, run.link.steps[0]
    _, most = resource.prlimit(logger, resource.RLIMIT_FSIZE)
    resource.prlimit(logger, resource.RLIMIT_FSIZE, (1, most))
    start_s = monotonic_s()
    run.wait(lambda: counters.get("held_0") > 0.0, "robot that holds")
    safe_s = monotonic_s() - start_s
    head, at = ring.head, run.acknowledged
    sleep_s(_DEAD_S)
    require((ring.head, run.acknowledged) == (head, at), "a robot that holds went on, or its steps were acknowledged")
    resource.prlimit(logger, resource.RLIMIT_FSIZE, (most, most))
    run.wait(lambda: counters.get("held_0") == 0.0 and run.acknowledged > head + 10, "new steps, acknowledged")
    acknowledged = run.acknowledged
    steps = read_run(run.rollouts)
    require(len(steps) >= acknowledged, f"{acknowledged} steps were acknowledged, {len(steps)} are there")
    require(bool((steps["sequence"] == np.arange(len(steps))).all()), "the log has a gap or a double")
    return Outcome(safe_s, "DISK: acknowledging stopped, held; went on by itself, nothing lost or doubled")


# What the death of each process must come to; killed and started again there.
DEATHS: dict[str, Callable[[Run], Outcome]] = {"learner": _learner, "collector": _collector, "logger": _logger}
