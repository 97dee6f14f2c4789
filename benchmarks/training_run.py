"""A training run whose processes are started by hand: each can be killed and started again in a twentieth of a second.

The roles are the real ones over one link, on the simulated Minitaur; what stands in for the supervisor forks them from this process, which
has loaded PyBullet and torch already.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.fault_matrix.checks import require
from fetlock.build import contract_of, make_env, policy_layout
from fetlock.config import load_config
from robot.clock import monotonic_s, sleep_s
from training.link import Link, LinkShape
from training.roles.collect import collect
from training.roles.learn import learn
from training.roles.record import record
from training.rollout_log import RunMetadata, StreamPosition

_fork = multiprocessing.get_context("fork")
# A small learner that keeps up on a core which it shares; checkpoints fall often, so that some are being written when it dies.
SMALL = (
    *("--sac.network.hidden", "[32, 32]", "--sac.updates-per-step", "1", "--sac.batch-size", "32"),
    *("--train.compile", "never", "--train.learner-threads", "1", "--train.total-steps", "1000000"),
    *("--train.learning-starts", "50", "--train.checkpoint-every", "25", "--train.acting", "numpy", "--task.time-limit-steps", "100"),
)
ROLES = ("logger", "collector", "learner")
# Loading PyBullet or torch takes seconds on two cores, and a minute where twenty others want them (measured).
_PATIENCE_S = 180.0


class Run:
    """The processes of one run.

    Args:
        folder: Of the run.
        realtime: Slow it to real time, as a robot is: nobody waits for a dead learner.
    """

    def __init__(self, folder: Path, *, realtime: bool) -> None:
        self.folder = folder
        self.realtime = realtime
        config = load_config([*SMALL, "--train.realtime", str(realtime).lower()])
        layout = policy_layout(config)
        self.shape = LinkShape.of(layout, 1)
        self.link = Link.create(self.shape, [StreamPosition()])
        contract = contract_of(config)
        env = partial(make_env, config, realtime=realtime)
        self._bodies: dict[str, Callable[[], None]] = {
            "logger": partial(record, self.shape, folder / "rollouts", RunMetadata("faults", config.robot.kind, config.seed)),
            "collector": partial(collect, self.shape, env, layout, contract, config.train, config.seed, 0, None),
            "learner": partial(learn, self.shape, layout, config.sac, config.train, config.prior, contract, folder, "faults", config.seed),
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

    def stop(self) -> None:
        """End all processes, in order; kill those that take longer than 10 s."""
        self.link.counters.set("stop", 1)
        for child in self.children.values():
            child.join(10.0)
            child.kill()
            child.join()

    def close(self) -> None:
        """End all processes, and remove what they shared."""
        self.stop()
        self.link.close()
        self.link.unlink()


@contextmanager
def training_run(folder: Path, *, realtime: bool) -> Iterator[Run]:
    """Start a run, wait until it learns, and end it."""
    run = Run(folder, realtime=realtime)
    try:
        for role in ROLES:
            run.start(role)
        run.wait(lambda: run.link.counters.get("updates") > 20, "learning")
        yield run
    finally:
        run.close()
