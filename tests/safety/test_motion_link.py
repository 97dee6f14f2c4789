"""Laws of the blocks of a motion process: who is not ready is not served, what the dead left is removed, and a stop needs no ownership."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from robot import FetlockError, StaleError, UsageError
from robot.transport import Latest
from safety.motion_link import About, MotionLink, StopWord, served_names, server_pid, sweep_dead
from tests.safety.served import unique

pytestmark = pytest.mark.realtime

ABOUT = About(4321, 0.01, ("hip", "knee"), ("one thing: granted", "another: refused"))


@pytest.fixture
def link() -> Iterator[MotionLink]:
    made = MotionLink.create(unique(), 2)
    yield made
    made.close()
    made.unlink()


def test_a_server_that_has_not_introduced_itself_is_not_ready(link):
    with pytest.raises(StaleError, match="is not ready yet: try again"):
        MotionLink.attach(link.name)
    with pytest.raises(StaleError, match="is not ready yet: try again"):
        link.introduction()
    link.introduce(ABOUT)
    other = MotionLink.attach(link.name)
    assert other.introduction() == link.introduction() == ABOUT
    other.close()


def test_a_living_server_keeps_its_name_and_a_dead_ones_is_free(link):
    assert server_pid(link.name) == os.getpid()
    assert link.name in served_names()
    with pytest.raises(UsageError, match="runs already: stop it"):
        sweep_dead(link.name)
    link.introduce(ABOUT)
    with pytest.raises(UsageError, match=r"runs already \(process 4321\): stop it"):
        sweep_dead(link.name)
    # The kernel takes the locks of the dead back.
    link.close()
    assert server_pid(link.name) is None
    sweep_dead(link.name)
    assert link.name not in served_names()
    with pytest.raises(StaleError, match="there is no motion process"):
        MotionLink.attach(link.name)
    MotionLink.create(link.name, 2).close()


def test_one_of_two_that_sweep_at_once_finds_the_other_one_faster(link, monkeypatch):
    attach = Latest.attach

    def attach_too_late(name, dtype):
        block = attach(name, dtype)
        block.unlink()
        return block

    link.close()
    monkeypatch.setattr(Latest, "attach", attach_too_late)
    sweep_dead(link.name)
    assert link.name not in served_names()


@pytest.mark.parametrize("name", ["", "Upper", "-a", "a/b", "a" * 41])
def test_names_that_cannot_be_blocks_are_refused(name):
    for call in (sweep_dead, MotionLink.attach):
        with pytest.raises(UsageError, match="use up to 40 small letters"):
            call(name)


def test_a_stop_is_asked_for_by_who_knows_no_more_than_the_name(link):
    word = StopWord(link.name)
    word.post(5.0)
    assert link.words.get("stop_s") == 5.0
    assert not word.confirmed(5.0)
    link.words.set("stopped_s", 5.0)
    assert word.confirmed(5.0)
    assert not word.confirmed(5.1)
    word.close()
    with pytest.raises(FetlockError):
        StopWord("nobody")


def test_a_stop_that_nobody_confirms_says_so_after_its_patience(link):
    slept_s: list[float] = []
    assert not link.ask_stop(3.0, slept_s.append, 0.4)
    assert sum(slept_s) == pytest.approx(0.4)
    assert link.words.get("stop_s") == 3.0


def test_a_stop_that_is_confirmed_at_the_last_moment_is_confirmed(link):
    slept_s: list[float] = []

    def sleep(duration_s: float) -> None:
        slept_s.append(duration_s)
        if sum(slept_s) > 0.39:
            link.words.set("stopped_s", 3.0)

    assert link.ask_stop(3.0, sleep, 0.4)
