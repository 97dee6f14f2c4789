"""Faults of a run's processes: learner, collector or logger is killed at a random time, and started again; the disk takes no more.

The roles are the real ones over one link, on the simulated Minitaur slowed to real time, as a robot is: nobody waits for a dead learner.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.fault_matrix.checks import require
from benchmarks.fault_matrix.outcome import Outcome
from fetlock.build import contract_of, make_env, policy_layout
from fetlock.config import RunConfig, load_config
from policy.layout import PolicyLayout
from robot.clock import monotonic_s, sleep_s
from training.link import Link, LinkShape
from training.roles.collect import collect
from training.roles.record import record
from training.rollout_log import RunMetadata, StreamPosition, log_files, read_log, read_run

_fork = multiprocessing.get_context("fork")
# A small learner that keeps up on a core which it shares; checkpoints fall often, so that some are being written when it dies.
_FLAGS = (
    *("--sac.network.hidden", "[32, 32]", "--sac.updates-per-step", "1", "--sac.batch-size", "32"),
    *("--train.compile", "never", "--train.learner-threads", "1", "--train.realtime", "true", "--train.total-steps", "1000000"),
    *("--train.learning-starts", "50", "--train.checkpoint-every", "25", "--train.acting", "numpy", "--task.time-limit-steps", "100"),
)
# Loading PyBullet or torch takes seconds on two busy cores.
_PATIENCE_S = 60.0
# How long a dead process stays dead, s: ten steps of the collector.
_DEAD_S = 0.3


class Run:
    """The processes of one run; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = load_config(list(_FLAGS))
        self._layout = layout = policy_layout(config)
        self.shape = LinkShape.of(layout, 1)
        self.link = Link.create(self.shape, [StreamPosition()])
        contract, env = contract_of(config), partial(make_env, config, realtime=True)
        self._bodies: dict[str, Callable[[], None]] = {
            "logger": partial(record, self.shape, folder / "rollouts", RunMetadata("faults", config.robot.kind, config.seed)),
            "collector": partial(collect, self.shape, env, layout, contract, config.train, config.seed, 0, None),
            "learner": partial(_learn, self.shape, layout, config, folder),
        }
        self.children: dict[str, BaseProcess] = {}

    def start(self, role: str) -> None:
        """Start a process."""
        self.children[role] = _fork.Process(target=self._bodies[role], daemon=True)
        self.children[role].start()

    def kill(self, role: str) -> None:
        """Kill a process."""
        child = self.children.pop(role)
        child.kill()
        child.join()

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Wait; raises WrongOutcome if it takes too long or a process has ended by itself."""
        end_s = monotonic_s() + _PATIENCE_S
        while not until():
            ended = [role for role, child in self.children.items() if not child.is_alive()]
            require(not ended, f"the {', '.join(ended)} ended by itself")
            require(monotonic_s() < end_s, f"no {what} within {_PATIENCE_S:.0f} s")
            sleep_s(0.005)

    @property
    def acknowledged(self) -> int:
        """Steps that are on the disk."""
        return self.link.steps[0].acknowledged

    @property
    def rollouts(self) -> Path:
        """The log."""
        return self.folder / "rollouts"

    def close(self) -> None:
        """End all processes."""
        self.link.counters.set("stop", 1)
        for child in self.children.values():
            child.join(10.0)
            child.kill()
            child.join()
        self.link.close()
        self.link.unlink()


def _learn(shape: LinkShape, layout: PolicyLayout, config: RunConfig, folder: Path) -> None:
    from training.roles.learn import learn

    learn(shape, layout, config.sac, config.train, config.prior, contract_of(config), folder, "faults", config.seed)


@contextmanager
def runs(role: str) -> Iterator[Callable[[np.random.Generator], Outcome]]:
    """Repeat the death of one role, or the end of the disk's room, in one long run."""
    judge = {"learner": _learner, "collector": _collector, "logger": _logger, "disk": _disk}[role]
    with TemporaryDirectory(prefix="fetlock-faults-") as folder:
        run = Run(Path(folder))
        try:
            for name in ("logger", "collector", "learner"):
                run.start(name)
            run.wait(lambda: run.link.counters.get("updates") > 20, "learning")

            def repeat(rng: np.random.Generator) -> Outcome:
                sleep_s(float(rng.uniform(0.1, 0.6)))
                return judge(run)

            yield repeat
        finally:
            run.close()


def _learner(run: Run) -> Outcome:
    """The collector goes on with the last good weights; the learner digests every acknowledged step, once."""
    run.kill("learner")
    weights = run.link.weights.newest(0)
    require(weights is not None and bool(np.isfinite(weights.vector).all()), "the last good weights cannot be read")
    head, at = run.link.steps[0].head, run.acknowledged
    sleep_s(_DEAD_S)
    require(run.link.steps[0].head > head + 3, "the collector stood still while the learner was dead")
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
