"""Laws of setting motors up, over the emulated wire."""

from __future__ import annotations

import re

import pytest

from robot.description import load_description
from robot.dynamixel.backends import BusConfig, open_bus
from robot.dynamixel.provision import identify
from robot.errors import MotorError
from tests.robot.machines import PATIENT_S, emulator


class Lossy:
    """A bus on which the first answers of each motor are lost."""

    def __init__(self, bus: object, lost: int) -> None:
        self._bus = bus
        self._lost = lost
        self._asked: dict[int, int] = {}

    def ping(self, motor: int) -> tuple[int, int] | None:
        answer: tuple[int, int] | None = self._bus.ping(motor)
        self._asked[motor] = self._asked.get(motor, 0) + 1
        return None if self._asked[motor] <= self._lost else answer


def test_a_lost_answer_is_no_missing_motor() -> None:
    description = load_description("kitty")
    with emulator("--robot", "kitty") as machine:
        bus = open_bus(machine.port, description.bus.baud, BusConfig(), PATIENT_S)
        try:
            assert len(identify(Lossy(bus, 2), description)) == 12
            with pytest.raises(MotorError, match=re.escape("motor 10 (front_right_abduction), 11 ")):
                identify(Lossy(bus, 3), description)
        finally:
            bus.close()
