"""Laws of setting motors up, over the emulated wire."""

from __future__ import annotations

import re
from typing import Any

import pytest

from robot.description import load_description
from robot.dynamixel.codec import Instruction
from robot.dynamixel.native import NativeBus
from robot.dynamixel.port import Port
from robot.dynamixel.provision import identify
from robot.errors import MotorError
from tests.robot.machines import PATIENT_S, emulator

pytestmark = pytest.mark.realtime


class LossyPort:
    """A port behind which the first pings of each motor are lost on the wire."""

    def __init__(self, port: Port, lost: int) -> None:
        self._port = port
        self._lost = lost
        self._asked: dict[int, int] = {}

    def write(self, data: bytes) -> None:
        motor, instruction = data[4], data[7]
        if instruction == Instruction.PING:
            self._asked[motor] = self._asked.get(motor, 0) + 1
        if instruction != Instruction.PING or self._asked[motor] > self._lost:
            self._port.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def test_a_lost_ping_is_no_missing_motor() -> None:
    description = load_description("kitty")
    with emulator("--robot", "kitty") as machine:
        port = Port(machine.port, description.bus.baud)
        try:
            assert len(identify(NativeBus(LossyPort(port, 2), silence_s=PATIENT_S), description)) == 12
            with pytest.raises(MotorError, match=re.escape("motor 10 (front_right_abduction), 11 ")):
                identify(NativeBus(LossyPort(port, 3), silence_s=PATIENT_S), description)
        finally:
            port.close()
