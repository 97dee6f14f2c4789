"""Control tables against the vendor's own files and the manual; units as exact inverses."""

from __future__ import annotations

import math
from pathlib import Path

import dynamixel_easy_sdk
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.dynamixel.tables import ControlTable, Register, control_table, goal_bounds, hardware_errors, models
from robot.dynamixel.units import POSITION_RAD, VELOCITY_RAD_S, JointMap, unit
from robot.errors import CommandError, UsageError

VENDOR = Path(dynamixel_easy_sdk.__file__).parent / "control_table"
FIRMWARES = (46, 52, 53)
TABLES = [(model, firmware) for model in models() for firmware in FIRMWARES]


def vendor_registers(model: str, firmware: int) -> dict[tuple[int, int], str]:
    """(address, size) to name in the vendor's file of a model, without indirect addresses."""
    stem = model.lower().replace("-", "_")
    file = VENDOR / f"{stem}_fw52.model"
    if firmware > 52 or not file.exists():
        file = VENDOR / f"{stem}.model"
    lines = file.read_text().split("[control table]")[1].strip().splitlines()[1:]
    rows = [line.split("\t") for line in lines if line.strip()]
    return {(int(address), int(size)): name for address, size, name in rows if "Indirect" not in name}


def snake(name: str) -> str:
    return {"Secondary(Shadow) ID": "secondary_id"}.get(name, name.lower().replace(" ", "_"))


@pytest.mark.parametrize(("model", "firmware"), TABLES)
def test_addresses_and_sizes_are_the_vendors(model: str, firmware: int) -> None:
    table = control_table(model, firmware)
    ours = {(register.address, register.size): register.name for register in table.registers.values()}
    try:
        theirs = vendor_registers(model, firmware)
    except FileNotFoundError:
        pytest.skip(f"the vendor ships no file for {model}")
    for place, name in theirs.items():
        assert ours.get(place) == snake(name), (place, name)


@pytest.mark.parametrize(("model", "firmware"), TABLES)
def test_indirect_banks_are_the_vendors(model: str, firmware: int) -> None:
    stem = model.lower().replace("-", "_")
    file = VENDOR / (f"{stem}_fw52.model" if firmware <= 52 and (VENDOR / f"{stem}_fw52.model").exists() else f"{stem}.model")
    if not file.exists():
        pytest.skip(f"the vendor ships no file for {model}")
    rows = dict(line.split("\t")[::-2] for line in file.read_text().splitlines() if "\tIndirect" in line)
    bank = control_table(model, firmware).indirect[0]
    assert (bank.address, bank.data) == (int(rows["Indirect Address 1"]), int(rows["Indirect Data 1"]))


@pytest.mark.parametrize(("model", "firmware"), TABLES)
def test_registers_do_not_overlap_and_hold_their_initial_values(model: str, firmware: int) -> None:
    table = control_table(model, firmware)
    end = 0
    for register in table.registers.values():
        assert register.address >= end
        end = register.address + register.size
        if register.initial is not None:
            assert register.decode(register.initial.to_bytes(register.size, "little", signed=register.signed)) == register.initial
            assert register.minimum <= register.initial <= register.maximum
    assert all(bank.address >= end or bank.data >= end for bank in table.indirect)


def edges(register: Register) -> list[int]:
    middle = (register.minimum + register.maximum) // 2
    return sorted({register.minimum, min(register.minimum + 1, register.maximum), middle, register.maximum})


@pytest.mark.parametrize("model", models())
def test_every_register_reads_back_what_it_encodes_and_refuses_the_rest(model: str) -> None:
    for register in control_table(model, 53).registers.values():
        for raw in edges(register):
            assert register.decode(register.encode(raw)) == raw
        for raw in (register.minimum - 1, register.maximum + 1):
            with pytest.raises(UsageError, match=register.name):
                register.encode(raw)


@pytest.mark.parametrize("model", models())
def test_state_and_health_are_at_the_same_place_in_all_tables(model: str) -> None:
    table = control_table(model, 53)
    assert table.span(("realtime_tick", "present_position")) == (120, 16)
    assert table.span(("present_current", "present_position")) == (126, 10)
    assert table.span(("present_input_voltage", "present_temperature")) == (144, 3)


