"""SIGKILL of `fetlock train` as its user starts it: of a process that its supervisor starts again, of the supervisor, of all at once.

A run that lost its supervisor is resumed with `--resume`, at once or a little later: the processes that it left behind are still ending.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.fault_matrix.checks import require
from benchmarks.killing.tally import Acknowledged, Quota, Tally
from benchmarks.killing.witness import Lateness, Witness
from benchmarks.training_run import SMALL
from fetlock.build import policy_layout
from fetlock.config import load_config
from fetlock.run_processes import run_targets
from robot.clock import monotonic_s, sleep_s
from robot.errors import FetlockError, UsageError
from training.checkpoint import load_checkpoint
from training.link import Link, LinkShape

# Nobody is evaluated: the evaluator waits for a candidate.
_FLAGS = (*SMALL, "--train.evaluate-every", "1000000")
# Who is killed, and how often: all at once and a single process by turns, a supervisor alone one time in six.
_VICTIMS = {"run": 0.3, "supervisor": 0.16, "logger": 0.18, "collector-0": 0.18, "learner": 0.18}
# A supervisor gives up at the sixth death of a role in a minute (`training.supervisor`).
_DEATHS, _MINUTE_S = 5, 61.0
# The longest from the start, or the last recovery, to a kill, s: a start takes several seconds, and one in two is killed in its midst.
_PAUSE_S, _START_S = 2.0, 8.0
# The longest until a supervisor's run is resumed, s: what it left behind ends within about one.
_RESUME_S = 1.0
_PATIENCE_S = 180.0
_LOOK_S = 0.01


class Trainer:
    """`fetlock train` in a folder, started and started again; a context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        self._shape = LinkShape.of(policy_layout(load_config(list(_FLAGS))), 1)
        self._said = folder / "said.txt"
        self._begin("--runs-dir", str(folder), *_FLAGS)

    def resume(self) -> None:
        """Go on with the run, which nobody supervises any more."""
        self.link.close()
        self._begin("--runs-dir", str(self.run.parent), "--resume")

    def _begin(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "fetlock", "train", "--name", "run", "--no-video", *arguments]
        with self._said.open("a") as said:
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True)
        self.deaths: dict[str, deque[float]] = {}
        self.shape = replace(self._shape, prefix=f"fetlock-{self.process.pid}")
        self.link = self._attach()

    def _attach(self) -> Link:
        end_s = monotonic_s() + _PATIENCE_S
        while True:
            try:
                return Link.attach(self.shape)
            except FetlockError:
                self.require_alive(end_s, "shared memory")
                sleep_s(_LOOK_S)

    def require_alive(self, end_s: float, what: str) -> None:
        """Raise WrongOutcome if the run ended by itself, or something did not come in time."""
        last = self._said.read_text().strip().splitlines()[-1:] if self.process.poll() is not None else []
        require(self.process.poll() is None, f"fetlock train ended by itself: {last}")
        require(monotonic_s() < end_s, f"no {what} within {_PATIENCE_S:.0f} s")

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Wait for something of the run."""
        end_s = monotonic_s() + _PATIENCE_S
        while not until():
            self.require_alive(end_s, what)
            sleep_s(_LOOK_S)

    def pid(self, role: str) -> int | None:
        """Return the process of a role, None if it has none now, or may not die again so soon."""
        recent = self.deaths.setdefault(role, deque(maxlen=_DEATHS))
        if len(recent) == _DEATHS and monotonic_s() - recent[0] < _MINUTE_S:
            return None
        try:
            found = run_targets(self.run).get(role)
        except UsageError:
            return None
        return None if found is None else found.pid

    def kill(self, role: str, pid: int) -> None:
        """Kill one process, and wait until it is dead."""
        handle = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            select.select([handle], [], [])
        finally:
            os.close(handle)
        self.deaths[role].append(monotonic_s())

    def kill_supervisor(self, *, group: bool) -> None:
        """Kill the supervisor alone, or every process of the run at once."""
        (os.killpg if group else os.kill)(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill_supervisor(group=True)
        self.link.close()


def sweep_whole(quota: Quota, rng: np.random.Generator, say: Callable[[str], None]) -> tuple[Tally, Lateness]:
    """Kill so many times; return what came of it. A run in which something went wrong proves nothing more: another one begins."""
    tally, lateness = Tally(), Lateness()
    while quota.left(tally) > 0:
        if not tally.judged(partial(_one_run, quota, rng, tally, lateness, say)):
            say(f"{tally.total} kills of fetlock train, wrong: {dict(tally.wrong)}")
    return tally, lateness


def _one_run(quota: Quota, rng: np.random.Generator, tally: Tally, lateness: Lateness, say: Callable[[str], None]) -> None:
    with TemporaryDirectory(prefix="fetlock-kills-", ignore_cleanup_errors=True) as folder, Trainer(Path(folder)) as trainer:
        steps: NDArray[np.void] | None = None
        while quota.left(tally) > 0:
            steps = _one_life(trainer, steps, quota, rng, tally, lateness)
            say(f"{tally.total} kills of fetlock train, {len(steps)} steps, {tally.violations} violations")


def _one_life(
    trainer: Trainer, steps: NDArray[np.void] | None, quota: Quota, rng: np.random.Generator, tally: Tally, lateness: Lateness
) -> NDArray[np.void]:
    """Kill single processes of a run until its supervisor's turn comes; then resume it."""
    rollouts = trainer.run / "rollouts"
    if rng.random() < 0.5:
        start = trainer.link.steps[0].acknowledged
        trainer.wait(lambda: trainer.link.steps[0].acknowledged > start + 20, "steps")
    else:
        sleep_s(float(rng.uniform(0.0, _START_S)))
    with Witness(trainer.shape) as witness:
        while True:
            sleep_s(float(rng.uniform(0.0, _PAUSE_S)))
            victim = str(rng.choice(list(_VICTIMS), p=list(_VICTIMS.values())))
            pid = None if victim in ("run", "supervisor") or quota.left(tally) <= 1 else trainer.pid(victim)
            if pid is None:
                break
            steps = _one_role(trainer, victim, pid, steps, witness, tally)
        # Ended before the kill: what dies with the run was never acknowledged.
        _, late = witness.tell()
    lateness.join(late)
    alone = victim == "supervisor"
    trainer.kill_supervisor(group=not alone)
    tally.kills["supervisor" if alone else "whole run"] += 1
    if alone:
        sleep_s(float(rng.uniform(0.0, _RESUME_S)) * float(rng.random() < 0.5))
    else:
        acknowledged = Acknowledged.of(trainer.link)
        tally.never = max(tally.never, trainer.link.steps[0].head - acknowledged.steps)
        steps = tally.look(rollouts, acknowledged, steps)
        checkpoint = load_checkpoint(trainer.run / "checkpoints")
        require(checkpoint is None or checkpoint[1].steps <= len(steps), "the learner had seen steps that are not in the log")
    old = trainer.link
    trainer.resume()
    # Whoever resumes has waited for what the killed supervisor left behind: its last acknowledgement stands.
    return tally.look(rollouts, Acknowledged.of(old), steps)


def _one_role(trainer: Trainer, role: str, pid: int, steps: NDArray[np.void] | None, witness: Witness, tally: Tally) -> NDArray[np.void]:
    """Kill a process, wait until its successor works, and look."""
    ring, weights = trainer.link.steps[0], trainer.link.weights
    if role == "logger":
        witness.logger_killed()
    trainer.kill(role, pid)
    tally.kills[role] += 1
    acknowledged, head, version = Acknowledged.of(trainer.link), ring.head, weights.version
    works: dict[str, Callable[[], bool]] = {
        "logger": lambda: ring.acknowledged > acknowledged.steps + 5,
        "collector-0": lambda: ring.acknowledged > head + 5,
        "learner": lambda: weights.version > version,
    }
    trainer.wait(works[role], f"{role} that works again")
    witness.logger_back()
    return tally.look(trainer.run / "rollouts", acknowledged, steps)
