"""What a robot is made of: one file in `configs/robots/` drives simulation, emulation and hardware."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from robot.dynamixel.tables import BAUD_RATES, OperatingMode, control_table, models
from robot.dynamixel.units import CENTRE_RAW, POSITION_RAD, PULSES_PER_TURN, PWM_FULL_RAW, JointMap
from robot.errors import UsageError
from robot.fingers import PER_FINGER, FingersDescription

ROBOTS = Path(__file__).resolve().parent.parent / "configs" / "robots"
# Newest firmware whose tables are known here; used where only the description is at hand.
NEWEST_FIRMWARE = 255

# An object is turned this slowly, rad/s: a fifth of the no-load speed of an XM430-W210 at 12 V, and half a turn in 2 s.
OBJECT_RAD_S = 1.6

Gain = Annotated[int, Field(ge=0, le=16383)]


class JointDescription(BaseModel):
    """One joint and the motor on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[a-z][a-z0-9_]*$")
    # On the bus.
    id: int = Field(ge=0, le=252)
    model: str
    # 1, or -1 where the register counts against the joint's direction.
    sign: Literal[1, -1] = 1
    # Register value at a joint angle of 0, before calibration.
    zero_raw: int = Field(default=CENTRE_RAW, ge=-(2**20), le=2**20)
    # What the mechanics allow, rad.
    lower_rad: float = Field(ge=-12.0, le=12.0)
    upper_rad: float = Field(ge=-12.0, le=12.0)
    home_rad: float
    rest_rad: float

    def require_reach(self, angle_rad: float) -> None:
        """Raise UsageError if the mechanics do not allow an angle, rad."""
        if not self.lower_rad <= angle_rad <= self.upper_rad:
            raise UsageError(f"{self.name} cannot be turned to {angle_rad:g} rad: it reaches {self.lower_rad:g} to {self.upper_rad:g}")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.model not in models():
            raise ValueError(f"joint {self.name}: the servo model {self.model!r} is not known: choose {', '.join(models())}")
        if not self.lower_rad < self.upper_rad:
            raise ValueError(f"joint {self.name}: lower_rad {self.lower_rad} must be below upper_rad {self.upper_rad}")
        for key, value in (("home_rad", self.home_rad), ("rest_rad", self.rest_rad)):
            if not self.lower_rad <= value <= self.upper_rad:
                raise ValueError(f"joint {self.name}: {key} {value} is outside of {self.lower_rad} to {self.upper_rad} rad")
        return self


class ServoSettings(BaseModel):
    """What is written to every motor at provisioning, in the registers' own units."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # position keeps to one turn and to the limits in the motor; extended_position counts turns and has no limits of its own.
    mode: Literal["position", "extended_position"] = "position"
    position_p_gain: Gain = 800
    position_i_gain: Gain = 0
    position_d_gain: Gain = 0
    pwm_limit: int = Field(default=PWM_FULL_RAW, ge=1, le=PWM_FULL_RAW)
    # Bits of the hardware errors that switch the torque off: 0x34 is the factory's (electrical shock, overload, overheating).
    shutdown: int = Field(default=0x34, ge=0, le=255)
    # The motors stop by themselves after this long without a frame, s; a multiple of 20 ms.
    watchdog_s: float = Field(default=0.1, ge=0.02, le=2.54)

    @property
    def operating_mode(self) -> int:
        """Value of register 11."""
        return OperatingMode.POSITION if self.mode == "position" else OperatingMode.EXTENDED_POSITION


class BusSettings(BaseModel):
    """How the motors are wired."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    baud: int = 1_000_000
    # V: what the battery or supply gives the motors.
    supply_v: float = Field(default=12.0, ge=3.5, le=24.0)

    @model_validator(mode="after")
    def _known_baud(self) -> Self:
        if self.baud not in BAUD_RATES:
            raise ValueError(f"baud {self.baud} is none of the motors' rates: choose {', '.join(map(str, BAUD_RATES))}")
        return self


class RobotDescription(BaseModel):
    """A robot: its joints in the order of every (n,) array, its bus, its servo settings."""

    # Strings of digits are not numbers and 1.5 is no id: YAML is taken as it is.
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, pattern=r"^[a-z][a-z0-9_]*$")
    bus: BusSettings = BusSettings()
    servo: ServoSettings = ServoSettings()
    joints: tuple[JointDescription, ...] = Field(min_length=1, max_length=60)
    # Motors on the bus that no policy commands, such as the one that measures the claw's valve, and turns it in a reset routine: torque is
    # off at any other time.
    auxiliary: tuple[JointDescription, ...] = ()
    # Of a claw, so that its fingers can be kept apart.
    fingers: FingersDescription | None = None

    @property
    def motors(self) -> tuple[JointDescription, ...]:
        """All motors on the bus: those of the joints first."""
        return self.joints + self.auxiliary

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for key in ("id", "name"):
            values = [getattr(joint, key) for joint in self.motors]
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"joints share the {key} {', '.join(map(str, twice))}: each has its own")
        return self

    @model_validator(mode="after")
    def _fingers_have_joints(self) -> Self:
        if self.fingers is not None and len(self.joints) != PER_FINGER * len(self.fingers.azimuth_rad):
            raise ValueError(
                f"fingers.azimuth_rad names {len(self.fingers.azimuth_rad)} fingers of {PER_FINGER} joints each, and there are "
                f"{len(self.joints)} joints: describe all of them, or leave fingers out"
            )
        return self

    @model_validator(mode="after")
    def _within_one_turn(self) -> Self:
        for joint in self.motors:
            ends = [joint.zero_raw + joint.sign * angle / POSITION_RAD for angle in _ends(joint)]
            if self.servo.mode == "position" and not (min(ends) >= 0 and max(ends) <= PULSES_PER_TURN - 1):
                raise ValueError(
                    f"joint {joint.name}: {joint.lower_rad} to {joint.upper_rad} rad is {min(ends):.0f} to {max(ends):.0f} pulses, "
                    f"beyond the one turn of 0 to {PULSES_PER_TURN - 1} of mode position: use mode extended_position or another zero_raw"
                )
        return self

    @model_validator(mode="after")
    def _baud_fits_models(self) -> Self:
        for joint in self.motors:
            fastest = BAUD_RATES[control_table(joint.model, NEWEST_FIRMWARE)["baud_rate"].maximum]
            if self.bus.baud > fastest:
                raise ValueError(f"joint {joint.name}: a {joint.model} goes up to {fastest} baud, the bus is set to {self.bus.baud}")
        return self

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joints."""
        return tuple(joint.name for joint in self.joints)

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """Ids of the motors."""
        return tuple(joint.id for joint in self.joints)

    @cached_property
    def joint_map(self) -> JointMap:
        """Angles to registers and back, before calibration."""
        return JointMap([joint.sign for joint in self.joints], [joint.zero_raw for joint in self.joints])


def _ends(joint: JointDescription) -> tuple[float, float]:
    return joint.lower_rad, joint.upper_rad


def load_description(name: str | Path) -> RobotDescription:
    """Read a description by its name in `configs/robots/`, or from a file.

    Raises:
        UsageError: If there is none, or it is not right: one line with the file, the key and the bound.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = ROBOTS / f"{name}.yaml"
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return RobotDescription.model_validate_json(json.dumps(values), strict=True)
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in ROBOTS.glob("*.yaml")))
        raise UsageError(f"there is no robot description {path}: choose {known}, or give a .yaml file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise UsageError(f"{path} cannot be read as a robot description: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{path}: {where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}") from error
