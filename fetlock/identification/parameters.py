"""What can be identified of each simulated robot: keys of its configuration, the range searched, and how well they must be known."""

from __future__ import annotations

from dataclasses import dataclass

from robot.errors import UsageError
from sim import KittyConfig, LegsConfig, MinitaurConfig


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number of a simulation.

    Attributes:
        key: In the configuration of the robot.
        unit: For people; "" for a factor.
        low: Smallest value that is searched.
        high: Largest.
        step: Of difference quotients: about what changes joints by a pulse of their encoders, for a servo rounds to pulses.
        needed: Half of the widest 95% interval with which a value counts as identified.
    """

    key: str
    unit: str
    low: float
    high: float
    step: float
    needed: float


LATENCY = "control_latency_s"
# Needed: half of a bus tick of 100 Hz.
_LATENCY = Parameter(LATENCY, "s", 0.0, 0.1, 1e-3, 5e-3)
# Needed: two thirds of the 0.03 N m that a servo is assumed to have.
_FRICTION = Parameter("joint_friction_nm", "N m", 0.0, 0.5, 5e-3, 0.02)
# Needed, of both: half of what randomisation spreads strengths by.
_SERVO = (
    _LATENCY,
    Parameter("gain_scale", "", 0.2, 3.0, 0.02, 0.1),
    Parameter("motor_strength", "", 0.3, 2.0, 0.03, 0.1),
    _FRICTION,
)
# ROBEL's and sixteen times that, what a rotor of MuJoCo Menagerie's models amounts to, are both in question (docs/robots.md).
_ARMATURE = Parameter("armature_kg_m2", "kg m^2", 0.0, 0.02, 2e-4, 5e-4)
# The supply is measured, and a gain in duty cycle per rad is worth the more the higher it is.
_STOCK = (
    _LATENCY,
    Parameter("kp", "1/rad", 0.1, 10.0, 0.02, 0.1),
    Parameter("kd", "s/rad", 0.0, 0.2, 1e-3, 5e-3),
    # Half of bullet3's range.
    Parameter("viscous_damping", "V s/rad", 0.0, 1.0, 0.01, 0.025),
    _FRICTION,
)


def parameters_of(machine: LegsConfig, only: tuple[str, ...] | None = None) -> tuple[Parameter, ...]:
    """Return what can be identified of a robot.

    Args:
        machine: Its configuration.
        only: Keys of them; None: all.

    Raises:
        UsageError: If there is no such key.
    """
    known = _STOCK if isinstance(machine, MinitaurConfig) else (*_SERVO, *((_ARMATURE,) if isinstance(machine, KittyConfig) else ()))
    keys = [parameter.key for parameter in known]
    if only is None:
        return known
    if unknown := [key for key in only if key not in keys]:
        raise UsageError(f"--only {unknown[0]}: no such parameter of robot.kind {machine.kind}: choose {', '.join(keys)}")
    return tuple(parameter for parameter in known if parameter.key in only)


def with_values(machine: LegsConfig, values: dict[str, float]) -> LegsConfig:
    """Return a configuration with other values.

    Raises:
        UsageError: If one is out of the configuration's range.
    """
    try:
        return type(machine).model_validate(machine.model_dump() | values)
    except ValueError as error:
        raise UsageError(f"{values} is no robot of kind {machine.kind}: {' '.join(str(error).split())}") from error
