"""Opens a bus with either back end."""

from __future__ import annotations

import logging
from typing import Literal

from pydantic import BaseModel, ConfigDict

from robot.dynamixel.line import SILENCE_S
from robot.dynamixel.native import NativeBus
from robot.dynamixel.port import MAX_LATENCY_MS, UDEV_RULE, Port
from robot.dynamixel.provision import SetupBus

_log = logging.getLogger(__name__)


class BusConfig(BaseModel):
    """How a bus is driven."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # native: our codec, for the control loop. sdk: the vendor's library, as a reference.
    backend: Literal["native", "sdk"] = "native"
    # Read by fast sync read; falls back to plain ones by itself where a motor or adapter does not answer it. Native only.
    fast_read: bool = False


def open_bus(path: str, baud: int, config: BusConfig | None = None, silence_s: float = SILENCE_S) -> SetupBus:
    """Open a port and put a back end on it; warn if its adapter holds bytes back.

    Args:
        path: Of the port.
        baud: Bits/s.
        config: Which back end, and how.
        silence_s: After which the native back end takes a line for silent; a machine in lockstep takes its time.

    Raises:
        PortError: If the port cannot be opened.
    """
    config = config or BusConfig()
    port = Port(path, baud)
    port.ask_low_latency()
    if (latency_ms := port.latency_ms) is not None and latency_ms > MAX_LATENCY_MS:
        _log.warning(
            "%s holds what it receives for up to %d ms: every read waits for that; add this udev rule and plug it in again: %s",
            path,
            latency_ms,
            UDEV_RULE,
        )
    if config.backend == "sdk":
        # The vendor's library is loaded only by who asks for it.
        from robot.dynamixel.sdk import SdkBus

        return SdkBus(port)
    return NativeBus(port, fast=config.fast_read, silence_s=silence_s)
