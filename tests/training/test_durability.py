"""Laws of what survives: a disk that fills at any byte, readers beside a live logger, damage anywhere, death at any call."""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from robot import FetlockError, LogError
from robot.clock import monotonic_s, sleep_s
from robot.transport import Counters, Ring
from tests.training.records import BUS, STEP, bus_records, step_records
from training.rollout_log import EpisodeWriter, Logger, RunMetadata, log_files, read_log, read_run, recover
from training.rollout_log import logger as logger_module
from training.transport import WeightSlot

spawn = multiprocessing.get_context("spawn")
METADATA = RunMetadata(config_sha="abc", robot="test", seed=7)
FIELDS = ("stop", "log_error")
STEPS, TICKS = 4096, 8192


def unique() -> str:
    return f"fetlock-test-{uuid.uuid4().hex[:12]}"


class Rings:
    """The rings of some collectors, each of whose steps spans two bus ticks."""

    def __init__(self, name: str, collectors: int, *, create: bool) -> None:
        make = Ring.create if create else Ring.attach
        self.name = name
        self.steps = [make(f"{name}-s{i}", STEP, STEPS) for i in range(collectors)]
        self.bus = [make(f"{name}-b{i}", BUS, TICKS) for i in range(collectors)]
        self.counters = (Counters.create if create else Counters.attach)(f"{name}-c", FIELDS)

    def append(self, collector: int, first: int, count: int, *, episode: int, end: bool) -> None:
        for record in bus_records(2 * first, 2 * count, episode=episode, collector=collector):
            assert self.bus[collector].append(np.array([record], BUS))
        for record in step_records(first, count, episode=episode, collector=collector, end=end):
            assert self.steps[collector].append(np.array([record], STEP))

    def logger(self, folder: Path) -> Logger:
        return Logger(folder, self.steps, self.bus, self.counters, METADATA)


@contextlib.contextmanager
def made_rings(collectors: int) -> Iterator[Rings]:
    rings = Rings(unique(), collectors, create=True)
    try:
        yield rings
    finally:
        for piece in (*rings.steps, *rings.bus, rings.counters):
            piece.close()
            piece.unlink()


def require_each_once(folder: Path, collectors: int, steps: int) -> None:
    records = read_run(folder)
    bus = np.concatenate([log.bus for log in map(read_log, log_files(folder)) if len(log.bus)])
    for collector in range(collectors):
        np.testing.assert_array_equal(records["sequence"][records["collector"] == collector], np.arange(steps))
        np.testing.assert_array_equal(np.sort(bus["sequence"][bus["collector"] == collector]), np.arange(2 * steps))


def _fill_the_disk_at_every_size(folder: str, collectors: int) -> None:
    logger_module._RETRY_S = 0.0
    for limit in range(600, 7_200, 300):
        rollouts = Path(folder) / str(limit)
        with made_rings(collectors) as rings:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            logger, made = rings.logger(rollouts), 0
            for episode in range(2):
                for third in range(3):
                    for collector in range(collectors):
                        rings.append(collector, made, 8, episode=episode, end=third == 2)
                    made += 8
                    logger.drain(flush=True)
                    on_disk = read_run(rollouts)
                    for collector, ring in enumerate(rings.steps):
                        assert np.count_nonzero(on_disk["collector"] == collector) >= ring.acknowledged
            for _ in range(20):
                logger.drain(flush=True)
            assert len(list(rollouts.iterdir())) <= 6 * collectors, "retries litter the disk"
            assert rings.counters.get("log_error") or all(ring.acknowledged == made for ring in rings.steps)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            for collector in range(collectors):
                rings.append(collector, made, 1, episode=2, end=False)
            made += 1
            while any(ring.acknowledged < made for ring in rings.steps):
                logger.drain(flush=True)
            assert rings.counters.get("log_error") == 0
            logger.close()
            require_each_once(rollouts, collectors, made)


@pytest.mark.parametrize("collectors", [1, 2])
def test_a_disk_that_fills_at_any_byte_loses_and_doubles_nothing(tmp_path, collectors):
    """The size is swept so that header, chunk, footer and the next episode's file are each the one that is refused."""
    process = spawn.Process(target=_fill_the_disk_at_every_size, args=(str(tmp_path), collectors))
    process.start()
    process.join(100.0)
    assert process.exitcode == 0


def _log_for_ever(folder: str, name: str) -> None:
    logger = Rings(name, 1, create=False).logger(Path(folder))
    while True:
        logger.drain()


