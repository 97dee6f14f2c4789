"""An IMU made of a pseudo-terminal: whoever opens its path cannot tell its bytes from a device's."""

from __future__ import annotations

import os
import tty
from dataclasses import dataclass

import numpy as np

from robot.errors import ClosedError, UsageError
from robot.imu.config import ImuConfig
from robot.imu.sample import sample_to_state, state_to_sample
from robot.types import FloatArray, ImuState

# Of what a driver sent, for its tests.
_COMMAND_BYTES = 256


@dataclass(frozen=True, slots=True)
class WireFaults:
    """What goes wrong on the wire.

    Attributes:
        flip_probability: Of each byte, that one of its bits is flipped.
        cut_probability: Of each sample, that a piece of its bytes, of random place and length, is lost.
        seed: Of the faults.
    """

    flip_probability: float = 0.0
    cut_probability: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("flip_probability", self.flip_probability), ("cut_probability", self.cut_probability)):
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"{name} lies within 0 to 1: got {value}")


@dataclass(slots=True)
class EmulatorStatistics:
    """What an emulated IMU did: samples emitted, bytes flipped and cut on purpose, bytes that a full terminal did not take."""

    samples: int = 0
    flipped_bytes: int = 0
    cut_bytes: int = 0
    overflowed_bytes: int = 0


class EmulatedImu:
    """Writes samples of a given motion. Whoever calls `emit` sets the pace; it never blocks.

    Args:
        config: Of the device; its port is not used.
        faults: On the wire; None for a perfect one.

    Attributes:
        config: As given, with the port at which a driver finds the device.
        commands: The last 256 bytes that a driver sent, as of the newest `emit`. They are not obeyed.
        statistics: What it did.
    """

    def __init__(self, config: ImuConfig, faults: WireFaults | None = None) -> None:
        self._faults = faults or WireFaults()
        self._rng = np.random.default_rng(self._faults.seed)
        # The second end stays open here, so that a driver may come and go.
        self._device, self._terminal = os.openpty()
        # Until a driver sets it, a terminal echoes what it receives.
        tty.setraw(self._terminal)
        os.set_blocking(self._device, False)
        self._encode = config.device.encode
        self._rotation = config.mount.rotation_sensor_to_base
        self._closed = False
        self.config = config.model_copy(update={"port": os.ttyname(self._terminal)})
        self.commands = b""
        self.statistics = EmulatorStatistics()

    @property
    def path(self) -> str:
        """Where a driver finds the device; `config` names it too."""
        return self.config.port

    def emit(self, rotation_base_to_world: FloatArray, angular_velocity_base_rad_s: FloatArray, stamp_s: float) -> None:
        """Send one sample of the base's motion. What a full terminal does not take is lost, as in a device, and counted.

        Args:
            rotation_base_to_world: Shape (3, 3).
            angular_velocity_base_rad_s: Shape (3,), rad/s.
            stamp_s: Since the device started, s; a VN-100 sends it.

        Raises:
            UsageError: If the rate is not finite, or the rotation none.
            ClosedError: After `close`.
        """
        if self._closed:
            raise ClosedError("the emulated IMU was closed: make a new one")
        self._hear()
        state = ImuState(rotation_base_to_world, angular_velocity_base_rad_s, 0.0)
        data = self._damaged(self._encode(state_to_sample(state, self._rotation, round(stamp_s * 1e9))))
        try:
            sent = os.write(self._device, data) if data else 0
        except BlockingIOError:
            sent = 0
        self.statistics.samples += 1
        self.statistics.overflowed_bytes += len(data) - sent

    def close(self) -> None:
        """Close both ends: for a driver, the device was unplugged. Idempotent."""
        if not self._closed:
            self._closed = True
            os.close(self._device)
            os.close(self._terminal)

    def _hear(self) -> None:
        """Take what the driver sent: a terminal that nobody reads would block it in the end. `commands` keeps the last of it."""
        try:
            self.commands = (self.commands + os.read(self._device, _COMMAND_BYTES))[-_COMMAND_BYTES:]
        except BlockingIOError:
            return

    def _damaged(self, data: bytes) -> bytes:
        """Return what is left of some bytes behind the faults. The number of random numbers depends on the configuration alone."""
        flipped = self._rng.random(len(data)) < self._faults.flip_probability
        masks = np.left_shift(1, self._rng.integers(8, size=len(data))) * flipped
        cut, first, last = self._rng.random(3)
        whole = (np.frombuffer(data, np.uint8) ^ masks.astype(np.uint8)).tobytes()
        self.statistics.flipped_bytes += int(flipped.sum())
        if cut >= self._faults.cut_probability:
            return whole
        start = int(first * len(data))
        end = start + 1 + int(last * (len(data) - start))
        self.statistics.cut_bytes += end - start
        return whole[:start] + whole[end:]


def quantised(
    config: ImuConfig, rotation_base_to_world: FloatArray, angular_velocity_base_rad_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what the device would report of an exact motion: bit for bit what a driver reads of it over a wire.

    Args:
        config: Of the device.
        rotation_base_to_world: Shape (3, 3).
        angular_velocity_base_rad_s: Shape (3,), rad/s.

    Raises:
        UsageError: If the rate is not finite, or the rotation none.
    """
    rotation = config.mount.rotation_sensor_to_base
    exact = state_to_sample(ImuState(rotation_base_to_world, angular_velocity_base_rad_s, 0.0), rotation, 0)
    (reported,) = config.device.parser().feed(config.device.encode(exact))
    state = sample_to_state(reported, rotation, 0.0)
    return state.rotation_base_to_world, state.angular_velocity_base_rad_s
