"""The motors' own clocks tell new answers from old ones: register 120 counts ms since the motor was started.

Two answers of one motor must be as far apart on its clock as they are on ours. A late answer, taken for a new one, is behind; a motor that
started again in between is anywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot.dynamixel.units import RawArray
from robot.types import FloatArray

# Register 120 counts modulo 32,768 (e-manual, Realtime Tick).
TICK_MODULUS = 32_768
# A motor's oscillator is off by at most this share: internal RC oscillators of small controllers are trimmed to 1% (STM32F103 data sheet).
_DRIFT = 0.02
# The register is truncated to whole ms at both ends.
_TRUNCATION_S = 0.001


class TickCheck:
    """Remembers when each motor last answered, on its clock and on ours.

    Args:
        motors: How many.
        tolerance_s: How much later than usual a good answer may have been measured, s; below the time between two reads.
    """

    def __init__(self, motors: int, tolerance_s: float) -> None:
        self._tolerance_s = tolerance_s
        self._tick: RawArray = np.zeros(motors, np.int64)
        self._time_s: FloatArray = np.full(motors, -np.inf)

    def judge(self, tick: RawArray, now_s: float, answered: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which answers are new, shape (n,), and remember those.

        A motor that has not been heard for half a turn of its counter is believed.

        Args:
            tick: Register 120 of each motor, shape (n,).
            now_s: Time of this read, s.
            answered: Which motors have answered, shape (n,).
        """
        ours_s = now_s - self._time_s
        known = ours_s < TICK_MODULUS * 0.5e-3
        theirs_s = ((tick - self._tick) % TICK_MODULUS) * 1e-3
        # Of the smaller distance around the counter: an old answer is behind.
        theirs_s = np.where(theirs_s > TICK_MODULUS * 0.5e-3, theirs_s - TICK_MODULUS * 1e-3, theirs_s)
        with np.errstate(invalid="ignore"):
            bound_s = self._tolerance_s + _TRUNCATION_S + _DRIFT * ours_s
            new: NDArray[np.bool_] = answered & (~known | (np.abs(theirs_s - ours_s) <= bound_s))
        self._tick = np.where(new, tick, self._tick)
        self._time_s = np.where(new, now_s, self._time_s)
        return new

    def forget(self) -> None:
        """Believe the next answer of every motor: after a reset or a reconnection, on a line without older answers."""
        self._time_s = np.full(len(self._time_s), -np.inf)
