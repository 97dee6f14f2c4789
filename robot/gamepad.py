"""A gamepad by Linux's joystick interface (kernel documentation, input/joydev/joystick-api): 8 bytes an event, no library.

An event is time (__u32, ms), value (__s16), type (__u8: 1 a button, 2 an axis, with 0x80 the state at opening) and number (__u8).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from robot.errors import ClosedError, PortError, PortLostError

_EVENT = struct.Struct("<IhBB")
_BUTTON, _AXIS, _AT_OPENING = 0x01, 0x02, 0x80
_FULL = 32767.0
# Worn sticks rest up to a tenth from their middle (xpad and SDL use 0.1 to 0.24 of the range).
_DEAD_ZONE = 0.15
_READ_BYTES = 64 * _EVENT.size


class Gamepad:
    """The newest state of a gamepad's axes and buttons. `poll` never waits.

    Args:
        path: Of its device, such as /dev/input/js0.

    Raises:
        PortError: If it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._axes: dict[int, float] = {}
        self._buttons: dict[int, bool] = {}
        self._rest = b""
        try:
            self._file: int | None = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            found = sorted(str(other) for other in Path("/dev/input").glob("js*"))
            seen = f"gamepads here: {', '.join(found)}" if found else "there is none here: plug one in"
            raise PortError(f"no gamepad at {path} ({error.strerror}); {seen}") from error

    def poll(self) -> None:
        """Take what has happened since the last call.

        Raises:
            PortLostError: If it was unplugged.
            ClosedError: After `close`.
        """
        if self._file is None:
            raise ClosedError(f"the gamepad at {self.path} was closed: open it again")
        try:
            while data := os.read(self._file, _READ_BYTES):
                self._take(data)
        except BlockingIOError:
            return
        except OSError as error:
            raise PortLostError(f"the gamepad at {self.path} is gone ({error.strerror}): plug it in and start again") from error
        raise PortLostError(f"the gamepad at {self.path} is gone: plug it in and start again")

    def axis(self, number: int) -> float:
        """Return an axis, [-1, 1], 0 in the middle and before it was ever moved; down and right are positive."""
        value = self._axes.get(number, 0.0)
        return 0.0 if abs(value) < _DEAD_ZONE else value

    def button(self, number: int) -> bool:
        """Return whether a button is pressed."""
        return self._buttons.get(number, False)

    def close(self) -> None:
        """Release the device. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % _EVENT.size
        self._rest = data[whole:]
        for _, value, kind, number in _EVENT.iter_unpack(data[:whole]):
            if kind & ~_AT_OPENING == _AXIS:
                self._axes[number] = max(-1.0, value / _FULL)
            elif kind & ~_AT_OPENING == _BUTTON:
                self._buttons[number] = bool(value)
