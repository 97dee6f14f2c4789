"""What is granted depends on the machine; that each request is named, and says how to mend a refusal, does not."""

from __future__ import annotations

import multiprocessing
import os
import resource
from pathlib import Path

import pytest

from robot.realtime import Grant, Scheduler, become_realtime, lock_memory

pytestmark = pytest.mark.realtime

_SPAWN = multiprocessing.get_context("spawn")


def granted_in_child(scheduler: Scheduler) -> tuple[tuple[Grant, ...], int, int]:
    grants = become_realtime(scheduler)
    locked_kib = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmLck"))
    return grants, os.sched_getscheduler(0), locked_kib


def refused_in_child(limit_b: int) -> Grant:
    # Capabilities leave with the user id, and a limit lowered for good is one that nothing can raise again.
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit_b, limit_b))
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 65534)
    return lock_memory()


def test_what_is_reported_as_granted_is_in_force() -> None:
    with _SPAWN.Pool(1) as pool:
        grants, policy, locked_kib = pool.apply(granted_in_child, ("fifo",))
    found = {grant.name: grant for grant in grants}
    assert set(found) == {"SCHED_FIFO", "locked memory", "timer slack", "garbage collector"}
    assert found["SCHED_FIFO"].granted is (policy == os.SCHED_FIFO)
    assert found["locked memory"].granted is (locked_kib > 10_000)
    for grant in grants:
        assert grant.granted is (grant.fix == "")
        assert "\n" not in grant.line()


def test_the_default_scheduler_is_left_alone() -> None:
    with _SPAWN.Pool(1) as pool:
        grants, policy, _ = pool.apply(granted_in_child, ("default",))
    assert policy == os.sched_getscheduler(0)
    assert "SCHED_FIFO" not in {grant.name for grant in grants}


def test_a_finite_limit_locks_nothing_and_names_the_fix() -> None:
    with _SPAWN.Pool(1) as pool:
        grant = pool.apply(refused_in_child, (8 << 20,))
    assert not grant.granted
    assert "8192 KiB" in grant.found
    assert "memlock unlimited" in grant.fix
    assert "LimitMEMLOCK" in grant.fix
