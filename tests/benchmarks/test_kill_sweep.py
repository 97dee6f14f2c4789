"""A small kill sweep: the same laws as the long one, and that each count of it can be other than 0."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.fault_matrix.dying import killed_at
from benchmarks.fault_matrix.made_records import BUS, STEP, steps_of, ticks_of
from benchmarks.fault_matrix.outcome import WrongOutcome
from benchmarks.kill_sweep import main
from benchmarks.killing.calls import checkpoint_calls, log_calls, recovery_calls, taking_back_calls
from benchmarks.killing.roles import sweep_roles
from benchmarks.killing.tally import Acknowledged, Quota, Tally
from robot import LogError, RobotError, UsageError
from training.rollout_log import EpisodeWriter, RunMetadata

METADATA = RunMetadata(config_sha="abc", robot="test", seed=7)
CALLS = {
    "checkpoint": partial(checkpoint_calls, {"weights": torch.zeros(50, 40), "random": torch.get_rng_state()}),
    "log": log_calls,
    "recovery": recovery_calls,
    "taking back": taking_back_calls,
}


@pytest.mark.parametrize("name", CALLS)
def test_death_at_a_third_of_all_system_calls_costs_nothing_that_was_safe(name: str) -> None:
    told = CALLS[name](stride=3)
    assert int(told["calls"]) > 10
    if name == "checkpoint":
        assert int(told["old"]) > 3
        assert int(told["new"]) > 3


def test_killed_collectors_learners_and_loggers_lose_and_double_nothing() -> None:
    said: list[str] = []
    tally, lateness = sweep_roles(Quota(4), np.random.default_rng(3), said.append)
    assert tally.violations == 0, tally
    assert tally.total == 4
    assert lateness.living_s > 0.0
    assert said


def test_a_call_that_ends_before_its_death_has_done_its_work_and_one_that_fails_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert killed_at(1, file.touch)
    assert not file.exists()
    assert not killed_at(10_000, file.touch)
    assert file.exists()
    with pytest.raises(RobotError, match="that was to be killed failed"):
        killed_at(10_000, partial(file.mkdir))
    with pytest.raises(RobotError, match="comes before"):
        killed_at(1, file.touch, prepare=file.mkdir)


def write(folder: Path, episode: int, first: int, count: int) -> Path:
    writer = EpisodeWriter(folder, 0, episode, STEP, BUS, METADATA)
    writer.write(ticks_of(2 * first, 2 * count, episode), steps_of(first, count, episode))
    writer.finish(complete=True)
    return folder / f"c0-e{episode:06d}.mcap"


def test_what_is_lost_doubled_missing_changed_or_damaged_is_counted(tmp_path: Path) -> None:
    def look(steps: int = 20, bus: int = 40, before: np.ndarray | None = None) -> Tally:
        tally = Tally()
        tally.look(tmp_path, Acknowledged(steps, bus), before)
        return tally

    assert look(0, 0).violations == 0
    assert look(3, 7).lost == 10
    write(tmp_path, 0, 0, 10)
    second = write(tmp_path, 1, 10, 10)
    seen = Tally().look(tmp_path, Acknowledged(20, 40), None)
    assert look(before=seen).violations == 0
    assert look(22, 45).lost == 7
    other = seen.copy()
    other["reward"][3] += 1.0
    assert look(before=other).changed == 1
    write(tmp_path, 2, 18, 4)
    assert look().doubled == 2 + 4
    (tmp_path / "c0-e000002.mcap").unlink()
    write(tmp_path, 3, 21, 2)
    assert look().missing == 1 + 2
    (tmp_path / "c0-e000003.mcap").unlink()
    whole = second.read_bytes()
    for damage in (whole[:600], b""):
        second.write_bytes(damage)
        tally = look()
        assert tally.unreadable == 1
        assert tally.lost >= 10
        assert tally.violations == tally.lost + 1
    second.rename(second.with_name(second.name + ".part"))
    assert look().unreadable == 0


@pytest.mark.parametrize(("error", "counted"), [(WrongOutcome, True), (LogError, True), (ValueError, False)])
def test_a_broken_promise_is_counted_and_a_bug_is_not_hidden(error: type[Exception], counted: bool) -> None:
    def fail() -> None:
        raise error("that")

    tally = Tally()
    repeat: Callable[[], object] = fail
    if counted:
        assert not tally.judged(repeat)
        assert tally.wrong == {"that": 1}
        assert tally.violations == 1
    else:
        with pytest.raises(error):
            tally.judged(repeat)
    assert tally.judged(lambda: None)


@pytest.mark.parametrize(
    "arguments", [["--kills", "0", "--whole", "0"], ["--kills", "5", "--whole", "6"], ["--whole", "-1"], ["--minutes", "0"]]
)
def test_a_sweep_that_kills_nothing_is_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="kill at least once"):
        main(arguments)
