"""Laws of a block that outlives all: whose it may be, and locks that exclude threads and children of one process too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot import FetlockError
from robot.transport import StandingBlock
from tests.robot.test_transport import unique

pytestmark = pytest.mark.realtime

SHARED = Path("/dev/shm")


@pytest.fixture
def name() -> Iterator[str]:
    made = unique()
    yield made
    (SHARED / made).unlink(missing_ok=True)


def test_what_one_writes_another_reads_also_after_it_is_gone(name: str) -> None:
    first = StandingBlock(name, 64)
    assert first.memory[:] == bytes(64)
    first.memory[3] = 7
    first.close()
    first.close()
    assert StandingBlock(name, 64).memory[3] == 7


def test_a_lock_has_one_holder_even_within_a_process(name: str) -> None:
    block = StandingBlock(name, 64)
    lock = block.lock(5)
    assert lock is not None
    assert block.lock(5) is None
    assert StandingBlock(name, 64).lock(5) is None
    assert block.lock(6) is not None
    block.unlock(lock)
    assert block.lock(5) is not None


def test_a_kernel_that_refuses_locks_is_no_lock(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    block = StandingBlock(name, 64)
    monkeypatch.setattr("os.open", refuse)
    assert block.lock(0) is None


def refuse(*_: object, **__: object) -> int:
    raise OSError(24, "Too many open files")


def test_a_link_is_not_followed(name: str, tmp_path: Path) -> None:
    (SHARED / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FetlockError, match="cannot be opened"):
        StandingBlock(name, 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_another_users_block_is_refused(name: str) -> None:
    StandingBlock(name, 64).close()
    os.chown(SHARED / name, 12345, -1)
    with pytest.raises(FetlockError, match="belongs to user 12345"):
        StandingBlock(name, 64)


def test_no_room_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.ftruncate", refuse)
    with pytest.raises(FetlockError, match="cannot be made: Too many open files"):
        StandingBlock(name, 64)
