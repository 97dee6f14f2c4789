"""What a robot may do, as validated data: one number for all joints, or one for each by name."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from robot.errors import UsageError
from robot.types import FloatArray, frozen_array


def _finite(value: float | dict[str, float]) -> float | dict[str, float]:
    for number in value.values() if isinstance(value, dict) else (value,):
        if not math.isfinite(number):
            raise ValueError(f"limits must be finite numbers: got {number}")
    return value


def _positive(value: float | dict[str, float]) -> float | dict[str, float]:
    for number in value.values() if isinstance(value, dict) else (value,):
        if not 0.0 < number < math.inf:
            raise ValueError(f"must be positive and finite: got {number}")
    return value


# One number for all joints, or a mapping that names every joint.
PerJoint = Annotated[float | dict[str, float], AfterValidator(_finite)]
PositivePerJoint = Annotated[float | dict[str, float], AfterValidator(_positive)]


class CoupledConfig(BaseModel):
    """A bound on a weighted sum of two joints, such as the gap between the motors of a five-bar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    joints: tuple[str, str]
    weights: tuple[float, float] = (1.0, 1.0)
    min_rad: float
    max_rad: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not (self.min_rad < self.max_rad and math.isfinite(self.min_rad) and math.isfinite(self.max_rad)):
            raise ValueError(f"min_rad {self.min_rad} must be below max_rad {self.max_rad}, both finite")
        if 0.0 in self.weights or self.joints[0] == self.joints[1]:
            raise ValueError(f"two different joints with weights other than 0 are needed: got {self.joints}, {self.weights}")
        return self


