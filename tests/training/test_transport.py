"""Laws of the shared memory, over real processes where two ends race."""

from __future__ import annotations

import multiprocessing
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot import FetlockError, PolicyError
from robot.clock import monotonic_s, sleep_s
from robot.transport import Counters, OverrunError, Ring
from tests.training.records import STEP, step_records
from training.transport import WeightSlot

pytestmark = pytest.mark.realtime

spawn = multiprocessing.get_context("spawn")


def unique() -> str:
    return f"fetlock-test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create(unique(), STEP, 16)
    yield made
    made.close()
    made.unlink()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40), st.integers(0, 5))
@settings(max_examples=60)
def test_a_ring_is_a_queue_that_never_overwrites_what_is_not_acknowledged(rounds, start):
    ring = Ring.create(unique(), STEP, 8, start=start)
    try:
        written, acknowledged = start, start
        for appends, acknowledges in rounds:
            for _ in range(appends):
                fits = written - acknowledged < 7
                assert ring.append(step_records(written, 1)) is fits
                written += fits
            acknowledged = min(written, acknowledged + acknowledges)
            ring.acknowledge(acknowledged)
            assert (ring.head, ring.acknowledged, ring.free) == (written, acknowledged, 7 - written + acknowledged)
            records = ring.read(acknowledged, 100)
            np.testing.assert_array_equal(records["sequence"], np.arange(acknowledged, written))
            for record in records:
                np.testing.assert_array_equal(record, step_records(int(record["sequence"]), 1)[0])
    finally:
        ring.close()
        ring.unlink()


def test_a_populated_ring_is_in_memory_and_holds_what_it_held():
    ring = Ring.create(unique(), STEP, 10_000)
    try:
        other = Ring.attach(ring.name, STEP, 10_000)
        ring.append(np.ones(1, STEP))
        other.populate()
        mapping = Path("/proc/self/smaps").read_text().split(f"/dev/shm/{ring.name}")
        resident_kb = max(int(part.split("Rss:")[1].split()[0]) for part in mapping[1:])
        assert resident_kb * 1024 >= 10_000 * STEP.itemsize
        assert other.read(0, 9).tobytes() == np.ones(1, STEP).tobytes()
        other.close()
    finally:
        ring.close()
        ring.unlink()


def test_overwritten_records_are_an_error_and_never_wrong_data(ring):
    for i in range(40):
        assert ring.append(step_records(i, 1))
        ring.acknowledge(i + 1)
    with pytest.raises(OverrunError, match="the log has them"):
        ring.read(24, 1)
    np.testing.assert_array_equal(ring.read(25, 99)["sequence"], np.arange(25, 40))


@given(st.integers(0, STEP.itemsize), st.integers(-3, 3), st.booleans())
@settings(max_examples=30)
def test_a_record_that_comes_in_parts_is_the_record_and_one_of_another_size_is_none(cut, more, as_array):
    ring = Ring.create(unique(), STEP, 8)
    try:
        record = step_records(3, 1)
        data = record.tobytes()
        first = np.frombuffer(data[:cut], np.uint8).reshape(1, -1) if as_array else data[:cut]
        assert ring.append(first, data[cut:])
        assert ring.append(record)
        assert ring.read(0, 9).tobytes() == 2 * data
        if more:
            with pytest.raises(ValueError, match=f"a record has {STEP.itemsize} bytes, these are {STEP.itemsize + more}"):
                ring.append(data[: STEP.itemsize + more] + bytes(max(0, more)))
            assert ring.head == 2
    finally:
        ring.close()
        ring.unlink()


def test_another_record_size_or_a_missing_ring_is_named(ring):
    with pytest.raises(FetlockError, match="different configurations"):
        Ring.attach(ring.name, STEP, 8)
    with pytest.raises(FetlockError, match="cannot be attached"):
        Ring.attach(unique(), STEP, 16)


def _produce(name: str, count: int) -> None:
    ring = Ring.attach(name, STEP, 64)
    for i in range(ring.head, count):
        while not ring.append(step_records(i, 1)):
            sleep_s(0.0001)


