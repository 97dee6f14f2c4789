"""Where a robot's joints are on its motors: one file for each machine, made by `fetlock calibrate`, checked at every connection."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from robot.description import JointDescription, RobotDescription
from robot.dynamixel.units import POSITION_RAD, PULSES_PER_TURN, JointMap
from robot.errors import CalibrationError
from robot.files import write_atomically

# A joint may stand this far outside of its range before its calibration is doubted, rad: play of gears and a foot that is pressed down.
MARGIN_RAD = 0.1


class JointCalibration(BaseModel):
    """Of one joint. Registers are natural: drive mode and homing offset of every motor are 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    id: int = Field(ge=0, le=252)
    model: str
    sign: Literal[1, -1]
    # Register value at a joint angle of 0.
    zero_raw: int = Field(ge=-(2**20), le=2**20)
    # How far the joint was moved by hand, raw; both within the range that the description allows, give or take the margin.
    low_raw: int
    high_raw: int

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low_raw < self.high_raw:
            raise ValueError(f"joint {self.name}: low_raw {self.low_raw} must be below high_raw {self.high_raw}")
        return self


class Calibration(BaseModel):
    """Of one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    robot: str
    joints: tuple[JointCalibration, ...]

    def joint_map(self, turns: tuple[int, ...] | None = None) -> JointMap:
        """Return angles to registers and back.

        Args:
            turns: Whole turns by which each register is off since the motors were started; by default none.
        """
        turns = turns or (0,) * len(self.joints)
        return JointMap(
            [joint.sign for joint in self.joints],
            [joint.zero_raw + turn * PULSES_PER_TURN for joint, turn in zip(self.joints, turns, strict=True)],
        )


def nominal(description: RobotDescription) -> Calibration:
    """Return the calibration of a machine that is built exactly as described, such as an emulated one."""
    return Calibration(robot=description.name, joints=tuple(_nominal(joint) for joint in description.motors))


def _nominal(joint: JointDescription) -> JointCalibration:
    ends = [joint.zero_raw + joint.sign * round(angle / POSITION_RAD) for angle in (joint.lower_rad, joint.upper_rad)]
    return JointCalibration(
        name=joint.name,
        id=joint.id,
        model=joint.model,
        sign=joint.sign,
        zero_raw=joint.zero_raw,
        low_raw=min(ends),
        high_raw=max(ends),
    )


def require_same_robot(calibration: Calibration, description: RobotDescription, source: str) -> None:
    """Check that a calibration is of this robot.

    Raises:
        CalibrationError: If it is of another robot, or motors have changed since.
    """
    if calibration.robot != description.name:
        raise CalibrationError(
            f"{source} is of a {calibration.robot}, not of a {description.name}: calibrate this robot with `fetlock calibrate`"
        )
    ours = [f"{joint.name} (id {joint.id}, {joint.model})" for joint in description.motors]
    theirs = [f"{joint.name} (id {joint.id}, {joint.model})" for joint in calibration.joints]
    if ours != theirs:
        there, here = next(pair for pair in zip_longest(theirs, ours, fillvalue="no motor") if pair[0] != pair[1])
        raise CalibrationError(f"{source} has {there} where the description has {here}: calibrate again with `fetlock calibrate`")


def turns_since(joint: JointDescription, calibration: JointCalibration, position_raw: int, *, multi_turn: bool) -> int:
    """Return by how many whole turns a register is off: a motor forgets its turns without power (e-manual, Present Position).

    Args:
        joint: Its range.
        calibration: Its zero and sign.
        position_raw: Register 132 now.
        multi_turn: The motor counts turns; one that does not is never off.

    Raises:
        CalibrationError: If no turn, or more than one, puts the joint into its range.
    """
    angle = calibration.sign * (position_raw - calibration.zero_raw) * POSITION_RAD
    turn_rad = calibration.sign * PULSES_PER_TURN * POSITION_RAD
    fitting = [
        turns
        for turns in (range(-3, 4) if multi_turn else (0,))
        if joint.lower_rad - MARGIN_RAD <= angle - turns * turn_rad <= joint.upper_rad + MARGIN_RAD
    ]
    if not fitting:
        raise CalibrationError(
            f"joint {joint.name} (motor {joint.id}) stands at {angle:.3f} rad by its calibration, outside of {joint.lower_rad} to "
            f"{joint.upper_rad} rad: its horn was mounted anew or the file is of another machine; move it into its range by hand or "
            "calibrate again with `fetlock calibrate`"
        )
    if len(fitting) > 1 and 0 not in fitting:
        raise CalibrationError(
            f"joint {joint.name} (motor {joint.id}) may be {' or '.join(map(str, fitting))} turns off, for its range is wider than a turn: "
            "move it near its middle by hand and connect again"
        )
    return 0 if 0 in fitting else fitting[0]


def load_calibration(path: Path) -> Calibration:
    """Read a file.

    Raises:
        CalibrationError: If it is missing or not right: one line with the key and the bound.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Calibration.model_validate_json(json.dumps(values), strict=True)
    except FileNotFoundError:
        raise CalibrationError(f"there is no calibration {path}: make one with `fetlock calibrate`") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise CalibrationError(f"{path} cannot be read as a calibration: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CalibrationError(f"{path}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}") from error


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Write a file; an older one is replaced as a whole or not at all."""
    text = yaml.safe_dump(calibration.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
