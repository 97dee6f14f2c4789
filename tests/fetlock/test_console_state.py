"""What the console reads of a run, and what it says of it: over the shared memory of a run; no browser."""

from __future__ import annotations

import contextlib
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fetlock.build import make_env, policy_layout
from fetlock.config import config_yaml, load_config
from fetlock.console.episodes import Episodes
from fetlock.console.panels import figures_html, joints_html
from fetlock.console.state import Curve, LoopView, RobotView, RunView, State
from fetlock.console.subject import choose
from fetlock.console.ticks import newest
from fetlock.console.watcher import Watcher
from fetlock.console.words import _LOOKS, board_of, duration, look_of, reason_of
from policy.acting import NumpyActor
from robot.transport import Ring
from robot.types import frozen_array
from safety.limits import GuardConfig
from safety.modes import RULES
from safety.stop_records import StopLevel, StopState
from safety.types import Cause, Mode
from tests.fetlock.console_stage import ROOT, eventually
from tests.fetlock.recorded import FLAGS, record_run
from tests.safety.served import unique
from training.collector import Collector
from training.link import linked
from training.records import step_dtype
from training.rollout_log.recovery import StreamPosition
from training.runs import RunFolder

pytestmark = pytest.mark.realtime

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
    assert [(one.end_steps, one.reward, one.measure, one.failed) for one in episodes.finished] == [
        (220, 20.0, 0.5, False),
        (238, 10.0, 0.5, True),
    ]


def test_what_was_overwritten_or_never_written_is_no_episode(ring: Ring) -> None:
    record(ring, 1, 40)
    late = Episodes(ring, collectors=1)
    record(ring, 2, 60)
    record(ring, 3, 12)
    late.look()
    assert [one.reward for one in late.finished] == [24.0]
    fresh = Episodes(ring, collectors=1)
    fresh.look()
    assert [one.reward for one in fresh.finished] == [24.0]


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


def test_what_waits_for_the_reader_is_said_first() -> None:
    said = reason_of(State(robot=replace(ROBOT, mode=Mode.HOLD, causes=Cause.ASKED | Cause.LATE | Cause.STOP_HOLD | Cause.HOT)))
    places = [said.index(RULES[cause].says) for cause in (Cause.HOT, Cause.STOP_HOLD, Cause.ASKED, Cause.LATE)]
    assert places == sorted(places)


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


def test_a_run_is_read_from_its_shared_memory(tmp_path: Path) -> None:
    config = load_config([*FLAGS])
    layout = policy_layout(config)
    env = make_env(config)
    with (
        RunFolder.create(tmp_path / "walk", config_yaml(config)) as folder,
        linked(layout, [StreamPosition()]) as (_, link),
    ):
        watcher = Watcher(choose(tmp_path, None, None), lambda: True)
        watcher.start(lambda: None)
        collector = Collector(env, NumpyActor(layout), link.steps[0], link.bus[0], seed=5, index=0, episode=0)
        results = []
        while collector.episode < 2:
            results.append(collector.collect(explore=True))
        rewards = sum(result.reward for result in results if result is not None)
        assert eventually(lambda: watcher.state.run is not None and len(watcher.state.run.returns.episodes) == 2)
        state = watcher.state
        watcher.close()
        newest_tick = link.bus[0].read(link.bus[0].head - 1, 1)[0]
    env.close()
    assert (state.name, folder.path.name) == ("run walk", "walk")
    assert state.robot is not None
    assert state.run is not None
    assert (state.robot.mode, state.robot.joint_names) == (Mode(int(newest_tick["mode"])), layout.joint_names)
    np.testing.assert_array_equal(state.robot.position_rad, newest_tick["position_rad"])
    assert sum(total for _, total in state.run.returns.episodes) == pytest.approx(rewards)
    assert state.run.measure.episodes[-1][0] == len(results)
    assert dict(state.run.facts)["steps"] == str(len(results))
    # It is no robot in real time: nothing can be held or armed, and no stop reaches it.
    assert (state.loop, bool(state.no_hold), bool(state.no_arm)) == (None, True, True)
    assert any("STOP does not reach it" in note for note in state.note)


def test_a_console_beside_a_run_ends_with_it(tmp_path: Path) -> None:
    record_run(tmp_path / "old", episodes=1)
    arguments = [
        "run",
        "--policy",
        str(tmp_path / "old"),
        "--duration",
        "1",
        "--console",
        "0",
        "--json",
        "--runs-dir",
        str(tmp_path),
        "--name",
        "new",
    ]
    command = [sys.executable, "-m", "fetlock", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["policy_ticks"] > 0
    # The address, or nothing if the run was over before the console was there; never an error.
    assert re.fullmatch(r"(console: http://127\.0\.0\.1:[0-9]+/\?token=\S+\n)?", done.stderr), done.stderr
    assert not any(str(tmp_path / "new") in line for line in command_lines())


def command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes().decode(errors="replace")
