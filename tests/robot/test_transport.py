"""Laws of shared memory between processes that are not parent and child: the newest record, locks, and who removes what."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from robot import FetlockError
from robot.clock import monotonic_s, sleep_s
from robot.transport import Block, Latest

pytestmark = pytest.mark.realtime

_SPAWN = multiprocessing.get_context("spawn")
RECORD = np.dtype([("number", "<u8"), ("values", "<f8", (500,))])


def unique() -> str:
    return f"fetlock-test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def latest() -> Iterator[Latest]:
    made = Latest.create(unique(), RECORD)
    yield made
    made.close()
    made.unlink()


def record(number: int) -> np.ndarray:
    made = np.zeros(1, RECORD)
    made["number"], made["values"] = number, number
    return made


def publish(name: str) -> None:
    latest, number = Latest.attach(name, RECORD), 0
    while True:
        number += 1
        latest.publish(record(number))


def test_a_record_is_read_whole_or_not_at_all_and_only_grows(latest: Latest) -> None:
    assert latest.read() is None
    writer = _SPAWN.Process(target=publish, args=(latest.name,))
    writer.start()
    try:
        newest = seen = 0
        limit_s = monotonic_s() + 30.0
        while seen < 5000 and monotonic_s() < limit_s:
            found = latest.read()
            if found is None:
                continue
            number = int(found["number"][0])
            assert (found["values"] == number).all()
            assert number >= newest
            newest, seen = number, seen + 1
        assert seen == 5000
        assert newest > 1
    finally:
        writer.kill()
        writer.join()


def test_a_writer_killed_in_mid_write_is_healed_by_the_next(latest: Latest) -> None:
    latest.publish(record(1))
    latest._words[0] += 1
    assert latest.read() is None
    latest.publish(record(2))
    found = latest.read()
    assert found is not None
    assert found["number"][0] == 2


def test_damage_is_no_record(latest: Latest) -> None:
    latest.publish(record(1))
    latest._record["values"][0, 3] = 7.0
    assert latest.read() is None


def hold(name: str) -> None:
    block = Block(name, 1, create=False)
    block.lock()
    sys.stdout.write("held\n")
    sys.stdout.flush()
    sleep_s(60.0)


def test_a_lock_has_one_holder_and_death_gives_it_back(latest: Latest) -> None:
    code = f"from tests.robot.test_transport import hold; hold({latest.name!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not latest.lock()
        holder.kill()
        holder.wait()
    assert latest.lock()
    assert latest.lock()


def test_a_program_that_attached_and_ended_leaves_the_block(latest: Latest) -> None:
    latest.publish(record(5))
    code = f"from robot.transport import Block; Block({latest.name!r}, 1, create=False).close()"
    subprocess.run([sys.executable, "-c", code], check=True)
    sleep_s(0.2)
    again = Latest.attach(latest.name, RECORD)
    found = again.read()
    assert found is not None
    assert found["number"][0] == 5
    again.close()


def test_a_block_that_is_not_there_is_named() -> None:
    with pytest.raises(FetlockError, match="cannot be attached to: No such file"):
        Block(unique(), 8, create=False)
