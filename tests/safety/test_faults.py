"""Laws of faults: the newest ticks before a stop, oldest first."""

from __future__ import annotations

import numpy as np
import pytest

from robot import Command, JointState, RobotState, frozen_array
from robot.errors import BusError, CameraError, MotorError, PortLostError, StaleError
from safety.faults import TICKS_KEPT, FaultBook, HeldError, cause_of
from safety.modes import ModeState
from safety.types import AppliedCommand, Cause, Mode, Reason


def tick(book: FaultBook, number: int, command: Command | None) -> None:
    position = frozen_array([number])
    state = RobotState(JointState(float(number), position, position, position))
    book.add(state, AppliedCommand(frozen_array([number + 0.5]), Reason.RATE, Mode.TELEOP), command)


@pytest.mark.parametrize("ticks", [0, 1, TICKS_KEPT, TICKS_KEPT + 7])
def test_a_fault_has_the_newest_ticks_oldest_first(ticks):
    book = FaultBook(["a"])
    assert book.newest is None
    for number in range(ticks):
        tick(book, number, Command(frozen_array([number + 0.25])))
    book.note(ModeState(Mode.HOLD, Cause.DISK, 1.0), 2.5)
    fault = book.newest
    assert fault is not None
    kept = range(max(0, ticks - TICKS_KEPT), ticks)
    assert [record.stamp_s for record in fault.records] == list(kept)
    for number, record in zip(kept, fault.records, strict=True):
        np.testing.assert_array_equal(record.position_rad, [number])
        np.testing.assert_array_equal(record.command_rad, [number + 0.25])
        np.testing.assert_array_equal(record.emission_rad, [number + 0.5])
        assert (record.reasons, record.mode) == (Reason.RATE, Mode.TELEOP)
    assert (fault.stamp_s, fault.mode, fault.causes, fault.joint_names) == (2.5, Mode.HOLD, Cause.DISK, ("a",))
    assert str(fault).startswith("HOLD at 2.500 s, because the log cannot be written: the disk is full")
    assert str(fault).endswith(f"; {min(ticks, TICKS_KEPT)} ticks before are kept")


def test_a_tick_without_a_command_says_so():
    book = FaultBook(["a"])
    tick(book, 1, None)
    book.note(ModeState(), 0.0)
    assert book.newest is not None
    assert book.newest.records[0].command_rad is None


def test_what_a_robot_says_is_a_cause_and_that_a_guard_holds_it_is_none():
    causes = {PortLostError: Cause.PORT, MotorError: Cause.REBOOTED, StaleError: Cause.BUS, BusError: Cause.BUS, HeldError: Cause.NONE}
    causes[CameraError] = Cause.CAMERA
    assert {kind: cause_of(kind("no")) for kind in causes} == causes


def test_whoever_is_refused_is_told_why_and_by_which_fault():
    book = FaultBook(["a"])
    book.note(ModeState(), 0.0)
    error = HeldError("the robot is in HOLD", book.newest)
    assert (str(error), error.fault) == ("the robot is in HOLD", book.newest)
    assert HeldError("no").fault is None
