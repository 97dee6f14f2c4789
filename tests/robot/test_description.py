"""Descriptions of robots and calibrations of machines: what is wrong in them is said in one line, with key and bound."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from robot.calibration import (
    Calibration,
    load_calibration,
    nominal,
    require_same_robot,
    save_calibration,
    turns_since,
)
from robot.description import ROBOTS, RobotDescription, load_description
from robot.dynamixel.units import POSITION_RAD, PULSES_PER_TURN
from robot.errors import CalibrationError, UsageError

NAMES = sorted(path.stem for path in ROBOTS.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_each_robot_of_the_project_can_be_read_and_fits_its_motors(name: str) -> None:
    description = load_description(name)
    assert description.name == name
    assert len(set(description.ids)) == len(description.joints)
    fixed = nominal(description)
    require_same_robot(fixed, description, "it")
    for joint, calibrated in zip(description.motors, fixed.joints, strict=True):
        if description.servo.mode == "position":
            assert 0 <= calibrated.low_raw < calibrated.high_raw <= 4095
        assert joint.lower_rad <= joint.home_rad <= joint.upper_rad


def spoiled(tmp_path: Path, change: dict[str, object], joint: dict[str, object] | None = None, robot: str = "kitty") -> Path:
    values = yaml.safe_load((ROBOTS / f"{robot}.yaml").read_text())
    values.update(change)
    if joint is not None:
        values["joints"][3].update(joint)
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    ("change", "joint", "message"),
    [
        ({}, {"id": 10}, "share the id 10"),
        ({}, {"name": "front_right_hip"}, "share the name front_right_hip"),
        ({}, {"id": 253}, "joints.3.id: Input should be less than or equal to 252"),
        ({}, {"id": "20"}, "joints.3.id"),
        ({}, {"model": "XM430"}, "choose XL330-M077"),
        ({}, {"sign": 0}, "joints.3.sign"),
        ({}, {"home_rad": 4.0}, "home_rad 4.0 is outside"),
        ({}, {"lower_rad": 3.5}, "must be below upper_rad"),
        ({}, {"zero_raw": 4000}, "beyond the one turn of 0 to 4095"),
        ({}, {"zeroraw": 1}, "zeroraw"),
        ({"bus": {"baud": 9601}}, None, "choose 9600, 57600"),
        ({"servo": {"watchdog_s": 10.0}}, None, "servo.watchdog_s"),
        ({"joints": []}, None, "joints"),
        ({"bus": {"baud": 4_500_000}}, {"model": "XL330-M288"}, "goes up to 4000000 baud"),
    ],
)
def test_a_wrong_description_is_refused_with_key_and_bound(
    tmp_path: Path, change: dict[str, object], joint: dict[str, object] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_description(spoiled(tmp_path, change, joint))
    assert "\n" not in str(caught.value)


CAPSULE = {"link": "side", "from_m": 0.0, "to_m": 0.05, "radius_m": 0.02}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"azimuth_rad": [0.0, 3.1]},
            "names 2 fingers of 3 joints each, and there are 9 joints: describe all of them, or leave fingers out",
        ),
        ({"base_radius_m": 0.0}, "fingers.base_radius_m"),
        ({"capsules": []}, "fingers.capsules"),
        ({"capsules": [CAPSULE | {"link": "palm"}]}, "'side', 'middle' or 'tip'"),
        ({"capsules": [CAPSULE | {"to_m": 0.0}]}, "from_m 0.0 must be below to_m 0.0"),
        ({"capsules": [CAPSULE | {"radius_m": -0.01}]}, "radius_m"),
    ],
)
def test_wrong_fingers_are_refused_with_key_and_bound(tmp_path: Path, change: dict[str, object], message: str) -> None:
    fingers = yaml.safe_load((ROBOTS / "claw.yaml").read_text())["fingers"]
    with pytest.raises(UsageError, match=message) as caught:
        load_description(spoiled(tmp_path, {"fingers": fingers | change}, robot="claw"))
    assert "\n" not in str(caught.value)


def test_a_description_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kitty"):
        load_description("dog")
    broken = tmp_path / "x.yaml"
    broken.write_text("joints: [")
    with pytest.raises(UsageError, match="cannot be read"):
        load_description(broken)


def test_a_calibration_comes_back_as_it_was_written(tmp_path: Path) -> None:
    fixed = nominal(load_description("kitty"))
    path = tmp_path / "deep" / "kitty.yaml"
    save_calibration(path, fixed)
    assert load_calibration(path) == fixed


def test_a_calibration_of_another_robot_or_other_motors_is_refused() -> None:
    kitty, claw = load_description("kitty"), load_description("claw")
    with pytest.raises(CalibrationError, match="is of a claw, not of a kitty"):
        require_same_robot(nominal(claw), kitty, "a.yaml")
    moved = nominal(kitty)
    changed = moved.model_copy(update={"joints": (moved.joints[0].model_copy(update={"id": 9}), *moved.joints[1:])})
    with pytest.raises(CalibrationError, match=r"front_right_abduction \(id 9"):
        require_same_robot(changed, kitty, "a.yaml")
    with pytest.raises(CalibrationError, match="has no motor where"):
        require_same_robot(moved.model_copy(update={"joints": moved.joints[:-1]}), kitty, "a.yaml")


@pytest.mark.parametrize(("text", "message"), [("", "an object"), ("robot: kitty\njoints: 3\n", "joints"), ("a: [", "cannot be read")])
def test_a_damaged_calibration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=message):
        load_calibration(path)
    with pytest.raises(CalibrationError, match="fetlock calibrate"):
        load_calibration(tmp_path / "none.yaml")


def narrow(lower: float = -1.0, upper: float = 1.0) -> RobotDescription:
    joint = {
        "name": "joint", "id": 1, "model": "XM430-W210", "lower_rad": lower, "upper_rad": upper, "home_rad": 0.0, "rest_rad": 0.0,
    }  # fmt: skip
    return RobotDescription.model_validate({"name": "arm", "servo": {"mode": "extended_position"}, "joints": [joint]})


@given(angle=st.floats(-0.99, 0.99), turns=st.integers(-3, 3), sign=st.sampled_from([1, -1]))
def test_turns_that_a_motor_forgot_are_found_from_its_range(angle: float, turns: int, sign: int) -> None:
    description = narrow()
    fixed = nominal(description).joints[0].model_copy(update={"sign": sign})
    raw = fixed.zero_raw + sign * round(angle / POSITION_RAD) + turns * PULSES_PER_TURN
    assert turns_since(description.joints[0], fixed, raw, multi_turn=True) == turns
    if turns:
        with pytest.raises(CalibrationError, match=r"outside of -1\.0 to 1\.0 rad"):
            turns_since(description.joints[0], fixed, raw, multi_turn=False)


def test_a_range_wider_than_a_turn_is_taken_as_it_stands_and_doubted_outside() -> None:
    description = narrow(-4.0, 4.0)
    fixed: Calibration = nominal(description)
    inside = fixed.joints[0].zero_raw + round(3.9 / POSITION_RAD)
    assert turns_since(description.joints[0], fixed.joints[0], inside, multi_turn=True) == 0
    with pytest.raises(CalibrationError, match="turns off"):
        turns_since(description.joints[0], fixed.joints[0], inside + 2 * PULSES_PER_TURN, multi_turn=True)