def test_a_producer_killed_at_any_time_leaves_whole_records_and_its_successor_goes_on():
    ring = Ring.create(unique(), STEP, 64)
    try:
        taken = 0
        rng = np.random.default_rng(0)
        for attempt in range(6):
            producer = spawn.Process(target=_produce, args=(ring.name, 3000))
            producer.start()
            deadline_s = monotonic_s() + (60.0 if attempt == 5 else 1.0 + rng.uniform(0, 0.3))
            while taken < 3000 and (monotonic_s() < deadline_s or attempt == 5) and (producer.is_alive() or taken < ring.head):
                records = ring.read(taken, 64)
                for record in records:
                    np.testing.assert_array_equal(record, step_records(int(record["sequence"]), 1)[0])
                np.testing.assert_array_equal(records["sequence"], np.arange(taken, taken + len(records)))
                taken += len(records)
                ring.acknowledge(taken)
            if producer.pid is not None and producer.is_alive():
                os.kill(producer.pid, signal.SIGKILL)
            producer.join()
        assert taken == 3000
    finally:
        ring.close()
        ring.unlink()


def _publish(name: str, size: int) -> None:
    slot = WeightSlot.attach(name, size)
    version = slot.version
    while True:
        version += 1
        slot.publish(version, np.full(size, version % 1000, np.float32), version, 8 * version)


def test_weights_read_during_publication_are_one_version_or_none():
    size = 50_000
    slot = WeightSlot.create(unique(), size)
    publisher = spawn.Process(target=_publish, args=(slot.name, size))
    publisher.start()
    try:
        seen, version = 0, 0
        deadline_s = monotonic_s() + 30.0
        while seen < 300 and monotonic_s() < deadline_s:
            weights = slot.newest(version)
            if weights is None:
                continue
            assert weights.version > version
            assert (weights.vector == weights.version % 1000).all()
            assert (weights.steps, weights.updates) == (weights.version, 8 * weights.version)
            version, seen = weights.version, seen + 1
        assert seen == 300
    finally:
        publisher.kill()
        publisher.join()
        slot.close()
        slot.unlink()


def test_a_publisher_killed_while_writing_leaves_the_last_good_weights_or_none_and_its_successor_heals():
    size = 200_000
    slot = WeightSlot.create(unique(), size)
    try:
        for _ in range(3):
            publisher = spawn.Process(target=_publish, args=(slot.name, size))
            publisher.start()
            before, deadline_s = slot.version, monotonic_s() + 30.0
            while slot.version < before + 5 and monotonic_s() < deadline_s:
                sleep_s(0.001)
            publisher.kill()
            publisher.join()
            weights = slot.newest(0)
            assert weights is None or (weights.vector == weights.version % 1000).all()
        slot.publish(slot.version + 1, np.ones(size, np.float32), 1, 1)
        healed = slot.newest(0)
        assert healed is not None
        assert (healed.vector == 1.0).all()
    finally:
        slot.close()
        slot.unlink()


@pytest.mark.parametrize(("vector", "message"), [(np.full(4, np.nan), "not finite"), (np.ones(5), "another network")])
def test_bad_weights_are_refused_and_the_old_ones_stay(vector, message):
    slot = WeightSlot.create(unique(), 4)
    try:
        slot.publish(1, np.ones(4, np.float32), 10, 80)
        with pytest.raises(PolicyError, match=message):
            slot.publish(2, vector.astype(np.float32), 11, 88)
        with pytest.raises(PolicyError, match="must grow"):
            slot.publish(1, np.ones(4, np.float32), 11, 88)
        kept = slot.newest(0)
        assert kept is not None
        assert (kept.version, kept.steps, kept.updates) == (1, 10, 80)
        assert slot.newest(1) is None
    finally:
        slot.close()
        slot.unlink()


def test_damaged_weights_are_not_adopted():
    slot = WeightSlot.create(unique(), 4)
    try:
        slot.publish(1, np.ones(4, np.float32), 10, 80)
        slot._vectors[1][2] = 3.0
        assert slot.newest(0) is None
    finally:
        slot.close()
        slot.unlink()


def test_counters_are_seen_by_every_process_attached():
    counters = Counters.create(unique(), ("steps", "stop"))
    try:
        other = Counters.attach(counters.name, ("steps", "stop"))
        counters.set("steps", 2**53)
        assert other.get("steps") == 2**53
        assert other.get("stop") == 0
        with pytest.raises(KeyError):
            other.get("speed")
        other.close()
    finally:
        counters.close()
        counters.unlink()