def test_currents_have_the_unit_of_their_model() -> None:
    assert control_table("XM430-W210", 53)["goal_current"].unit.from_raw(1) == pytest.approx(2.69e-3)
    assert control_table("XL330-M288", 53)["goal_current"].unit.from_raw(1) == pytest.approx(1e-3)
    assert control_table("XC330-T288", 53).measures_supply_current
    assert not control_table("XL330-M288", 53).measures_supply_current


@pytest.mark.parametrize(
    ("model", "firmware", "message"), [("XM431", 45, "choose XL330-M077"), (1, 45, "choose"), ("XM430-W210", 41, "42 or newer")]
)
def test_unknown_models_and_old_firmware_are_refused(model: str | int, firmware: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        control_table(model, firmware)


def test_a_register_that_the_model_lacks_is_refused_with_the_names() -> None:
    table: ControlTable = control_table("XM430-W210", 45)
    with pytest.raises(UsageError, match="goal_position"):
        table["goal_pos"]


def test_goals_are_bounded_by_limits_and_mode() -> None:
    values = {
        "operating_mode": 3,
        "min_position_limit": 100,
        "max_position_limit": 3000,
        "pwm_limit": 500,
        "current_limit": 7,
        "velocity_limit": 9,
    }
    assert goal_bounds("goal_position", values) == (100, 3000)
    assert goal_bounds("goal_position", values | {"operating_mode": 4}) == (-1_048_575, 1_048_575)
    assert goal_bounds("goal_velocity", values) == (-9, 9)
    assert goal_bounds("goal_current", values) == (-7, 7)
    assert goal_bounds("goal_pwm", values) == (-500, 500)


def test_hardware_errors_are_named() -> None:
    assert hardware_errors(0) == []
    assert hardware_errors(0b100101) == ["input voltage", "overheating", "overload"]
    assert hardware_errors(0b10) == ["bit 1"]


UNITS = [
    "none",
    "position",
    "velocity",
    "acceleration",
    "current",
    "pwm",
    "decivolt",
    "celsius",
    "watchdog_20ms",
    "delay_2us",
    "millisecond",
]


@given(name=st.sampled_from(UNITS), current=st.sampled_from([1.0, 2.69]), raw=st.integers(-(2**31) + 1, 2**31 - 1))
def test_units_are_exact_inverses_on_every_raw_value(name: str, current: float, raw: int) -> None:
    scale = unit(name, current)
    assert scale.to_raw(scale.from_raw(raw)) == raw


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_values_without_a_place_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match="no place"):
        unit("position", 1.0).to_raw(value)
    with pytest.raises(CommandError, match="nothing was sent"):
        JointMap([1], [2048]).to_raw(np.array([value]))


@given(
    raws=st.lists(st.integers(-(2**28), 2**28), min_size=1, max_size=12),
    zero=st.integers(-(2**20), 2**20),
    sign=st.sampled_from([1, -1]),
)
def test_joint_maps_are_exact_inverses(raws: list[int], zero: int, sign: int) -> None:
    mapping = JointMap([sign] * len(raws), [zero] * len(raws))
    raw = np.array(raws)
    np.testing.assert_array_equal(mapping.to_raw(mapping.position_rad(raw)), raw)


def test_a_joint_map_turns_with_its_sign() -> None:
    mapping = JointMap([1, -1], [2048, 1024])
    np.testing.assert_array_equal(mapping.to_raw(np.array([POSITION_RAD, POSITION_RAD])), [2049, 1023])
    np.testing.assert_allclose(mapping.velocity_rad_s(np.array([10, 10])), [10 * VELOCITY_RAD_S, -10 * VELOCITY_RAD_S])
    np.testing.assert_array_equal(mapping.signed(np.array([1.0, 1.0])), [1.0, -1.0])
    with pytest.raises(UsageError, match="sign"):
        JointMap([1, 0], [0, 0])
