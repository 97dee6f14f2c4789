"""How late a paced loop wakes beside a saturating learner: `RealTimeClock` against a loop of relative sleeps, and the machine's floor.

    ./run bench loop [--seconds 10] [--rates-hz 50 100 500] [--load 2] [--trainer-seconds 60]

Last, the whole trainer runs in real time for a minute: the walking Minitaur's loop beside a learner that is owed more updates than all
cores can do, so that it never rests; its figures are those of the run's own summary, "trainer" in the details. In the other measurements
every core runs matrix products at nice 19, where the learner runs, and the loops' bodies are empty: they measure waiting, not working.
Lateness of tick k is its distance from `start + k * period`, for both loops, so the peer's holds its drift; its gaps are reported too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks.report import Report
from fetlock.host import stolen_s
from robot.clock import RealTimeClock, monotonic_s, request_realtime, set_timer_slack, sleep_s
from robot.errors import RobotError, UsageError

_SPAWN = multiprocessing.get_context("spawn")
# Batch and width of a learner's products: SAC's usual 256 transitions and 256 hidden units (arXiv 1812.05905, table 1).
_WIDTH = 256
# Importing torch took 2 to 12 s on two busy cores (measured); a load that is not up after this is not coming.
_LOAD_START_S = 120.0
# Updates owed for each step of the run beside the trainer: 3,200 a second at 50 Hz, ten times what two cores do; and its length in steps.
_OWED, _ENDLESS = 64, 1_000_000

Times = NDArray[np.float64]
_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Measurement:
    """What one process saw at one rate; all arrays in s.

    Attributes:
        ours: Lateness of every tick of `RealTimeClock`.
        missed: Ticks that it skipped.
        peer: Lateness of every tick of the relative loop against the same kind of schedule.
        peer_gaps: Gap of every tick of the relative loop, less the period.
        floor: Gap of plain sleeps of one period, less the period.
    """

    ours: Times
    missed: int
    peer: Times
    peer_gaps: Times
    floor: Times


def paced(period_s: float, ticks: int) -> tuple[Times, int]:
    """Run our clock; return the lateness of every tick, s, and the number of missed ticks."""
    clock = RealTimeClock(period_s)
    clock.start()
    lateness_s = np.zeros(ticks)
    for tick in range(ticks):
        clock.wait()
        lateness_s[tick] = clock.statistics.lateness_s
    return lateness_s, clock.statistics.missed


def relative(period_s: float, ticks: int) -> Times:
    """Run the loop that sleeps what its body left of the period; return the wake-up times since the start, s."""
    start_s = began_s = monotonic_s()
    woke_s = np.zeros(ticks)
    for tick in range(ticks):
        sleep_s(max(0.0, period_s - (monotonic_s() - began_s)))
        began_s = monotonic_s()
        woke_s[tick] = began_s - start_s
    return woke_s


def sleep_gaps(period_s: float, ticks: int) -> Times:
    """Sleep `period_s` again and again (clock_nanosleep in CPython 3.11); return how much longer each took, s."""
    gaps_s = np.zeros(ticks)
    for tick in range(ticks):
        began_s = monotonic_s()
        sleep_s(period_s)
        gaps_s[tick] = monotonic_s() - began_s - period_s
    return gaps_s


def measure(period_s: float, ticks: int, fifo: bool) -> Measurement:
    """Measure in this process; the peer runs before the timer slack is set, as a plain script's loop does.

    Raises:
        RobotError: If `fifo` is asked for and the kernel refuses it.
    """
    if fifo and not request_realtime():
        raise RobotError("the kernel refused SCHED_FIFO in mid-run, after granting it: run again")
    woke_s = relative(period_s, ticks)
    set_timer_slack()
    floor_s = sleep_gaps(period_s, ticks)
    ours_s, missed = paced(period_s, ticks)
    schedule_s = period_s * np.arange(1, ticks + 1)
    return Measurement(ours_s, missed, woke_s - schedule_s, np.diff(woke_s, prepend=0.0) - period_s, floor_s)


def learn(ready: Event, stop: Event) -> None:
    """Be a learner's load until `stop`: products of its size at nice 19, on one thread."""
    import torch  # heavy, and only the load processes need it

    os.nice(19)
    torch.set_num_threads(1)
    weights = torch.randn(_WIDTH, _WIDTH) / _WIDTH**0.5
    batch = torch.randn(_WIDTH, _WIDTH)
    ready.set()
    while not stop.is_set():
        for _ in range(100):
            batch = torch.tanh(batch @ weights)


@contextmanager
def saturating_load(processes: int) -> Iterator[None]:
    """Keep `processes` cores busy for the length of the block.

    Raises:
        RobotError: If a load process does not start.
    """
    stop = _SPAWN.Event()
    ready = [_SPAWN.Event() for _ in range(processes)]
    workers = [_SPAWN.Process(target=learn, args=(event, stop), daemon=True) for event in ready]
    for worker in workers:
        worker.start()
    try:
        if not all(event.wait(_LOAD_START_S) for event in ready):
            raise RobotError(f"a load process was not ready within {_LOAD_START_S} s: close other programs and run again")
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def percentiles_ms(times_s: Times) -> dict[str, JsonValue]:
    """Return median, p99, p99.9 and maximum, ms."""
    p50, p99, p999 = np.percentile(times_s, [50.0, 99.0, 99.9]) * 1e3
    return {
        "p50": round(float(p50), 4),
        "p99": round(float(p99), 4),
        "p99.9": round(float(p999), 4),
        "max": round(float(times_s.max()) * 1e3, 4),
    }


