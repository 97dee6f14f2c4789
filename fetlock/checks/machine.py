"""Checks of the machine: cores, real time, clock, disk, shared memory."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from pathlib import Path

from fetlock.checks.finding import Finding, Level
from fetlock.host import stolen_s
from robot.clock import monotonic_s, request_realtime, set_timer_slack
from robot.realtime import lock_memory

# Collector, learner, logger and evaluator of one run; with two cores they take turns and learning is slower, not wrong.
_CORES = 4
# A run refuses to start with less (training/runs.py); ten runs of 20,000 steps write 300 MB (measured).
_FREE_LEAST_MB, _FREE_GOOD_MB = 200, 2_000
# Rings and weights of a walking run take 42 MB, and 41 MB more for each further collector (measured); containers give 64 MB by default.
_SHM_LEAST_MB, _SHM_GOOD_MB = 48, 256
# A bus tick of 500 Hz is 2 ms: a clock coarser than a thousandth of it would show in the lateness.
_CLOCK_GOOD_S = 2e-6
_TIMER_SLACK_GOOD_NS = 1000
# A claw's loop of 100 Hz missed nothing in 30 s of which 0.4% of the cores were taken, and ticks where it was 1% (measured).
_STOLEN_GOOD = 0.005


def cores() -> Finding:
    """Count the cores that this process may use."""
    count = len(os.sched_getaffinity(0))
    if count >= _CORES:
        return Finding("cores", Level.OK, f"{count} usable")
    return Finding("cores", Level.WARN, f"{count} usable", f"training uses up to {_CORES}: it works with fewer and learns slower")


def realtime() -> Finding:
    """Ask for SCHED_FIFO in a child, so that this process keeps its own priority."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        granted = pool.apply(request_realtime)
    if granted:
        return Finding("SCHED_FIFO", Level.OK, "granted")
    return Finding(
        "SCHED_FIFO",
        Level.WARN,
        "refused",
        "simulation needs none; for a robot give the user rtprio 60 in /etc/security/limits.conf, or the container --cap-add SYS_NICE",
    )


def locked_memory() -> Finding:
    """Ask in a child to keep all pages in memory, as the motion process does."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        grant = pool.apply(lock_memory)
    return Finding("locked memory", Level.OK if grant.granted else Level.WARN, grant.found, grant.fix)


def timer_slack() -> Finding:
    """Read how late the kernel may wake this thread once it has asked for punctuality."""
    path = Path(f"/proc/{os.getpid()}/timerslack_ns")
    try:
        set_timer_slack()
        slack_ns = int(path.read_text())
    except OSError:
        return Finding("timer slack", Level.WARN, "unknown", "this kernel does not tell: sleeps may end 50 us late")
    if slack_ns <= _TIMER_SLACK_GOOD_NS:
        return Finding("timer slack", Level.OK, f"{slack_ns} ns")
    return Finding("timer slack", Level.WARN, f"{slack_ns} ns", "prctl is refused here: sleeps end that much late")


def stolen_time() -> Finding:
    """Read how much of the cores' time since boot the hypervisor of a virtual machine has taken (proc(5), /proc/stat)."""
    share = stolen_s() / (monotonic_s() * (os.cpu_count() or 1))
    found = f"the hypervisor took {100.0 * share:.1f}% of the cores since boot"
    if share <= _STOLEN_GOOD:
        return Finding("stolen time", Level.OK, found)
    return Finding("stolen time", Level.WARN, found, "real-time loops miss ticks meanwhile: a robot of metal needs a machine of its own")


def clock() -> Finding:
    """Measure the smallest step that the monotonic clock shows."""
    steps: list[float] = []
    before_s = monotonic_s()
    while len(steps) < 1000:
        now_s = monotonic_s()
        if now_s > before_s:
            steps.append(now_s - before_s)
            before_s = now_s
    finest_s = min(steps)
    if finest_s <= _CLOCK_GOOD_S:
        return Finding("monotonic clock", Level.OK, f"shows {1e9 * finest_s:.0f} ns")
    return Finding(
        "monotonic clock", Level.WARN, f"shows {1e6 * finest_s:.1f} us", "choose tsc in /sys/devices/system/clocksource/clocksource0"
    )


def disk(runs_dir: Path) -> Finding:
    """Look for room and the right to write where runs go; a folder that does not exist yet is looked for at its nearest parent."""
    existing = next(folder for folder in (runs_dir.resolve(), *runs_dir.resolve().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding(
            "runs folder", Level.FAIL, f"{existing} ({error.strerror})", "give the user the right to write there, or use --runs-dir"
        )
    return _room("runs folder", existing, _FREE_LEAST_MB, _FREE_GOOD_MB, "free some space, or use --runs-dir")


def shared_memory() -> Finding:
    """Look for room in /dev/shm, which carries the records between the processes of a run."""
    path = Path("/dev/shm")
    if not path.is_dir():
        return Finding("shared memory", Level.FAIL, "/dev/shm is missing", "mount it: mount -t tmpfs tmpfs /dev/shm")
    return _room(
        "shared memory",
        path,
        _SHM_LEAST_MB,
        _SHM_GOOD_MB,
        "enlarge it: --shm-size 1g for a container, else mount -o remount,size=1g /dev/shm",
    )


def _room(name: str, path: Path, least_mb: int, good_mb: int, fix: str) -> Finding:
    status = os.statvfs(path)
    free_mb = status.f_bavail * status.f_frsize // 1_000_000
    level = Level.OK if free_mb >= good_mb else Level.WARN if free_mb >= least_mb else Level.FAIL
    found = f"{path}: {free_mb} MB free"
    return Finding(name, level, found) if level is Level.OK else Finding(name, level, f"{found}, {good_mb} wanted", fix)
