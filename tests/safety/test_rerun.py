"""Laws of running the chain again: what was recorded comes out bit for bit, and what was not recorded so is found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import Command, RobotError, frozen_array
from safety import Cause, GuardConfig, GuardedRobot, Mode, Reason
from safety.emission import Emitter
from safety.motion import BusTick
from safety.rerun import Difference, Rerun
from safety.tick_records import bus_tick_of, pack_tick, tick_fields
from safety.types import AppliedCommand, Note
from tests.fakes import InstantClock, InstantRobot
from tests.safety.claw import FINGERS, HIGHEST, LOWEST, MARGIN_M, poses
from tests.safety.test_guard import SensedRobot, Torque

H = 0.01
DTYPE = {joints: np.dtype([field for fields in tick_fields(joints) for field in fields]) for joints in (3, 9)}
CONFIG = GuardConfig(
    position_min_rad=-1.0,
    position_max_rad=1.0,
    routine_position_min_rad=-1.5,
    routine_position_max_rad=1.5,
    rest_rad=1.2,
    velocity_max_rad_s=4.0,
    acceleration_max_rad_s2=200.0,
    low_pass_hz=20.0,
    current_max_a=1.0,
    current_time_s=0.2,
    collision_margin_m=None,
)
RAMP = 2
anything = st.floats(-3.0, 3.0) | st.just(float("nan")) | st.just(float("inf"))
acts = st.one_of(
    st.tuples(st.just("write"), st.tuples(anything, anything, anything)),
    st.tuples(st.just("twice"), st.tuples(anything, anything, anything)),
    st.tuples(st.just("idle"), st.none()),
    st.tuples(st.just("engage"), st.sampled_from([Mode.ACTIVE, Mode.RESETTING])),
    st.tuples(st.just("trip"), st.sampled_from([Cause.ASKED, Cause.STALE, Cause.HOT])),
    st.tuples(st.just("current"), st.floats(0.0, 3.0)),
    st.tuples(st.just("temperature"), st.floats(40.0, 69.0)),
    st.tuples(st.just("wait"), st.integers(1, 5)),
    st.tuples(st.just("deaf"), st.booleans()),
)


class Session:
    """A guard, and what a log would hold of it."""

    def __init__(self, drive: Torque | None = None) -> None:
        self.robot = SensedRobot()
        self.clock = InstantClock(self.robot, H)
        self.guard = GuardedRobot(self.robot, CONFIG, H, now_s=self.clock.now_s, ramp_ticks=RAMP, pulse_rad=0.0015, drive=drive)
        self.rows: list[np.void] = []

    def do(self, kind: str, what: object) -> None:
        if kind == "engage":
            self.guard.engage(what)
        elif kind == "trip":
            self.guard.trip(what)
        elif kind == "current":
            self.robot.joints["current_a"] = frozen_array([what, 0.0, 0.5])
        elif kind == "temperature":
            self.robot.joints["temperature_c"] = frozen_array([what, 30.0, np.nan])
        elif kind == "deaf":
            self.robot.deaf = bool(what)
        elif kind == "wait":
            for _ in range(what):
                self.clock.wait()
        else:
            target = Command(frozen_array((0.0, 0.0, 0.0) if what is None else what))
            for _ in range(2 if kind == "twice" else 1):
                state = self.guard.read()
                applied = self.guard.idle() if kind == "idle" else self.guard.write(target)
                self.keep(BusTick(H, state, target, applied))
            self.clock.wait()

    def keep(self, tick: BusTick) -> None:
        self.rows.append(np.frombuffer(b"".join(pack_tick(tick)), DTYPE[3]).copy()[0])


def rerun(rows: list[np.void], config: GuardConfig = CONFIG) -> tuple[Rerun, list[Difference]]:
    chain = Rerun(Emitter(InstantRobot(3).joint_names, config, H, ramp_ticks=RAMP, pulse_rad=0.0015, fingers=None))
    return chain, [found for row in rows if (found := chain.tick(bus_tick_of(row))) is not None]


@given(st.lists(acts, max_size=40), st.integers(0, 20))
def test_whatever_happened_every_emission_is_found_again_and_from_any_beginning_on(done, start):
    session = Session()
    session.guard.engage()
    for kind, what in done:
        try:
            session.do(kind, what)
        except RobotError:
            # It is held for a person, or has no torque.
            continue
    chain, differences = rerun(session.rows)
    assert differences == []
    assert chain.repeated + chain.skipped == len(session.rows)
    assert chain.skipped == sum(Note.SKIPPED in Note(int(row["notes"])) for row in session.rows)
    # A log whose beginning is lost is taken up where something begins.
    assert rerun(session.rows[start:])[1] == []


@pytest.mark.parametrize(
    "narrower",
    [
        {"velocity_max_rad_s": 3.9},
        {"position_max_rad": 0.29},
        {"acceleration_max_rad_s2": 190.0},
        {"low_pass_hz": 19.0},
        {"current_max_a": 0.9},
        {"interpolate": False},
    ],
)
def test_another_limit_is_seen(narrower):
    session = Session()
    session.guard.engage()
    session.do("current", 1.2)
    for tick in range(60):
        session.do("write", (0.3 if tick % 20 < 10 else -0.9, 0.1, -0.2))
    assert rerun(session.rows)[1] == []
    found = rerun(session.rows, GuardConfig(**(CONFIG.model_dump() | narrower)))[1]
    assert found
    assert all(difference.largest_rad > 0.0 or difference.recorded != difference.found for difference in found)


def test_one_changed_bit_and_one_changed_reason_are_seen():
    session = Session()
    session.guard.engage()
    for _ in range(5):
        session.do("write", (0.3, 0.1, -0.2))
    changed = [row.copy() for row in session.rows]
    changed[2]["emission_rad"][1] = np.nextafter(changed[2]["emission_rad"][1], 9.0)
    changed[4]["filter_mask"] ^= int(Reason.BOX)
    differences = rerun(changed)[1]
    assert [difference.stamp_s for difference in differences] == [changed[2]["stamp_s"], changed[4]["stamp_s"]]
    assert 0.0 < differences[0].largest_rad < 1e-15
    assert differences[1].recorded == differences[1].found ^ Reason.BOX


def test_the_heat_of_before_is_taken_from_the_record_and_found_again_from_there():
    session = Session()
    session.guard.engage()
    session.do("current", 3.0)
    for _ in range(60):
        session.do("write", (0.0, 0.0, 0.0))
    session.do("trip", Cause.ASKED)
    session.do("idle", None)
    session.do("engage", Mode.ACTIVE)
    first = len(session.rows)
    for _ in range(30):
        session.do("write", (0.5, 0.5, 0.5))
    assert any(Reason.DERATED in Reason(int(row["filter_mask"])) for row in session.rows[first:])
    assert rerun(session.rows[first:])[1] == []


def test_a_log_may_begin_with_warm_motors_that_were_only_armed():
    session = Session(Torque())
    session.guard.arm()
    session.guard.engage()
    session.do("current", 3.0)
    for _ in range(30):
        session.do("write", (0.0, 0.0, 0.0))
    session.guard.cut()
    session.guard.arm()
    first = len(session.rows)
    for _ in range(5):
        session.do("idle", None)
    assert Note(int(session.rows[first]["notes"])) == Note.BEGUN_WIDE | Note.IDLE
    chain, differences = rerun(session.rows[first:])
    assert (chain.repeated, differences) == (5, [])


def test_forged_heat_is_seen_once_the_heat_is_known():
    session = Session()
    session.guard.engage()
    session.do("current", 1.0)
    for _ in range(9):
        session.do("write", (0.0, 0.0, 0.0))
    session.do("engage", Mode.ACTIVE)
    session.do("write", (0.0, 0.0, 0.0))
    # At a beginning it is taken as recorded, and so it is one that never happened; from then on it is found.
    for forged, seen in ((0, [1, 2, 3, 4, 5, 6, 7, 8]), (4, [4]), (9, [])):
        rows = [row.copy() for row in session.rows]
        rows[forged]["heating_a2"][0] += 0.5
        differences = rerun(rows)[1]
        assert [difference.stamp_s for difference in differences] == [rows[place]["stamp_s"] for place in seen]
        assert all(difference.warmer and difference.largest_rad == 0.0 for difference in differences)


def test_a_robot_that_was_put_elsewhere_has_not_jumped_and_one_that_moved_so_has():
    session = Session()
    wide = GuardConfig(**(CONFIG.model_dump() | {"position_min_rad": -1.5, "rest_rad": None}))
    for noted in (True, False):
        session.rows.clear()
        session.robot._position = session.robot._target = frozen_array([-1.0, 0.0, 0.0])
        session.guard.engage()
        session.do("write", (-1.0, 0.0, 0.0))
        session.robot._position = session.robot._target = frozen_array([1.0, 0.0, 0.0])
        session.guard.engage()
        session.do("write", (1.0, 0.0, 0.0))
        rows = [row.copy() for row in session.rows]
        rows[0]["position_rad"][0] -= 1.3
        if not noted:
            rows[1]["notes"] ^= int(Note.WATCHED_ANEW)
        differences = rerun(rows, wide)[1]
        assert (Cause.JUMPED in [difference.unseen for difference in differences[1:]]) is not noted


def test_what_the_motion_process_adds_to_an_old_command_is_not_the_chains():
    session = Session()
    session.guard.engage()
    session.do("write", (0.3, 0.1, -0.2))
    session.do("idle", None)
    session.rows[1]["filter_mask"] |= int(Reason.ENVELOPE | Reason.HOLD)
    assert rerun(session.rows)[1] == []


def test_a_robot_without_a_guard_has_nothing_to_find():
    session = Session()
    state = session.robot.read()
    session.keep(BusTick(H, state, Command(state.joints.position_rad), Command(state.joints.position_rad)))
    chain, differences = rerun(session.rows)
    assert (chain.repeated, chain.skipped, differences) == (0, 1, [])
    chain.tick(BusTick(H, state, Command(state.joints.position_rad), Command(state.joints.position_rad)))
    assert chain.skipped == 2


def test_fingers_that_were_kept_apart_are_so_again():
    names = [f"joint_{joint}" for joint in range(9)]
    config = GuardConfig(
        position_min_rad=dict(zip(names, LOWEST.tolist(), strict=True)),
        position_max_rad=dict(zip(names, HIGHEST.tolist(), strict=True)),
        velocity_max_rad_s=4.0,
        acceleration_max_rad_s2=200.0,
        collision_margin_m=MARGIN_M,
    )
    robot = InstantRobot(9)
    clock = InstantClock(robot, H)
    guard = GuardedRobot(robot, config, H, now_s=clock.now_s, ramp_ticks=5, fingers=FINGERS)
    guard.engage()
    chain = Rerun(Emitter(names, config, H, ramp_ticks=5, pulse_rad=None, fingers=FINGERS))
    reasons = Reason.NONE
    for pose in poses(10, seed=3):
        for _ in range(60):
            state, target = guard.read(), Command(frozen_array(pose))
            applied: AppliedCommand = guard.write(target)
            reasons |= applied.reasons
            assert chain.tick(BusTick(H, state, target, applied)) is None
            clock.wait()
    assert Reason.APART in reasons
    assert chain.repeated == 600


def test_motors_that_warmed_up_while_nobody_answered_are_taken_as_they_are():
    session = Session()
    session.guard.engage()
    session.do("current", 2.0)
    session.do("write", (0.1, 0.0, 0.0))
    session.robot.deaf = True
    with pytest.raises(RobotError):
        session.do("write", (0.1, 0.0, 0.0))
    session.clock.wait()
    session.robot.deaf = False
    # It brakes and holds.
    session.do("idle", None)
    session.do("idle", None)
    notes = [Note(int(row["notes"])) for row in session.rows]
    assert [Note.UNSENT in note for note in notes] == [False, True, False]
    assert rerun(session.rows)[1] == []
    # Without the note it would be a difference.
    session.rows[1]["notes"] &= ~int(Note.UNSENT) & 0xFFFFFFFF
    assert [difference.warmer for difference in rerun(session.rows)[1]] == [True, True]
