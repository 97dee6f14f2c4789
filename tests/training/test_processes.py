"""The update-to-data contract as laws, and the supervisor over real processes."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.clock import monotonic_s, sleep_s
from robot.errors import LogError, RobotError
from robot.transport import Counters, sweep
from training.contract import Contract
from training.supervisor import Role, Supervisor

CONTRACTS = st.builds(
    Contract,
    updates_per_step=st.integers(1, 64),
    learning_starts=st.integers(1, 1000),
    random_steps=st.integers(0, 1000),
    lead=st.integers(1, 200),
    total_steps=st.integers(1, 100_000),
    realtime=st.booleans(),
)


@given(CONTRACTS, st.integers(0, 100_000), st.integers(0, 10**6))
def test_doing_what_is_due_reaches_the_ratio_and_leaves_nothing_due(contract, steps, updates):
    due = contract.updates_due(steps, updates)
    assert due >= 0
    assert contract.updates_due(steps, updates + due) == 0
    if due and steps > contract.learning_starts:
        assert contract.ratio(steps, updates + due) == contract.updates_per_step
        assert contract.steps_learned(steps, updates + due) == steps


@given(CONTRACTS, st.integers(0, 100_000), st.integers(0, 10**6))
def test_a_robot_never_waits_for_the_learner_and_a_simulation_waits_no_longer_than_the_learner_needs_it(contract, collected, updates):
    may = contract.may_collect(collected, updates)
    if collected >= contract.total_steps:
        assert not may
    elif contract.realtime or collected < contract.learning_starts + contract.lead:
        assert may
    elif not may:
        # Whoever waits, waits for updates that are due.
        assert contract.updates_due(collected, updates) > 0


def wait_for_stop(name: str, marker: Path) -> None:
    marker.with_name(f"{marker.name}-{os.getpid()}").touch()
    with Counters.attach(name, ("stop",)) as counters:
        while not counters.get("stop"):
            sleep_s(0.01)


def give_up() -> None:
    raise LogError("the disk is on holiday: send it a card")


def crash() -> None:
    raise RuntimeError("a bug")


def polled(supervisor: Supervisor, until) -> None:
    deadline_s = monotonic_s() + 60.0
    while not until():
        supervisor.poll()
        assert monotonic_s() < deadline_s
        sleep_s(0.01)


def test_a_killed_child_is_started_again_and_sigterm_is_not_its_business(tmp_path):
    name = f"fetlock-{os.getpid()}-test"
    with Counters.create(name, ("stop",)) as counters:
        supervisor = Supervisor([Role("worker", partial(wait_for_stop, name, tmp_path / "up"))], tmp_path)
        supervisor.start()
        try:
            polled(supervisor, lambda: len(list(tmp_path.glob("up-*"))) == 1)
            os.kill(supervisor.pid("worker"), signal.SIGTERM)
            sleep_s(0.2)
            assert supervisor.poll() == []
            os.kill(supervisor.pid("worker"), signal.SIGKILL)
            polled(supervisor, lambda: len(list(tmp_path.glob("up-*"))) == 2)
            assert supervisor.restarts == {"worker": 1}
        finally:
            counters.set("stop", 1)
            supervisor.join()
        assert supervisor.ended("worker")
        counters.unlink()


def test_an_error_that_a_restart_cannot_mend_stops_the_run_with_its_message(tmp_path):
    supervisor = Supervisor([Role("logger", give_up)], tmp_path)
    supervisor.start()
    with pytest.raises(RobotError, match="the logger stopped: the disk is on holiday"):
        polled(supervisor, lambda: False)
    supervisor.join()
    assert supervisor.restarts == {"logger": 0}


def test_a_child_that_crashes_again_and_again_is_given_up(tmp_path):
    supervisor = Supervisor([Role("learner", crash)], tmp_path)
    supervisor.start()
    with pytest.raises(RobotError, match=r"died 6 times in a minute: see .*learner\.log"):
        polled(supervisor, lambda: False)
    supervisor.join()
    assert (tmp_path / "learner.log").read_text().count("RuntimeError: a bug") == 6


def test_only_shared_memory_of_dead_processes_is_swept():
    mine, dead = f"fetlocktest-{os.getppid()}-a", "fetlocktest-4194305-a"  # pid_max is at most 4194304 (proc(5))
    for name in (mine, dead):
        Counters.create(name, ("x",)).close()
    sweep(r"fetlocktest-([0-9]+)-[a-z]")
    assert not Path("/dev/shm", dead).exists()
    survivor = Counters.attach(mine, ("x",))
    survivor.close()
    survivor.unlink()
