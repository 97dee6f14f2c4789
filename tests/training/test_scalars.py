"""TensorBoard events: what a reader finds, and that a disk that refuses them costs no run."""

from __future__ import annotations

import math
import multiprocessing
import resource
import signal
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.evaluation import Evaluation
from training.records import bus_dtype
from training.scalars import Scalars

EVALUATION = Evaluation(steps=1000, updates=2, version=1, seconds=1.0, episodes=10, mean_return=5.0, mean_measure=0.5, falls=1, mark=False)


def test_a_reader_finds_the_evaluation(tmp_path):
    scalars = Scalars(tmp_path)
    scalars.evaluation(EVALUATION)
    scalars.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (event,) = events.Scalars("eval/mean_reward")
    assert (event.step, event.value) == (1000, 5.0)


def test_a_robot_says_what_it_has(tmp_path):
    ticks = np.zeros(3, bus_dtype(2))
    ticks["temperature_c"] = [[30.0, 41.0], [np.nan, 44.5], [31.0, 40.0]]
    cold = np.zeros(3, bus_dtype(2))
    cold["temperature_c"] = np.nan
    scalars = Scalars(tmp_path)
    # Neither a thermometer nor a bus, then one of two robots with both.
    scalars.robot([cold, ticks[:0]], [math.nan, math.nan], 100)
    scalars.robot([cold, ticks], [math.nan, 7.0], 200)
    scalars.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for tag, value in (("robot/temp_max_c", 44.5), ("robot/bus_errors", 7.0)):
        (event,) = events.Scalars(tag)
        assert (event.step, event.value) == (200, value)


def _write_until_the_disk_refuses(folder: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
    scalars = Scalars(Path(folder))
    for _ in range(200):
        scalars.evaluation(EVALUATION)
        scalars.flush()
    scalars.close()


def test_a_disk_that_refuses_events_costs_no_run(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=_write_until_the_disk_refuses, args=(str(tmp_path),))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 500
