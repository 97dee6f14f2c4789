"""What a process asks of the kernel and of Python before it keeps time, and what it was granted.

Nothing here is needed for a loop to be correct (docs/time.md): a request that is refused makes it later, never wrong.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robot.clock import request_realtime, set_timer_slack

Scheduler = Literal["fifo", "default"]

# mlockall(2): pages that are mapped now, and those that will be.
_MCL_CURRENT, _MCL_FUTURE = 1, 2
# capabilities(7): the number of CAP_IPC_LOCK, which lifts the limit on locked memory.
_CAP_IPC_LOCK = 14
# The kernel's default of 50 us delays every sleep of a thread that is not under SCHED_FIFO; `set_timer_slack` asks for 1 us.
_TIMER_SLACK_GOOD_NS = 1000
_FIFO_FIX = (
    "give the user 'rtprio 60' in /etc/security/limits.d and log in again, a systemd unit LimitRTPRIO=60, or a container --cap-add SYS_NICE"
)
_LOCK_FIX = (
    "give the user 'memlock unlimited' in /etc/security/limits.d and log in again, a systemd unit LimitMEMLOCK=infinity, "
    "or a container --cap-add IPC_LOCK"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """One request and its outcome; `fix` says what the user can do where it was refused."""

    name: str
    granted: bool
    found: str
    fix: str = ""

    def line(self) -> str:
        """Return one line for a log or a table."""
        return f"{self.name}: {self.found}" + (f": {self.fix}" if self.fix else "")


def become_realtime(scheduler: Scheduler, priority: int = 50) -> tuple[Grant, ...]:
    """Ask for everything that makes this process punctual; call it once all is built and before the first tick.

    The CPU affinity stays as it is: the kernel moves a thread under SCHED_FIFO to the core that is free. Children inherit the scheduler:
    start them before.

    Args:
        scheduler: "fifo" asks for SCHED_FIFO; "default" leaves the scheduler alone, to compare the two.
        priority: Of SCHED_FIFO, 1 to 99; the kernel's interrupt threads have 50.
    """
    fifo = (_fifo(priority),) if scheduler == "fifo" else ()
    return (*fifo, lock_memory(), _timer_slack(), freeze_garbage())


def lock_memory() -> Grant:
    """Keep every page of this process in memory, now and later, so that no tick waits for the disk (mlockall(2)).

    Under a finite limit nothing is locked: the first allocation beyond it would fail in mid-run.
    """
    name = "locked memory"
    limit_b, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit_b != resource.RLIM_INFINITY and not _has_capability(_CAP_IPC_LOCK):
        return Grant(name, False, f"refused (limit {limit_b // 1024} KiB)", _LOCK_FIX)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        refused = libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) != 0
    except AttributeError:
        return Grant(name, False, "this system has no mlockall", "use Linux")
    if refused:
        return Grant(name, False, f"refused ({os.strerror(ctypes.get_errno())})", _LOCK_FIX)
    return Grant(name, True, "all pages, now and later")


def freeze_garbage() -> Grant:
    """Switch automatic collection off, and never look again at what exists now; the loop collects when it has time.

    A full collection over 1.5 million objects took 431 ms (measured); of a frozen heap it takes microseconds.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    return Grant("garbage collector", True, f"off in the loop, {gc.get_freeze_count()} objects frozen")


def _fifo(priority: int) -> Grant:
    if request_realtime(priority):
        return Grant("SCHED_FIFO", True, f"granted, priority {priority}")
    return Grant("SCHED_FIFO", False, "refused", _FIFO_FIX)


def _timer_slack() -> Grant:
    name = "timer slack"
    set_timer_slack()
    try:
        slack_ns = int(Path(f"/proc/{os.getpid()}/timerslack_ns").read_text())
    except (OSError, ValueError):
        return Grant(name, False, "unknown", "this kernel does not tell: sleeps may end 50 us late")
    # 0 under SCHED_FIFO, which has no slack.
    if slack_ns <= _TIMER_SLACK_GOOD_NS:
        return Grant(name, True, f"{slack_ns} ns")
    return Grant(name, False, f"{slack_ns} ns", "prctl is refused here, by a seccomp filter: sleeps end that much late")


def _has_capability(number: int) -> bool:
    """Tell whether this process has a capability in force (proc(5), CapEff)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return False
    words = next((line.split() for line in lines if line.startswith("CapEff:")), ["", "0"])
    return bool(int(words[1], 16) >> number & 1)
