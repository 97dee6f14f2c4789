"""TensorBoard events: what a reader finds, and that a disk that refuses them costs no run."""

from __future__ import annotations

import multiprocessing
import resource
import signal
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training.evaluation import Evaluation
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
