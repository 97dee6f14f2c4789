"""What the console reads of a run, and what it says of it, over rings and records like those of a run; no browser."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from fetlock.console.episodes import Episodes
from fetlock.console.panels import figures_html, joints_html
from fetlock.console.state import Curve, LoopView, RobotView, RunView, State
from fetlock.console.ticks import newest
from fetlock.console.words import _LOOKS, board_of, duration, look_of, reason_of
from robot.transport import Ring
from robot.types import frozen_array
from safety.limits import GuardConfig
from safety.modes import RULES
from safety.stop_records import StopLevel, StopState
from safety.types import Cause, Mode
from tests.safety.served import unique
from training.records import step_dtype

STEP = step_dtype(2, 1)
LIMITS = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=1.0, acceleration_max_rad_s2=1.0).limits(
    ("hip", "<b>")
)
ROBOT = RobotView(
    mode=Mode.ACTIVE,
    causes=Cause.NONE,
    joint_names=("hip", "<b>"),
    position_rad=frozen_array([0.0, 0.98]),
    target_rad=frozen_array([0.1, 0.9]),
    temperature_c=frozen_array([30.0, 60.0]),
    voltage_v=12.0,
    interventions={"": 0.25, "rate": 0.25},
    window_s=5.0,
    silent_s=0.0,
)


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = Ring.create(f"fetlock-test-{unique()}", STEP, 64, start=100)
    yield made
    made.close()
    made.unlink()


def record(ring: Ring, episode: int, lengths: int, *, ends: bool = True, failed: bool = False) -> None:
    row = np.zeros(1, STEP)
    for step in range(lengths):
        last = step == lengths - 1
        row["sequence"], row["episode"], row["step"], row["reward"], row["measure"] = ring.head, episode, step, 2.0, 0.5
        row["terminated"], row["truncated"] = last and ends and failed, last and ends and not failed
        assert ring.append(row)
        ring.acknowledge(ring.head)


def test_finished_episodes_are_counted_once_and_cut_ones_not_at_all(ring: Ring) -> None:
    episodes = Episodes(ring, collectors=2)
    record(ring, 7, 10)
    episodes.look()
    record(ring, 8, 4, ends=False)
    episodes.look()
    record(ring, 9, 5, failed=True)
    episodes.look()
    episodes.look()
    assert [(one.end_step, one.total, one.measure, one.failed) for one in episodes.finished] == [
        (220, 20.0, 0.5, False),
        (238, 10.0, 0.5, True),
    ]


def test_what_was_overwritten_or_never_written_is_no_episode(ring: Ring) -> None:
    record(ring, 1, 40)
    late = Episodes(ring, collectors=1)
    record(ring, 2, 60)
    record(ring, 3, 12)
    late.look()
    assert [one.total for one in late.finished] == [24.0]
    fresh = Episodes(ring, collectors=1)
    fresh.look()
    assert [one.total for one in fresh.finished] == [24.0]


def test_the_newest_records_are_those_that_were_written(ring: Ring) -> None:
    assert len(newest(ring, 10)) == 0
    record(ring, 1, 5)
    assert newest(ring, 10)["sequence"].tolist() == [100, 101, 102, 103, 104]
    record(ring, 2, 100)
    assert newest(ring, 3)["sequence"].tolist() == [202, 203, 204]
    assert len(newest(ring, 1e9)) == ring.capacity - 2


def test_each_mode_has_a_look_of_its_own() -> None:
    assert set(_LOOKS) == set(Mode)
    assert len({look.title for look in _LOOKS.values()}) == len(Mode)
    assert len({look.sign for look in _LOOKS.values()}) == len(Mode)


@pytest.mark.parametrize("cause", list(Cause))
def test_each_cause_is_said_in_words_with_what_ends_it(cause: Cause) -> None:
    said = reason_of(State(robot=replace(ROBOT, mode=Mode.HOLD, causes=cause)))
    assert RULES[cause].says in said
    assert f"cleared by: {RULES[cause].clear.value}" in said


def test_old_ticks_are_no_mode() -> None:
    assert look_of(State(robot=ROBOT)).title == "ACTIVE"
    assert look_of(State()).title == "NO ROBOT"
    old = State(robot=replace(ROBOT, silent_s=3.0))
    assert (look_of(old).title, look_of(old).style) == ("NO TICKS", "grey")
    assert "ACTIVE" in reason_of(old)


def test_the_stop_board_is_said_in_words() -> None:
    assert board_of(StopState(None, "", 0.0, 3, ()), 0.0) == "No stop is in force."
    assert board_of(StopState(StopLevel.CUT, "button", 5.0, 3, ()), 12.0) == "CUT is in force by button, 12 s ago."
    assert "cannot be read" in board_of(None, 0.0)
    assert [duration(value) for value in (5.0, 600.0, 7200.0)] == ["5 s", "10 min", "2 h"]


def test_joints_and_heat_say_in_words_what_their_colour_says() -> None:
    said = joints_html(State(robot=ROBOT, limits=LIMITS, hot_c=(55.0, 70.0)))
    assert said.count("near limit") == 1
    assert said.count(" hot</span>") == 1
    assert "&lt;b&gt;" in said
    assert "<b>" not in said.replace("<b ", "")
    unknown = replace(ROBOT, position_rad=frozen_array([math.nan, 0.0]), temperature_c=None, interventions={"": 0.0}, voltage_v=None)
    for state in (State(), State(robot=unknown), State(robot=unknown, limits=LIMITS, hot_c=(55.0, 70.0))):
        assert "nan" not in joints_html(state) + figures_html(state)


def test_the_figures_are_the_records() -> None:
    loop = LoopView(0.01, (0.1, 0.25, 3.0), 4)
    said = figures_html(State(robot=ROBOT, loop=loop, run=RunView((("steps", "5 of 9"),), Curve(), Curve())))
    for part in ("100 Hz", "0.10 ms", "0.25 ms", "3.00 ms", "<dd>4</dd>", "25% of ticks", "60 °C", "12.0 V", "5 of 9"):
        assert part in said
    assert "not in real time" in figures_html(State(robot=ROBOT))
