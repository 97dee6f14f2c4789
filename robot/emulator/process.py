"""An emulated machine in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from robot.clock import monotonic_s
from robot.emulator.bus import EmulatedBus
from robot.emulator.client import EmulatorClient
from robot.emulator.control import ControlServer
from robot.errors import RobotError
from robot.realtime import become_realtime, freeze_garbage

# Physics are caught up at least this often while nobody asks.
_IDLE_S = 0.005
# The motion process asks for 50.
_PRIORITY = 40
# A machine needs no longer to start: PyBullet loads within a second.
_START_TIMEOUT_S = 60.0


def serve(bus: EmulatedBus, control: ControlServer, keep_going: Callable[[], bool]) -> None:
    """Serve frames and requests until asked to stop, or `keep_going` says no."""
    poller, watched = _poller(bus, control)
    looked_s = 0.0
    while not control.stopping:
        until_s = monotonic_s() + _IDLE_S
        ready = bus.wire.wait(poller, until_s)
        changed = False
        for descriptor, _ in ready:
            if descriptor == watched:
                data = bus.wire.read()
                if data:
                    bus.receive(data)
            else:
                changed |= control.serve(descriptor)
        bus.wire.flush()
        control.draw()
        if not ready:
            if (late_s := monotonic_s() - until_s) >= 0.0:
                bus.late_s.append(late_s)
            bus.end_silence()
            bus.catch_up()
            bus.replug_if_due()
            if monotonic_s() - looked_s > 0.5:
                looked_s = monotonic_s()
                if not keep_going():
                    return
        if changed or watched != bus.wire.descriptor:
            poller, watched = _poller(bus, control)


def _poller(bus: EmulatedBus, control: ControlServer) -> tuple[select.poll, int]:
    poller = select.poll()
    for descriptor in control.descriptors:
        poller.register(descriptor, select.POLLIN)
    if bus.wire.descriptor >= 0:
        poller.register(bus.wire.descriptor, select.POLLIN)
    return poller, bus.wire.descriptor


def serve_alone(bus: EmulatedBus, control_path: Path, announce: Callable[[str], None]) -> None:
    """Serve a machine in this process until it is asked to stop or its parent is gone.

    Args:
        bus: Closed at the end.
        control_path: Of the control socket.
        announce: Is told one line of JSON, {"port": ..., "control": ...}, when clients can come.
    """
    parent = os.getppid()
    control = ControlServer(bus, control_path)
    if bus.options.lockstep:
        freeze_garbage()
    else:
        # Motors do not wait for a scheduler either. Below the priority of who drives them.
        grants = become_realtime("fifo", _PRIORITY)
        bus.wire.spin_s *= not grants[0].granted
    try:
        announce(json.dumps({"port": str(bus.options.link or bus.wire.path), "control": str(control_path)}))
        serve(bus, control, lambda: os.getppid() == parent)
    finally:
        control.close()
        bus.close()


class EmulatorProcess:
    """A process that serves a machine; dies with its parent.

    Args:
        command: That serves a machine with the options --control PATH and --json, such as `python -m fetlock emulate`.
        stdin: Text for it.
        linked: Give its port a name that stays the same over a replug (--link), as a port of metal has one below /dev/serial/by-id.
        control: Path of its control socket, for clients in other processes; by default one that nobody else knows.

    Attributes:
        port: Of the bus.
        control: Path of the control socket.
        client: Of the control socket.

    Raises:
        RobotError: If it does not start: with its last line.
    """

    def __init__(self, command: Sequence[str], stdin: str = "", *, linked: bool = False, control: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fetlock-emulator-")
        link = Path(self._folder.name) / "port"
        self.control = control or Path(self._folder.name) / "control"
        self._process = subprocess.Popen(
            [*command, *(("--link", str(link)) if linked else ()), "--control", str(self.control), "--json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            self.port = self._started(stdin)
            self.client = EmulatorClient(self.control)
        except BaseException:
            self._end()
            raise

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill the process at once."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Stop the machine. Idempotent."""
        with contextlib.suppress(RobotError, OSError, ValueError):
            if self.alive:
                self.client.ask("stop")
        self.client.close()
        self._end()

    def _started(self, stdin: str) -> str:
        process = self._process
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RobotError("the emulator's process has no pipes")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(stdin)
            process.stdin.close()
        poller = select.poll()
        poller.register(process.stdout, select.POLLIN)
        line = process.stdout.readline() if poller.poll(_START_TIMEOUT_S * 1e3) else ""
        if not line.startswith("{"):
            process.kill()
            words = process.stderr.read().strip().splitlines()
            raise RobotError(f"the emulator did not start: {words[-1] if words else f'no word within {_START_TIMEOUT_S:.0f} s'}")
        return str(json.loads(line)["port"])

    def _end(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
