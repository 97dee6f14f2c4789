"""A serial port with one owner, opened by pyserial and used through its file descriptor: blocking waits, never a spin."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import termios
from pathlib import Path

import serial
from serial.tools import list_ports

from robot.clock import monotonic_s
from robot.errors import PortError, PortLostError

_READ_BYTES = 4096
# An adapter that holds bytes longer than this makes a 12-motor bus slower than 60 Hz.
MAX_LATENCY_MS = 1
UDEV_RULE = 'ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{latency_timer}="1"'


class Port:
    """An open port. Errors of the device become `PortLostError`, after which only `close` does anything.

    Args:
        path: Of the device; a link such as /dev/serial/by-id/... is followed at each opening.
        baud: Bits/s.

    Raises:
        PortError: If it cannot be opened; the message says why and what to do.
    """

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        self.baud = baud
        self._serial = _open(path, baud)
        self._descriptor: int = self._serial.fileno()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    @property
    def latency_ms(self) -> int | None:
        """How long a USB adapter holds what it received, ms; None where nothing says so (no USB adapter, or another driver)."""
        with contextlib.suppress(OSError, ValueError):
            name = Path(os.path.realpath(self.path)).name
            return int(Path(f"/sys/bus/usb-serial/devices/{name}/latency_timer").read_text())
        return None

    def ask_low_latency(self) -> None:
        """Ask the driver to hand on bytes at once; read `latency_ms` back, for the flag does not always take."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._serial.set_low_latency_mode(True)

    def set_baud(self, baud: int) -> None:
        """Change the rate; what was received before is thrown away."""
        try:
            self._serial.baudrate = baud
        except (OSError, ValueError, termios.error, serial.SerialException) as error:
            raise PortError(f"{self.path} does not take {baud} baud: {error}") from error
        self.baud = baud
        self.drain()

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises:
            PortLostError: If the port is gone.
        """
        try:
            # A closed descriptor is -1, which no file is.
            sent = os.write(self._descriptor, data)
            while sent < len(data):
                # A port that takes nothing for a second is blocked: flow control is on, or its other end sleeps.
                if not select.select((), (self._descriptor,), (), 1.0)[1]:
                    raise OSError(errno.ETIMEDOUT, "it took no bytes for 1 s")
                sent += os.write(self._descriptor, data[sent:])
        except (OSError, ValueError) as error:
            raise self._gone(error) from error

    def read(self, deadline_s: float) -> bytes:
        """Wait for bytes until a time of the monotonic clock; return those that are there, b"" if none came.

        Raises:
            PortLostError: If the port is gone.
        """
        try:
            # Rounded up: poll counts in ms, and 0 would spin.
            if self._descriptor < 0:
                raise OSError(errno.EBADF, "it was lost before")
            wait_ms = max(0, -int(-(deadline_s - monotonic_s()) * 1e3 // 1))
            events = self._poll.poll(wait_ms)
            if not events:
                return b""
            if events[0][1] & select.POLLIN:
                data = os.read(self._descriptor, _READ_BYTES)
                if data:
                    return data
            raise OSError(errno.EIO, "the device hung up")
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise self._gone(error) from error

    def drain(self) -> int:
        """Throw away what was received; return how many bytes that was.

        Raises:
            PortLostError: If the port is gone.
        """
        total = 0
        while data := self.read(0.0):
            total += len(data)
        return total

    def lend(self) -> serial.Serial:
        """Return pyserial's object, for the vendor's library; whoever uses it must not use this port's methods beside it."""
        return self._serial

    def close(self) -> None:
        """Release the port. Idempotent; never raises."""
        with contextlib.suppress(OSError, termios.error, serial.SerialException):
            self._serial.close()

    def _gone(self, error: Exception) -> PortLostError:
        self.close()
        # The number of a closed descriptor may soon be another file's.
        self._descriptor = -1
        self._poll = select.poll()
        return PortLostError(f"{self.path} is gone ({error}): plug it in again and reconnect; the motors' own watchdog stops them")


def _open(path: str, baud: int) -> serial.Serial:
    _require_terminal(path)
    try:
        return serial.Serial(path, baud, timeout=0, write_timeout=1.0, exclusive=True)
    except (OSError, ValueError, termios.error) as error:
        # SerialException is an OSError.
        number = getattr(error, "errno", None)
        if number in (errno.EACCES, errno.EPERM):
            raise PortError(
                f"{path} may not be opened by this user: join its group (sudo usermod -aG dialout $USER) and log in again"
            ) from error
        if number in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EBUSY) or "exclusively lock" in str(error):
            raise PortError(f"{path} is in use by {holder(path) or 'another process'}: stop that first") from error
        if number in (errno.ENOTTY, errno.EINVAL, errno.EIO) or "Could not configure port" in str(error):
            raise PortError(f"{path} is no serial port, or its other end is closed: {_offer()}") from error
        raise PortError(f"{path} cannot be opened at {baud} baud: {error}") from error


def _require_terminal(path: str) -> None:
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise PortError(f"there is no port {path}: {_offer()}") from error
    if not stat.S_ISCHR(mode):
        raise PortError(f"{path} is no serial port: {_offer()}")


def ports() -> list[str]:
    """Return the serial ports of this machine, by links that keep their names over a replug where there are any."""
    by_id = Path("/dev/serial/by-id")
    links = sorted(map(str, by_id.iterdir())) if by_id.is_dir() else []
    return links or sorted(port.device for port in list_ports.comports() if port.hwid != "n/a")


def describe(path: str) -> dict[str, str | int | None]:
    """Say what the kernel knows of a port, without opening it: product, serial number, latency timer in ms, who uses it, whether we may."""
    real = os.path.realpath(path)
    about = next((port for port in list_ports.comports() if port.device == real), None)
    timer = Path(f"/sys/bus/usb-serial/devices/{Path(real).name}/latency_timer")
    return {
        "device": real if real != path else None,
        "product": about.product if about is not None else None,
        "serial": about.serial_number if about is not None else None,
        "latency_ms": int(timer.read_text()) if timer.is_file() else None,
        "used by": holder(path),
        "permission": None if os.access(path, os.R_OK | os.W_OK) else "denied: sudo usermod -aG dialout $USER, then log in again",
    }


def _offer() -> str:
    found = ports()
    return (
        f"the ports here are {', '.join(found)}"
        if found
        else "no serial port was found; is the adapter plugged in? `fetlock bus find-port` helps"
    )


def holder(path: str) -> str | None:
    """Return who holds the exclusive lock on a port, as "name (pid)"; None if nobody, or nobody whom this user may see."""
    pid = holding_process(path)
    if pid is None:
        return None
    with contextlib.suppress(OSError):
        return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    return f"process {pid}"


def holding_process(path: str) -> int | None:
    """Return the process that holds the exclusive lock on a file; None if there is none, or none that this user may see."""
    try:
        wanted = Path(path).stat().st_ino
        locks = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return None
    for line in locks:
        fields = line.split()
        # 1: FLOCK ADVISORY WRITE pid major:minor:inode start end (proc(5))
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rsplit(":", 1)[-1] == str(wanted):
            return int(fields[4])
    return None
