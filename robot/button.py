"""A serial emergency-stop button: a board that says all is well, or a bare switch across the modem lines of a USB adapter.

`lines`: the board sends "OK" and a line feed 20 to 50 times a second while its normally-closed contact is closed, and "STOP" and a line
feed when it is open. Any Arduino-like board does; docs/emergency_stop.md has the sketch.

`switch`: a normally-closed contact between RTS and CTS, or between DTR and DSR. The output is turned over all the time and the input has
to follow, so that neither an open loop nor an input that is stuck passes. A pseudo-terminal has no modem lines: this kind is unproven.

Silence is a pressed button: a pulled cable, a dead board, a port that is gone.
"""

from __future__ import annotations

import math
import termios
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from robot.dynamixel.port import Port
from robot.errors import PortLostError

Line = Literal["cts", "dsr"]

# Two lines of the slowest board; chosen: a cable that was pulled is not to go unnoticed for longer than two seconds.
_TIMEOUT_MIN_S, _TIMEOUT_MAX_S = 0.1, 2.0
# The protocol is this file's own.
_OK, _STOP = b"OK", b"STOP"
# Longer than either word: what has no line feed by then is noise.
_LINE_BYTES = 16
# 256 KiB, as the IMU's reader: a port that always has more is not drained for ever.
_MAX_READS = 64
# Turns of the output in a time-out: the input may miss one, of an adapter that reports its lines every 16 ms (FTDI AN232B-04).
_TURNS = 4


class ButtonConfig(BaseModel):
    """A button and its port."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A path below /dev/serial/by-id names the same device whatever was plugged in before it.
    port: str = Field(pattern=r"^/dev/")
    kind: Literal["lines", "switch"] = "lines"
    # As the board is programmed; a switch has none.
    baud: int = Field(default=115200, ge=9600, le=1_000_000)
    # The input of a switch: CTS hears RTS, DSR hears DTR.
    line: Line = "cts"
    # Silence for longer is a pressed button. At 20 lines/s five may be lost.
    timeout_s: float = Field(default=0.3, ge=_TIMEOUT_MIN_S, le=_TIMEOUT_MAX_S)


class Button(Protocol):
    """Something that is pressed or not; a fault is a press."""

    def poll(self, now_s: float) -> bool:
        """Tell whether it is pressed, or was since the last call; never waits, never raises. Call it ten times in a time-out.

        Args:
            now_s: Monotonic time, s.
        """

    @property
    def fault(self) -> str:
        """Why it counts as pressed without a press, in one line; empty if it does not."""

    def close(self) -> None:
        """Release the port; it is pressed from then on. Idempotent."""


def open_button(config: ButtonConfig) -> Button:
    """Open a button of either kind.

    Raises:
        PortError: If its port cannot be opened.
    """
    return LineButton(config) if config.kind == "lines" else SwitchButton(config)


class LineButton:
    """Implements Button on the line protocol. Pressed until the first "OK" that came after opening.

    Raises:
        PortError: If the port cannot be opened.
    """

    def __init__(self, config: ButtonConfig) -> None:
        self._config = config
        self._port = Port(config.port, config.baud)
        self._port.drain()
        self._rest = b""
        self._polled_s = self._well_s = -math.inf
        self._lost = ""
        self._silent, self._open = True, False

    @property
    def fault(self) -> str:
        """See Button."""
        if self._lost:
            return self._lost
        return f"the button at {self._config.port} is silent (bound {self._config.timeout_s} s): look at its cable" if self._silent else ""

    def poll(self, now_s: float) -> bool:
        """See Button. After a pause longer than the time-out, an "OK" that waits in the port is of unknown age and does not count."""
        words = self._take()
        fresh = now_s - self._polled_s <= self._config.timeout_s
        self._polled_s = now_s
        pressed = _STOP in words
        for word in words:
            if word == _STOP:
                self._open = True
            elif word == _OK and fresh:
                self._open, self._well_s = False, now_s
        self._silent = not 0.0 <= now_s - self._well_s <= self._config.timeout_s
        return pressed or self._open or self._silent or bool(self._lost)

    def close(self) -> None:
        """See Button."""
        self._lost = self._lost or f"the button at {self._config.port} was closed: open it again"
        self._port.close()

    def _take(self) -> list[bytes]:
        """Return the whole lines that have come, in order."""
        if self._lost:
            return []
        data = self._rest
        try:
            for _ in range(_MAX_READS):
                if not (more := self._port.read(0.0)):
                    break
                data += more
        except PortLostError as error:
            self._lost = f"the button at {self._config.port} is gone ({error.__cause__ or error}): plug it in again and open it anew"
        *lines, rest = data.split(b"\n")
        self._rest = rest[-_LINE_BYTES:]
        return [line.strip() for line in lines]


class SwitchButton:
    """Implements Button on a loop of modem lines. Unproven: no adapter has been tried.

    Each level has to come through in every time-out; the loop counts as open until both have.

    Raises:
        PortError: If the port cannot be opened.
    """

    def __init__(self, config: ButtonConfig) -> None:
        self._config = config
        self._port = Port(config.port, config.baud)
        self._serial = self._port.lend()
        self._level = False
        self._turned_s = -math.inf
        # When each level of the output was last seen at the input.
        self._through_s = {False: -math.inf, True: -math.inf}
        self._lost = ""

    @property
    def fault(self) -> str:
        """See Button: an open loop is a press, so that only a lost port is a fault."""
        return self._lost

    def poll(self, now_s: float) -> bool:
        """See Button. An open loop shows at the latest after the time-out."""
        if self._lost:
            return True
        try:
            # Only a level that has been there since an earlier call: the input takes its time.
            if self._turned_s > -math.inf and self._input() == self._level:
                self._through_s[self._level] = now_s
            if now_s - self._turned_s >= self._config.timeout_s / _TURNS:
                self._turn()
                self._turned_s = now_s
        except (OSError, ValueError, termios.error) as error:
            # pyserial's SerialException is an OSError.
            self._lost = f"the button at {self._config.port} is gone ({error}): plug it in again and open it anew"
            self._port.close()
            return True
        return not all(0.0 <= now_s - seen_s <= self._config.timeout_s for seen_s in self._through_s.values())

    def close(self) -> None:
        """See Button."""
        self._lost = self._lost or f"the button at {self._config.port} was closed: open it again"
        self._port.close()

    def _input(self) -> bool:
        return bool(self._serial.cts if self._config.line == "cts" else self._serial.dsr)

    def _turn(self) -> None:
        self._level = not self._level
        if self._config.line == "cts":
            self._serial.rts = self._level
        else:
            self._serial.dtr = self._level
