"""All faults, and the loop over the repeats of one."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import numpy as np

from benchmarks.fault_matrix import checks
from benchmarks.fault_matrix.bus_faults import BUS_FAULTS
from benchmarks.fault_matrix.disk_faults import checkpoint_killed, disk_full, power_cut, weights_bad
from benchmarks.fault_matrix.loop_faults import killed, loops, paused
from benchmarks.fault_matrix.outcome import Disturbed, Outcome, Promise, Row, WrongOutcome
from benchmarks.fault_matrix.rig import Bench, Rig, judged
from benchmarks.fault_matrix.run_faults import runs
from benchmarks.fault_matrix.seeing import CAMERA_S, Camera, SeeingRobot, camera_frozen, wall_clock
from robot.clock import request_realtime
from robot.errors import RobotError

Repeat = Callable[[np.random.Generator], Outcome]
# A machine that spoils so many repeats in a row is too busy to measure anything.
_DISTURBED_MAX = 50


@contextmanager
def _bus(scenario: Callable[[Rig], Outcome]) -> Iterator[Repeat]:
    """Repeat a fault on one emulated machine, each time with a new driver and a new guard."""
    with Bench() as bench, _realtime():

        def repeat(rng: np.random.Generator) -> Outcome:
            bench.prepare()
            return _judged(bench, Rig(bench, rng), scenario)

        yield repeat


@contextmanager
def _seeing(scenario: Callable[[Rig, Camera], Outcome]) -> Iterator[Repeat]:
    """Repeat a fault of a robot with a camera."""
    with Bench() as bench, _realtime():

        def repeat(rng: np.random.Generator) -> Outcome:
            bench.prepare()
            camera = Camera(int(rng.integers(1 << 30)))
            limits = {"camera_age_max_s": CAMERA_S, "camera_frozen_s": CAMERA_S}
            return _judged(bench, Rig(bench, rng, lambda robot: SeeingRobot(robot, camera), **limits), lambda rig: scenario(rig, camera))

        yield repeat


@contextmanager
def _plain(repeat: Repeat) -> Iterator[Repeat]:
    """Repeat what needs nothing around it."""
    yield repeat


@contextmanager
def _disks() -> Iterator[Repeat]:
    """Fill the disk of a whole run, then that of a logger alone at a random byte."""
    with runs("disk") as whole:

        def repeat(rng: np.random.Generator) -> Outcome:
            outcome = whole(rng)
            disk_full(rng)
            return outcome

        yield repeat


@contextmanager
def _realtime() -> Iterator[None]:
    """Be as punctual as the motion process: with others on the same cores, a loop of ordinary priority is late by itself."""
    request_realtime()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _judged(bench: Bench, rig: Rig, scenario: Callable[[Rig], Outcome]) -> Outcome:
    try:
        with judged(bench, lambda: rig.starved):
            rig.start()
            outcome = scenario(rig)
            checks.require_limits(rig)
    finally:
        rig.guard.close()
    return outcome


_CHILDREN: dict[str, tuple[Promise, Callable[[], AbstractContextManager[Repeat]]]] = {
    "learner_killed": (Promise("learner_killed"), partial(runs, "learner")),
    "collector_killed": (Promise("collector_killed"), partial(runs, "collector")),
    "logger_killed": (Promise("logger_killed"), partial(runs, "logger")),
    "disk_full": (Promise("disk_full", 0.15, "50 ms until it is written, two policy ticks of 20 ms, and half as much"), _disks),
    "power_cut": (Promise("power_cut"), partial(_plain, power_cut)),
    "checkpoint_killed": (Promise("checkpoint_killed"), partial(_plain, checkpoint_killed)),
    "weights_bad": (Promise("weights_bad"), partial(_plain, weights_bad)),
    "loop_killed": (Promise("loop_killed", 0.12, "watchdog 100 ms, 20 ms to see it"), partial(loops, killed)),
    "loop_stopped": (Promise("loop_stopped", 0.12, "watchdog 100 ms, 20 ms to see it"), partial(loops, paused)),
    "camera_frozen": (Promise("camera_frozen", CAMERA_S + 0.08, "200 ms, two frames of 33 ms and a tick"), partial(_seeing, camera_frozen)),
    "wall_clock": (Promise("wall_clock"), partial(_bus, wall_clock)),
}

FAULTS: dict[str, tuple[Promise, Callable[[], AbstractContextManager[Repeat]]]] = _CHILDREN | {
    name: (promise, partial(_bus, scenario)) for name, (promise, scenario) in BUS_FAULTS.items()
}


def measure(name: str, repeats: int, rng: np.random.Generator) -> Row:
    """Repeat one fault; return its row."""
    promise, prepare = FAULTS[name]
    row = Row(promise, [], [])
    with prepare() as repeat:
        while row.repeats < repeats:
            try:
                row.outcomes.append(repeat(rng))
            except Disturbed:
                row.disturbed += 1
                if row.disturbed > _DISTURBED_MAX + repeats:
                    raise
            except (WrongOutcome, RobotError) as wrong:
                row.wrong.append(str(wrong))
    return row
