"""Laws of the data: frozen, and numbers that are written to logs and shared memory keep their meaning."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from safety import arena, arming, faults, filters, limits, modes, monitor, rejections, stop_records
from safety.modes import Ask, Inputs, ModeState, Stop
from safety.motion_records import ABOUT, STATUS, Outcome, Request, command_dtype, tick_dtype
from safety.stop_records import StopLevel
from safety.tick_records import Has
from safety.types import INTERVENTIONS, MOVING, STOPPED, AppliedCommand, Cause, Mode, Note, Reason

MODULES = [importlib.import_module(f"safety.{path.stem}") for path in sorted(Path(arming.__file__).parent.glob("[a-z]*.py"))]
DATA = sorted({c for m in MODULES for c in vars(m).values() if dataclasses.is_dataclass(c) and c.__module__ == m.__name__}, key=str)


@pytest.mark.parametrize("data", DATA, ids=lambda data: data.__name__)
def test_data_are_frozen_and_take_no_other_attributes(data):
    assert data.__dataclass_params__.frozen
    assert "__slots__" in vars(data)


@pytest.mark.parametrize("model", [limits.GuardConfig, limits.CoupledConfig, arena.ArenaConfig])
def test_configurations_are_frozen_and_refuse_unknown_keys(model):
    assert model.model_config["frozen"] is True
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"unheard_of": 1.0})


def bits(flags: object) -> dict[str, int]:
    assert all(member.value == 1 << member.value.bit_length() - 1 for member in flags.__members__.values() if member.value)
    return {name: member.value.bit_length() - 1 for name, member in flags.__members__.items() if member.value}


def test_a_bit_of_a_log_never_changes_its_meaning():
    assert bits(Reason) == {
        "ENVELOPE": 0,
        "NOT_FINITE": 1,
        "COUPLED": 2,
        "LOW_PASS": 3,
        "RATE": 5,
        "BOX": 6,
        "DERATED": 7,
        "QUANTISED": 8,
        "INTERPOLATED": 9,
        "LATE": 10,
        "APART": 11,
        "HOLD": 16,
    }
    causes = (
        "ASKED REJECTED SILENT LATE BLOCKED STUCK JUMPED TILTED STALE CAMERA COLLISION BUS MOTOR REBOOTED PORT HOT BATTERY OPERATOR_GONE "
        "STOP_HOLD STOP_SETTLE STOP_CUT STOP_TERMINATE DISK MISMATCH RESET_FAILED"
    )
    assert list(bits(Cause)) == causes.split()
    assert list(bits(Cause).values()) == list(range(25))
    assert bits(Has) == {
        name: bit
        for bit, name in enumerate(("TORQUE", "CURRENT", "TEMPERATURE", "HARDWARE_ERROR", "IMU", "BASE", "OBJECT", "VOLTAGE", "ARMED"))
    }
    for flags in (Reason, Cause, Ask):
        assert flags.NONE == 0
        assert len({member.value for member in flags}) == len(flags.__members__) - 1


def test_a_number_of_a_log_never_changes_its_meaning():
    assert {mode.name: int(mode) for mode in Mode} == {
        "BOOT": 0,
        "DISARMED": 1,
        "ARMED_HOLD": 2,
        "ACTIVE": 3,
        "HOLD": 4,
        "SETTLE": 5,
        "CUT": 6,
        "TERMINATED": 7,
        "RESETTING": 8,
        "TELEOP": 9,
    }
    assert {request.name: int(request) for request in Request} == {
        "MOVE": 0,
        "ARM": 1,
        "CUT": 2,
        "RELEASE": 3,
        "CLOSE": 4,
        "ENGAGE": 5,
        "CLEAR": 6,
        "RESET": 7,
        "TRIP": 8,
    }
    assert [outcome.name for outcome in sorted(Outcome)] == ["NONE", "RUNNING", "DONE", "FAILED", "OPERATOR", "STOPPED"]
    assert [int(outcome) for outcome in sorted(Outcome)] == list(range(6))
    assert {level.name: int(level) for level in StopLevel} == {"HOLD": 1, "SETTLE": 2, "CUT": 3, "TERMINATE": 4}


def test_stops_are_ordered_by_severity():
    ascending = [Stop.NONE, Stop.HOLD, Stop.SETTLE_THEN_CUT, Stop.CUT, Stop.TERMINATE]
    assert [int(stop) for stop in ascending] == list(range(5))


def test_notes_keep_their_bits():
    assert bits(Note) == {name: bit for bit, name in enumerate(("BEGUN", "BEGUN_WIDE", "WATCHED_ANEW", "IDLE", "SKIPPED", "UNSENT"))}


def test_every_request_is_a_bit_of_its_own():
    assert bits(Ask) == {
        name: bit for bit, name in enumerate(("ARM", "DISARM", "DRIVE", "RESET", "TELEOPERATE", "RELEASE", "CLEAR", "REST"))
    }


def test_stages_that_shape_every_command_are_no_intervention():
    shaping = (Reason.LOW_PASS, Reason.INTERPOLATED, Reason.QUANTISED)
    assert Reason(sum(Reason)) & ~Reason(sum(shaping)) == INTERVENTIONS


def test_every_mode_moves_or_is_stopped_or_waits():
    assert {mode for mode in Mode if mode.moves} == MOVING == {Mode.ACTIVE, Mode.RESETTING, Mode.TELEOP}
    assert {Mode.HOLD, Mode.SETTLE, Mode.CUT, Mode.TERMINATED} == STOPPED


def test_what_a_record_does_not_say_is_the_harmless_case():
    assert ModeState() == ModeState(Mode.BOOT, Cause.NONE, 0.0)
    assert Inputs(torque=True) == Inputs(True, ready=False, raised=Cause.NONE, asks=Ask.NONE, settled=False)
    told = AppliedCommand(np.zeros(3), Reason.NONE)
    assert (told.mode, told.causes, told.notes, told.heating_a2) == (Mode.ACTIVE, Cause.NONE, Note.NONE, None)


def test_records_have_the_size_that_every_version_of_them_has():
    """Whoever changes one changes this: a client of another version must not attach."""
    assert (ABOUT.itemsize, STATUS.itemsize) == (24 + 2 * 4096, 27 + 2 * 400 + 1200)
    assert command_dtype(3).itemsize == 8 * 4 + 8 * 3 + 1
    assert tick_dtype(3).itemsize == 8 * 11 + 8 * 9 * 3 + 8 * (9 + 3 + 1 + 3 + 3 + 1 + 1 + 1 + 1 + 1) + 4 * 3 + 4 * 4 + 1


def test_the_figures_are_those_of_the_documents():
    """docs/safety.md, docs/emergency_stop.md."""
    assert modes.SETTLE_S == 5.0
    assert (rejections.IN_A_ROW, rejections.IN_A_SECOND) == (3, 5)
    assert faults.TICKS_KEPT == 50
    assert pytest.approx(0.017453, abs=1e-6) == filters.CREEP_RAD_S
    assert filters.STOP_TICKS_MAX == 500
    assert len(filters._SHARES) == 17
    assert (monitor._BATTERY_S, monitor._CURRENT_STANDSTILL) == (1.0, 1.5)
    assert (stop_records.SLOTS, stop_records.ENDPOINTS, stop_records.SOURCE_BYTES, stop_records.NAME_BYTES) == (8, 8, 60, 40)
