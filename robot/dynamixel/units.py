"""Units of registers as exact inverse pairs: `to_raw(from_raw(x)) == x` for every raw value of 32 bits.

Source of all scales: ROBOTIS e-manual, X series, column "Unit" of the control tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot.errors import CommandError, UsageError
from robot.types import FloatArray, frozen_array

RawArray = NDArray[np.int64]

PULSES_PER_TURN = 4096
# Middle of a turn: zero of a joint whose horn is mounted straight.
CENTRE_RAW = 2048
# Duty cycle 1 is 885 (0.113% each).
PWM_FULL_RAW = 885

POSITION_RAD = 2.0 * math.pi / PULSES_PER_TURN
VELOCITY_RAD_S = 0.229 * 2.0 * math.pi / 60.0
ACCELERATION_RAD_S2 = 214.577 * 2.0 * math.pi / 3600.0
VOLTAGE_V = 0.1
WATCHDOG_S = 0.02
RETURN_DELAY_S = 2e-6
# Present in a frame of 4 bytes, both ends included.
_RAW_LIMIT = 2**31


@dataclass(frozen=True, slots=True)
class Unit:
    """One raw step in SI units.

    Attributes:
        symbol: Of the SI unit; "" for plain numbers.
        scale: SI units of one raw step.
    """

    symbol: str
    scale: float

    def from_raw(self, raw: int) -> float:
        """Return the value in SI units."""
        return raw * self.scale

    def to_raw(self, value: float) -> int:
        """Return the nearest raw value.

        Raises:
            UsageError: If the value is not finite or has no place in 32 bits.
        """
        raw = value / self.scale
        if not abs(raw) < _RAW_LIMIT:
            raise UsageError(f"{value} {self.symbol} has no place in a register: at most {_RAW_LIMIT * self.scale:.6g} {self.symbol}")
        return round(raw)


PLAIN = Unit("", 1.0)


def unit(name: str, current_ma: float) -> Unit:
    """Return the unit that a table calls `name`; the current's step differs by model.

    Raises:
        UsageError: If there is no such unit.
    """
    units = {
        "none": PLAIN,
        "position": Unit("rad", POSITION_RAD),
        "velocity": Unit("rad/s", VELOCITY_RAD_S),
        "acceleration": Unit("rad/s^2", ACCELERATION_RAD_S2),
        "current": Unit("A", current_ma * 1e-3),
        "pwm": Unit("", 1.0 / PWM_FULL_RAW),
        "decivolt": Unit("V", VOLTAGE_V),
        "celsius": Unit("deg C", 1.0),
        "watchdog_20ms": Unit("s", WATCHDOG_S),
        "delay_2us": Unit("s", RETURN_DELAY_S),
        "millisecond": Unit("s", 1e-3),
    }
    if name not in units:
        raise UsageError(f"no unit is called {name!r}: choose {', '.join(units)}")
    return units[name]


class JointMap:
    """Joint angles to position registers and back, for all joints of a robot.

    A register counts from `zero_raw`, in the joint's direction where `sign` is 1 and against it where it is -1.

    Args:
        sign: Shape (n,), 1 or -1.
        zero_raw: Shape (n,), register value at a joint angle of 0.

    Raises:
        UsageError: If the shapes differ or a sign is neither.
    """

    def __init__(self, sign: Sequence[int], zero_raw: Sequence[int]) -> None:
        if len(sign) != len(zero_raw) or any(value not in (1, -1) for value in sign):
            raise UsageError(f"a joint map takes one sign, 1 or -1, and one zero for each joint: got {list(sign)} and {list(zero_raw)}")
        self._scale = np.array(sign, np.float64) * POSITION_RAD
        self._rate_scale = np.array(sign, np.float64) * VELOCITY_RAD_S
        self._sign = np.array(sign, np.float64)
        self._zero = np.array(zero_raw, np.int64)

    def to_raw(self, position_rad: FloatArray) -> RawArray:
        """Return the nearest register values. Shape (n,).

        Raises:
            CommandError: If an angle is not finite or has no place in 32 bits.
        """
        offset = np.rint(position_rad / self._scale)
        if not bool((np.abs(offset) < _RAW_LIMIT / 2).all()):
            raise CommandError(f"{position_rad.tolist()} rad has no place in a position register: nothing was sent")
        raw: RawArray = offset.astype(np.int64) + self._zero
        return raw

    def position_rad(self, raw: RawArray) -> FloatArray:
        """The exact inverse of `to_raw` on register values. Shape (n,), rad."""
        return frozen_array((raw - self._zero) * self._scale)

    def velocity_rad_s(self, raw: RawArray) -> FloatArray:
        """Return joint velocities from velocity registers. Shape (n,), rad/s."""
        return frozen_array(raw * self._rate_scale)

    def signed(self, values: FloatArray) -> FloatArray:
        """Turn what is measured in the motor's direction, such as current, into the joint's. Shape (n,)."""
        return frozen_array(values * self._sign)