def test_a_run_can_be_read_at_any_time_beside_its_logger_and_its_deaths(tmp_path):
    """A learner that restarts rebuilds its replay while files are begun, renamed and recovered."""
    with made_rings(1) as rings:
        made = 0
        for _ in range(3):
            process = spawn.Process(target=_log_for_ever, args=(str(tmp_path), rings.name))
            process.start()
            goal, deadline_s = rings.steps[0].acknowledged + 150, monotonic_s() + 30.0
            while rings.steps[0].acknowledged < goal and monotonic_s() < deadline_s:
                if rings.steps[0].head - rings.steps[0].acknowledged < 20:
                    rings.append(0, made, 5, episode=made // 5, end=True)
                    made += 5
                acknowledged = rings.steps[0].acknowledged
                records = read_run(tmp_path)
                assert len(records) >= acknowledged
                np.testing.assert_array_equal(records["sequence"], np.arange(len(records)))
            process.kill()
            process.join()
            assert rings.steps[0].acknowledged >= goal


def test_bus_ticks_that_a_full_ring_refused_are_not_acknowledged_as_written(tmp_path):
    with made_rings(1) as rings:
        logger = rings.logger(tmp_path)
        rings.append(0, 0, 4, episode=0, end=False)
        step = step_records(4, 1)
        step["bus_first"], step["bus_last"] = 8, 57
        for record in bus_records(8, 2):
            assert rings.bus[0].append(np.array([record], BUS))
        assert rings.steps[0].append(step)
        logger.drain(flush=True)
        assert (rings.bus[0].acknowledged, rings.bus[0].head) == (10, 10)
        logger.close()
        require_each_once(tmp_path, 1, 5)


def write_log(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    writer = EpisodeWriter(folder, 0, 0, STEP, BUS, METADATA)
    for i in range(0, 40, 4):
        writer.write(bus_records(2 * i, 8), step_records(i, 4))
        writer.flush()
    writer.finish(complete=True)
    return folder / "c0-e000000.mcap"


def test_recovery_of_a_leftover_with_a_flipped_bit_gives_right_records_or_an_error(tmp_path):
    path = write_log(tmp_path / "source")
    whole, content = read_log(path).steps, path.read_bytes()
    rng = np.random.default_rng(3)
    # Every byte of header and metadata, then one in 61, then the summary's start, where schemas are repeated.
    for at in [*range(0, 170, 3), *range(170, len(content), 61), *range(len(content) - 2_200, len(content), 23)]:
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "c0-e000000.mcap.part").write_bytes(bytes(damaged))
        recover(folder)
        assert recover(folder) == []
        steps = None
        with contextlib.suppress(LogError):
            steps = read_run(folder)
        assert steps is None or steps.tobytes() == whole[: len(steps)].tobytes()
        shutil.rmtree(folder)


def test_a_copied_file_with_a_name_of_its_own_is_named(tmp_path):
    path = write_log(tmp_path)
    path.with_name("c0-e000000 (copy).mcap").write_bytes(path.read_bytes())
    with pytest.raises(LogError, match=r"\(copy\).*move it"):
        read_run(tmp_path)


def test_a_ring_of_other_fields_of_the_same_size_is_refused():
    fields = [("reward", "<f8"), ("stamp_s", "<f8")]
    ring = Ring.create(unique(), np.dtype(fields), 8)
    try:
        with pytest.raises(FetlockError, match="other fields"):
            Ring.attach(ring.name, np.dtype(fields[::-1]), 8)
    finally:
        ring.close()
        ring.unlink()


def _publish(name: str, size: int, stride: int) -> None:
    slot = WeightSlot.attach(name, size)
    version = slot.version
    while True:
        version += stride
        slot.publish(version, np.full(size, version % 1000, np.float32), version, version)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_last_good_weights_stay_readable_whenever_their_publisher_is_killed(stride):
    size = 300_000
    slot = WeightSlot.create(unique(), size)
    rng = np.random.default_rng(stride)
    try:
        for _ in range(5):
            publisher = spawn.Process(target=_publish, args=(slot.name, size, stride))
            publisher.start()
            goal, deadline_s = slot.version + 5 * stride, monotonic_s() + 30.0
            while slot.version < goal and monotonic_s() < deadline_s:
                sleep_s(0.001)
            sleep_s(float(rng.uniform(0.0, 0.003)))
            publisher.kill()
            publisher.join()
            weights = slot.newest(0)
            assert weights is not None
            assert (weights.vector == weights.version % 1000).all()
    finally:
        slot.close()
        slot.unlink()


def test_the_logger_needs_neither_torch_nor_pybullet():
    code = "import sys, training.roles.record; sys.exit(bool({'torch', 'pybullet'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
