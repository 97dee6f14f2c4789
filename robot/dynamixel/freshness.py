"""The motors' own clocks tell new answers from old ones: register 120 counts ms since the motor was started.

An answer is new if it was measured after it was asked for. Each good answer says when its motor's clock showed what: between request and
receipt. What all of them agree on is the offset between the two clocks, within bounds; an answer that was measured before its request,
whatever the offset within those bounds, is an old one. A motor that started again agrees with nothing before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robot.dynamixel.units import RawArray
from robot.types import FloatArray

# Register 120 counts modulo 32,768 (e-manual, Realtime Tick), in whole ms, rounded down.
TICK_MODULUS = 32_768
_TICK_S = 0.001
# A motor's oscillator is off by at most this share: internal RC oscillators of small controllers are trimmed to 1% (STM32F103 data sheet).
_DRIFT = 0.02


class TickCheck:
    """Bounds the offset of each motor's clock from ours.

    Args:
        motors: How many.
    """

    def __init__(self, motors: int) -> None:
        self._low_s: FloatArray = np.full(motors, -np.inf)
        self._high_s: FloatArray = np.full(motors, np.inf)
        self._seen_s: FloatArray = np.full(motors, -np.inf)
        self._motor_s: FloatArray = np.zeros(motors)

    def judge(self, tick: RawArray, sent_s: float, received_s: float, answered: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which answers are new, shape (n,), and learn from those.

        A motor that has not been heard for half a turn of its counter is believed.

        Args:
            tick: Register 120 of each motor, shape (n,).
            sent_s: When they were asked, s.
            received_s: When all that came had come, s.
            answered: Which motors have answered, shape (n,).
        """
        silent_s = sent_s - self._seen_s
        known = silent_s < TICK_MODULUS * _TICK_S / 2.0
        # The motor's time, counted over its turns: nearest to where it should be.
        expected_s = np.where(known, self._motor_s + np.where(known, silent_s, 0.0), tick * _TICK_S)
        turn_s = TICK_MODULUS * _TICK_S
        motor_s = tick * _TICK_S + np.round((expected_s - tick * _TICK_S) / turn_s) * turn_s
        slack_s = np.where(known, np.maximum(silent_s, 0.0) * _DRIFT, 0.0)
        low_s = np.where(known, self._low_s - slack_s, -np.inf)
        high_s = np.where(known, self._high_s + slack_s, np.inf)
        new: NDArray[np.bool_] = answered & (motor_s + _TICK_S + high_s >= sent_s) & (motor_s + low_s <= received_s)
        self._low_s = np.where(new, np.maximum(low_s, sent_s - motor_s - _TICK_S), self._low_s)
        self._high_s = np.where(new, np.minimum(high_s, received_s - motor_s), self._high_s)
        self._motor_s = np.where(new, motor_s, self._motor_s)
        self._seen_s = np.where(new, sent_s, self._seen_s)
        return new

    def forget(self) -> None:
        """Believe the next answer of every motor: after a reset or a reconnection, on a line without older answers."""
        self._seen_s = np.full(len(self._seen_s), -np.inf)