def summary(measured: Measurement, period_s: float) -> dict[str, JsonValue]:
    """Return the figures of one measurement, ms."""
    ticks = measured.ours.size
    return {
        "ticks": ticks,
        "ours_lateness_ms": percentiles_ms(measured.ours),
        "ours_missed": measured.missed,
        "peer_lateness_ms": percentiles_ms(measured.peer),
        "peer_gap_error_ms": percentiles_ms(measured.peer_gaps),
        "peer_drift_ms_per_s": round(float(measured.peer[-1]) / (ticks * period_s) * 1e3, 4),
        "sleep_overshoot_ms": percentiles_ms(measured.floor),
    }


def in_new_process(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Run `function` in a process of its own: scheduler and timer slack stay there."""
    with ProcessPoolExecutor(1, mp_context=_SPAWN) as pool:
        return pool.submit(function, *args, **kwargs).result()


def _line(scheduler: str, rate_hz: float, measured: Measurement) -> str:
    p50, p99, p999 = np.percentile(measured.ours, [50.0, 99.0, 99.9]) * 1e3
    peer, floor = (np.percentile(times, 99.0) * 1e3 for times in (measured.peer, measured.floor))
    late = f"late p50 {p50:.3f}, p99 {p99:.3f}, p99.9 {p999:.3f} ms, missed {measured.missed} of {measured.ours.size}"
    return f"{scheduler:>7} {rate_hz:5g} Hz: {late} (relative sleeps p99 {peer:.3f} ms, plain sleeps p99 +{floor:.3f} ms)"


def beside_trainer(seconds: float) -> dict[str, JsonValue]:
    """Train in real time for so long, as the command line does, with a learner that cannot catch up; return the run's own figures.

    Raises:
        RobotError: If the run fails.
    """
    cores = len(os.sched_getaffinity(0))
    config = Path(__file__).resolve().parent.parent / "configs" / "minitaur_walk_realtime.yaml"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "fetlock", "train", "--config", str(config), "--runs-dir", folder, "--name", "loop", "--no-video"]
        command += ["--train.learner-threads", str(cores), "--sac.updates-per-step", str(_OWED), "--train.learning-starts", "100"]
        command += ["--train.total-steps", str(_ENDLESS)]
        before_s = stolen_s()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as trainer:
            while trainer.poll() is None and not list((Path(folder) / "loop" / "rollouts").glob("*.part")):
                sleep_s(0.1)
            sleep_s(seconds)
            trainer.send_signal(signal.SIGINT)
        if trainer.returncode != 0:
            raise RobotError(f"the trainer beside the loop ended with exit code {trainer.returncode}: run it by hand: {' '.join(command)}")
        summary = json.loads((Path(folder) / "loop" / "summary.json").read_text())
    kept = ("steps", "missed_ticks", "lost_records", "lateness_ms", "updates", "updates_per_s", "update_to_data_ratio", "learner_threads")
    return {**{key: summary[key] for key in kept}, "stolen_s": round(stolen_s() - before_s, 2)}


def main(argv: Sequence[str]) -> Report:
    """Measure every rate under the default scheduler and, where granted, SCHED_FIFO.

    Raises:
        UsageError: If an option is out of range.
    """
    parser = argparse.ArgumentParser(prog="bench loop")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement; p99.9 needs a thousand ticks")
    parser.add_argument("--rates-hz", type=float, nargs="+", default=[50.0, 100.0, 500.0], help="the last one makes the headline")
    parser.add_argument("--load", type=int, default=len(os.sched_getaffinity(0)), help="busy processes beside the loop")
    parser.add_argument("--trainer-seconds", type=float, default=60.0, help="length of the run beside the real trainer; 0 leaves it out")
    options = parser.parse_args(list(argv))
    if not options.rates_hz or min(options.rates_hz) <= 0.0 or options.seconds * min(options.rates_hz) < 1.0 or options.load < 0:
        raise UsageError(f"rates must be positive, the load 0 or more and every measurement at least one tick long: got {options}")
    load_before = os.getloadavg()[0]
    schedulers = ["fifo", "default"] if in_new_process(request_realtime) else ["default"]
    details: dict[str, JsonValue] = {"seconds": options.seconds, "load_processes": options.load, "other_load_1min": round(load_before, 2)}
    measured: dict[tuple[str, float], Measurement] = {}
    with saturating_load(options.load):
        for rate_hz in options.rates_hz:
            for scheduler in schedulers:
                ticks = int(options.seconds * rate_hz)
                result = in_new_process(measure, 1.0 / rate_hz, ticks, scheduler == "fifo")
                measured[scheduler, rate_hz] = result
                details[f"{scheduler}_{rate_hz:g}_hz"] = summary(result, 1.0 / rate_hz)
                print(_line(scheduler, rate_hz, result))
    if options.trainer_seconds > 0.0:
        details["trainer"] = beside_trainer(options.trainer_seconds)
        print(f"trainer: {json.dumps(details['trainer'])}")
    best = schedulers[0]
    headline = measured[best, options.rates_hz[-1]]
    details["headline"] = f"p99 lateness at {options.rates_hz[-1]:g} Hz, scheduler {best}; limit: p99 overshoot of plain sleeps under fifo"
    limit = float(np.percentile(headline.floor, 99.0)) * 1e3 if best == "fifo" else None
    ours, peer = (float(np.percentile(times, 99.0)) * 1e3 for times in (headline.ours, headline.peer))
    return Report("loop", ours, peer, limit, "ms", details=details)
