"""What an IMU on a serial port can be told."""

from __future__ import annotations

from functools import cached_property
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from robot.imu.devices import DEVICES, ImuDevice, Kind
from robot.imu.rotations import roll_pitch_yaw_matrix
from robot.types import FloatArray

# Start, eight data bits, stop.
BITS_PER_BYTE = 10
# Share of the line that samples may take: a device whose line is full drops what it cannot send, without a word.
_LINE_SHARE = 0.9


class MountConfig(BaseModel):
    """How the sensor's axes lie in the base's frame: turn the base's axes about x by the roll, then about the base's y, then its z."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A VN-100 that lies flat has its z axis down: roll 180.
    roll_deg: float = Field(default=0.0, ge=-180.0, le=180.0)
    pitch_deg: float = Field(default=0.0, ge=-180.0, le=180.0)
    yaw_deg: float = Field(default=0.0, ge=-180.0, le=180.0)

    @cached_property
    def rotation_sensor_to_base(self) -> FloatArray:
        """Columns are the sensor's axes in the base's frame. Shape (3, 3)."""
        return roll_pitch_yaw_matrix(self.roll_deg, self.pitch_deg, self.yaw_deg)


class ImuConfig(BaseModel):
    """An IMU, its port and its place on the robot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = "witmotion"
    # A path below /dev/serial/by-id names the same device whatever was plugged in before it.
    port: str = Field(default="/dev/ttyUSB0", pattern=r"^/dev/")
    # As the device is set. A WT901 leaves the factory at 9600, which carries 20 samples/s; the maker's program raises it.
    baud: int = 115200
    # Samples per second; `SerialImu.configure` sets the device to it.
    rate_hz: int = 100
    # Older than this is no view of the present. At least two samples, so that one lost sample is no fault.
    max_age_s: float = Field(default=0.1, gt=0.0, le=10.0)
    mount: MountConfig = MountConfig()

    @property
    def device(self) -> ImuDevice:
        """What is peculiar to this kind."""
        return DEVICES[self.kind]

    @model_validator(mode="after")
    def _device_knows_them(self) -> Self:
        for key, value, valid in (("baud", self.baud, self.device.bauds), ("rate_hz", self.rate_hz, self.device.rates_hz)):
            if value not in valid:
                raise ValueError(f"{key} {value} is none that a {self.device.name} knows: choose {', '.join(map(str, valid))}")
        return self

    @model_validator(mode="after")
    def _line_carries_the_rate(self) -> Self:
        need = self.rate_hz * self.device.sample_bytes * BITS_PER_BYTE / _LINE_SHARE
        if need > self.baud:
            raise ValueError(
                f"rate_hz {self.rate_hz} of a {self.device.name} takes a baud of at least {need:.0f}: got {self.baud}; "
                "lower rate_hz or set device and baud higher"
            )
        return self

    @model_validator(mode="after")
    def _age_holds_two_samples(self) -> Self:
        if self.max_age_s * self.rate_hz < 2.0:
            raise ValueError(f"max_age_s {self.max_age_s} is less than two samples at {self.rate_hz} Hz: at least {2 / self.rate_hz:.3g}")
        return self


def straight_mounted(kind: Kind, port: str = "/dev/null") -> ImuConfig:
    """Return an IMU whose frame is the base's, at its default rate: a VN-100 lies on its back for that, for its z axis is down."""
    return ImuConfig(kind=kind, port=port, mount=MountConfig(roll_deg=180.0 if kind == "vectornav" else 0.0))
