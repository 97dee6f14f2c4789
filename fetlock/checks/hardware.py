"""Checks of what a robot hangs on: serial ports, read from the kernel's own tables, so that no port is opened."""

from __future__ import annotations

import os
from pathlib import Path

from fetlock.checks.finding import Finding, Level

_DEVICES = Path("/sys/class/tty")
# FTDI's default of 16 ms delays every answer of a bus by up to that much; 1 is the least it takes (FTDI AN232B-04).
_LATENCY_GOOD_MS = 1


def serial_ports(devices: Path = _DEVICES, nodes: Path = Path("/dev")) -> list[Finding]:
    """Look at each USB serial port: the right to use it, and an FTDI adapter's latency timer.

    Args:
        devices: The kernel's table of terminals.
        nodes: Where their device nodes are.
    """
    ports = sorted(path for pattern in ("ttyUSB*", "ttyACM*") for path in devices.glob(pattern))
    if not ports:
        return [Finding("serial ports", Level.OK, "none (simulation needs none)")]
    return [_port(port, nodes / port.name) for port in ports]


def _port(device: Path, node: Path) -> Finding:
    if not node.exists():
        return Finding("serial port", Level.WARN, f"{node} is missing", "pass the device into the container: --device")
    if not os.access(node, os.R_OK | os.W_OK):
        return Finding("serial port", Level.WARN, f"{node} may not be used", "sudo usermod -aG dialout $USER, then log in again")
    timer = device / "device" / "latency_timer"
    if timer.is_file() and (latency_ms := int(timer.read_text())) > _LATENCY_GOOD_MS:
        return Finding(
            "serial port",
            Level.WARN,
            f"{node}: latency timer {latency_ms} ms",
            f"echo {_LATENCY_GOOD_MS} | sudo tee {timer}, or for good the rule in configs/system/99-fetlock.rules",
        )
    return Finding("serial port", Level.OK, str(node))