class GuardConfig(BaseModel):
    """Limits of the guard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position_min_rad: PerJoint
    position_max_rad: PerJoint
    routine_position_min_rad: PerJoint | None = Field(
        default=None, description="Wider bounds for reset routines, such as standing up; null: the same."
    )
    routine_position_max_rad: PerJoint | None = None
    velocity_max_rad_s: PositivePerJoint = Field(description="Bound on the velocity of the emitted targets.")
    acceleration_max_rad_s2: PositivePerJoint = Field(description="Bound on the change of that velocity.")
    braking_rad_s2: PositivePerJoint | None = Field(
        default=None, description="What the robot can surely brake with, at most acceleration_max_rad_s2; null: the same."
    )
    coupled: tuple[CoupledConfig, ...] = ()
    interpolate: bool = Field(default=True, description="Go from one policy target to the next in a straight line; false: at once.")
    low_pass_hz: float | None = Field(default=None, gt=0.0, description="Cut-off of the first-order filter at the bus rate; null: off.")
    tracking_error_max_rad: PositivePerJoint | None = Field(
        default=None, description="A joint this far from its target for tracking_time_s is blocked: HOLD. Null: not watched."
    )
    tracking_time_s: float = Field(default=0.1, gt=0.0, le=5.0)
    # Half of the 200 ms within which a stuck encoder is to be seen, and fourteen times the play of the gears (15 arcmin, e-manual). Less
    # takes a leg that stands under its load for a fault: with 0.04 rad a kitty in simulation was stopped twice in 120 s of random actions,
    # with 0.06 never. Delayed by 40 ms, with motors of half their strength, it was stopped in 31 of 44 episodes (measured).
    encoder_still_s: float = Field(
        default=0.1, gt=0.0, le=2.0, description="An encoder still for so long while its target goes encoder_still_rad is stuck: HOLD."
    )
    encoder_still_rad: float = Field(default=0.06, gt=0.0, le=1.0, description="More for a robot with delays, or of weak motors.")
    current_max_a: PositivePerJoint | None = Field(
        default=None, description="Root mean square from which a joint is slowed, to a standstill at 1.5 times; null: not watched."
    )
    current_time_s: float = Field(default=2.0, gt=0.0, le=60.0, description="Time constant of that mean.")
    temperature_derate_c: float = Field(default=55.0, ge=20.0, le=100.0, description="From here on motors are slowed.")
    temperature_max_c: float = Field(default=70.0, ge=20.0, le=100.0, description="Here the robot settles and torque goes off.")
    temperature_arm_c: float = Field(default=50.0, ge=20.0, le=100.0, description="Hotter motors are not armed.")
    tilt_max_rad: float | None = Field(
        default=None, gt=0.0, le=math.pi, description="A policy on a base that leans further is stopped; a routine may go on. Null: never."
    )
    collision_margin_m: float | None = Field(
        default=None, gt=0.0, le=0.1, description="Fingers of a claw that come nearer to each other are stopped: HOLD. Null: not watched."
    )
    voltage_min_v: float | None = Field(default=None, gt=0.0, description="A battery below it for a second is empty: settle, torque off.")
    sensor_age_max_s: float = Field(default=0.2, gt=0.0, le=10.0, description="Older readings of IMU or tracker stop the robot.")
    camera_age_max_s: float | None = Field(default=None, gt=0.0, description="Age since the capture; null: not watched.")
    camera_frozen_s: float | None = Field(
        default=None, gt=0.0, description="Frames that stay identical for so long stop the robot; null: not watched (simulated scenes)."
    )
    rest_rad: PerJoint | None = Field(default=None, description="Pose before torque goes off; null: where it stands.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.routine_position_min_rad is None) != (self.routine_position_max_rad is None):
            raise ValueError("routine_position_min_rad and routine_position_max_rad are given together")
        _require_ordered(self, "position_min_rad", "position_max_rad", strict=True)
        if self.routine_position_min_rad is not None:
            _require_ordered(self, "routine_position_min_rad", "position_min_rad")
            _require_ordered(self, "position_max_rad", "routine_position_max_rad")
        if self.braking_rad_s2 is not None:
            _require_ordered(self, "braking_rad_s2", "acceleration_max_rad_s2")
        if self.rest_rad is not None:
            wide = "" if self.routine_position_min_rad is None else "routine_"
            _require_ordered(self, f"{wide}position_min_rad", "rest_rad")
            _require_ordered(self, "rest_rad", f"{wide}position_max_rad")
        if not self.temperature_arm_c <= self.temperature_derate_c < self.temperature_max_c:
            raise ValueError(
                f"temperatures rise from temperature_arm_c {self.temperature_arm_c} over temperature_derate_c {self.temperature_derate_c} "
                f"to temperature_max_c {self.temperature_max_c}"
            )
        return self

    def limits(self, joint_names: Sequence[str], *, routine: bool = False, pulse_rad: float | None = None) -> Limits:
        """Return the limits of a robot.

        Args:
            joint_names: Of the robot, in the order of every (n,) array.
            routine: Those of reset routines.
            pulse_rad: What one count of the motors' position registers is, rad; None: targets are not rounded.

        Raises:
            UsageError: If a limit does not name every joint of this robot, or names another.
        """

        def row(name: str, default: FloatArray | None = None) -> FloatArray:
            value = getattr(self, name)
            if value is None and default is not None:
                return default
            return _row(f"guard.{name}", value, joint_names)

        low, high = row("position_min_rad"), row("position_max_rad")
        if routine:
            low, high = row("routine_position_min_rad", low), row("routine_position_max_rad", high)
        acceleration = row("acceleration_max_rad_s2")
        never = frozen_array(np.full(len(joint_names), math.inf))
        weights, coupled_min, coupled_max = _coupled(self.coupled, joint_names)
        return Limits(
            position_min_rad=low,
            position_max_rad=high,
            velocity_max_rad_s=row("velocity_max_rad_s"),
            acceleration_max_rad_s2=acceleration,
            braking_rad_s2=row("braking_rad_s2", acceleration),
            coupled_weights=weights,
            coupled_min_rad=coupled_min,
            coupled_max_rad=coupled_max,
            low_pass_hz=math.inf if self.low_pass_hz is None else self.low_pass_hz,
            tracking_error_max_rad=row("tracking_error_max_rad", never),
            current_max_a=row("current_max_a", never),
            rest_rad=None if self.rest_rad is None else row("rest_rad"),
            pulse_rad=pulse_rad,
        )


def _numbers(value: float | dict[str, float], names: Mapping[str, object] | None) -> dict[str, float]:
    """Return a limit by joint; one number stands under every name."""
    if isinstance(value, dict):
        return value
    return dict.fromkeys(names or ("",), value)


def _require_ordered(config: GuardConfig, lower: str, upper: str, *, strict: bool = False) -> None:
    """Check one limit against another at every joint that both have."""
    low, high = getattr(config, lower), getattr(config, upper)
    names = low if isinstance(low, dict) else high if isinstance(high, dict) else None
    lows, highs = _numbers(low, names), _numbers(high, names)
    for joint in (name for name in lows if name in highs):
        if not (lows[joint] < highs[joint] if strict else lows[joint] <= highs[joint]):
            where = f"{joint}: " if joint else ""
            raise ValueError(f"{where}{lower} {lows[joint]} must {'be below' if strict else 'not be above'} {upper} {highs[joint]}")


def _row(key: str, value: float | dict[str, float], joint_names: Sequence[str]) -> FloatArray:
    """Return a limit as one number per joint."""
    if not isinstance(value, dict):
        return frozen_array(np.full(len(joint_names), value))
    unknown = [name for name in value if name not in joint_names]
    if unknown:
        close = difflib.get_close_matches(unknown[0], joint_names, cutoff=0.0)
        raise UsageError(f"{key} names {unknown[0]}, which this robot does not have: the nearest of its joints is {close[0]}")
    missing = [name for name in joint_names if name not in value]
    if missing:
        raise UsageError(f"{key} has no value for {', '.join(missing)}: name every joint, or give one number for all")
    return frozen_array([value[name] for name in joint_names])


def _coupled(pairs: Sequence[CoupledConfig], joint_names: Sequence[str]) -> tuple[FloatArray, FloatArray, FloatArray]:
    weights = np.zeros((len(pairs), len(joint_names)))
    for row, pair in zip(weights, pairs, strict=True):
        for name, weight in zip(pair.joints, pair.weights, strict=True):
            if name not in joint_names:
                raise UsageError(f"guard.coupled names {name}, which this robot does not have: its joints are {', '.join(joint_names)}")
            row[joint_names.index(name)] = weight
    return frozen_array(weights), frozen_array([pair.min_rad for pair in pairs]), frozen_array([pair.max_rad for pair in pairs])


@dataclass(frozen=True, slots=True)
class Limits:
    """`GuardConfig` for the n joints of one robot. Arrays have shape (n,) unless told otherwise.

    Attributes:
        position_min_rad: rad.
        position_max_rad: rad.
        velocity_max_rad_s: rad/s.
        acceleration_max_rad_s2: rad/s^2.
        braking_rad_s2: rad/s^2, at most the acceleration.
        coupled_weights: Shape (m, n): one row for each coupled pair.
        coupled_min_rad: Shape (m,), rad.
        coupled_max_rad: Shape (m,), rad.
        low_pass_hz: Infinite: off.
        tracking_error_max_rad: rad; infinite: not watched.
        current_max_a: A; infinite: not watched.
        rest_rad: rad, or None.
        pulse_rad: One count of the motors' position registers, rad, or None.
    """

    position_min_rad: FloatArray
    position_max_rad: FloatArray
    velocity_max_rad_s: FloatArray
    acceleration_max_rad_s2: FloatArray
    braking_rad_s2: FloatArray
    coupled_weights: FloatArray
    coupled_min_rad: FloatArray
    coupled_max_rad: FloatArray
    low_pass_hz: float
    tracking_error_max_rad: FloatArray
    current_max_a: FloatArray
    rest_rad: FloatArray | None = None
    pulse_rad: float | None = None
