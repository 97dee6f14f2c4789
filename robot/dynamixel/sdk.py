"""The bus of the vendor: dynamixel-sdk behind the interface of our own, as the reference that the same tests run against.

What it cannot do, it cannot do here either (dynamixel-sdk 4.1.0): a silent motor costs a sync read 34 ms and the data of all others;
alerts are invisible in sync reads; writes whose parameters contain FF FF FD are sent without stuffing, and refused.
"""

from __future__ import annotations

import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import dynamixel_sdk as sdk
import numpy as np

from robot.clock import monotonic_s, sleep_s
from robot.dynamixel.bus import BusCount, Readings, empty_readings, require_done, require_single, silent_motor
from robot.dynamixel.codec import ALERT, Status
from robot.dynamixel.native import REBOOT_S
from robot.dynamixel.port import Port
from robot.errors import PortLostError

_Result = TypeVar("_Result")


class SdkBus:
    """Implements MotorBus and BusSetup.

    The port is opened and locked by our own code first, whose errors say more, and handed over.

    Args:
        port: Open; the bus closes it.
    """

    def __init__(self, port: Port) -> None:
        self.port = port
        self.count = BusCount()
        self._lock = threading.Lock()
        self._handler = sdk.PortHandler(port.path)
        self._handler.ser = port.lend()
        self._handler.is_open = True
        self._handler.baudrate = port.baud
        self._handler.tx_time_per_byte = 10_000.0 / port.baud
        self._packets = sdk.Protocol2PacketHandler()

    def ping(self, motor: int) -> tuple[int, int] | None:
        with self._lock:
            number, result, _ = self._call(lambda: self._packets.ping(self._handler, motor))
            if result != sdk.COMM_SUCCESS:
                return None
            firmware, result, _ = self._call(lambda: self._packets.read1ByteTxRx(self._handler, motor, 6))
        return (number, firmware) if result == sdk.COMM_SUCCESS else None

    def scan(self) -> dict[int, tuple[int, int]]:
        with self._lock:
            found, _ = self._call(lambda: self._packets.broadcastPing(self._handler))
        return require_single(
            [Status(motor, 0, False, bytes((number & 0xFF, number >> 8, firmware))) for motor, (number, firmware) in found.items()]
        )

    def reboot(self, motor: int) -> None:
        with self._lock:
            self._call(lambda: self._packets.reboot(self._handler, motor))
        sleep_s(REBOOT_S)

    def read(self, motor: int, address: int, size: int) -> Status:
        what = f"reading {size} bytes at {address}"
        with self._lock:
            data, result, error = self._call(lambda: self._packets.readTxRx(self._handler, motor, address, size))
        return self._status(motor, result, error, bytes(data or ()), what)

    def write(self, motor: int, address: int, data: bytes) -> Status:
        what = f"writing {data.hex(' ')} to {address}"
        with self._lock:
            result, error = self._call(lambda: self._packets.writeTxRx(self._handler, motor, address, len(data), list(data)))
        return self._status(motor, result, error, b"", what)

    def sync_read(self, motors: Sequence[int], address: int, size: int) -> Readings:
        readings = empty_readings(motors, size)
        readings.stamp_s = monotonic_s()
        group = sdk.GroupSyncRead(self._handler, self._packets, address, size)
        for motor in motors:
            group.addParam(motor)
        with self._lock:
            result = self._call(group.txRxPacket)
        self.count.transactions += 1
        for row, motor in enumerate(motors):
            if result == sdk.COMM_SUCCESS and group.isAvailable(motor, address, size):
                readings.data[row] = np.frombuffer(bytes(group.data_dict[motor]), np.uint8)
                readings.fresh[row] = True
                self.count.motor(motor).answers += 1
            else:
                self.count.motor(motor).missed += 1
        return readings

    def sync_write(self, address: int, data: Mapping[int, bytes]) -> None:
        size = len(next(iter(data.values())))
        group = sdk.GroupSyncWrite(self._handler, self._packets, address, size)
        for motor, value in data.items():
            group.addParam(motor, list(value))
        with self._lock:
            self._call(group.txPacket)
        self.count.transactions += 1

    def close(self) -> None:
        self.port.close()

    def _call(self, action: Callable[[], _Result]) -> _Result:
        """Run a call of the library; it lets errors of the device through, and stays busy after them."""
        try:
            return action()
        except (OSError, termios.error, TypeError, ValueError) as error:
            self.port.close()
            raise PortLostError(f"{self.port.path} is gone ({error}): plug it in again and reconnect") from error
        finally:
            self._handler.is_using = False

    def _status(self, motor: int, result: int, error: int, data: bytes, what: str) -> Status:
        count = self.count.motor(motor)
        self.count.transactions += 1
        if result != sdk.COMM_SUCCESS:
            count.missed += 1
            raise silent_motor(motor, f"{what}; {self._reason(result)}", self.port.path)
        count.answers += 1
        return require_done(Status(motor, error & ~ALERT, bool(error & ALERT), data), what)

    def _reason(self, result: int) -> str:
        reason: Any = self._packets.getTxRxResult(result)
        return str(reason)
