"""Serial IMUs: WitMotion's WT901 and VectorNav's VN-100, read over a port, emulated on one, or their rounding alone."""

from robot.imu.config import ImuConfig, MountConfig, straight_mounted
from robot.imu.devices import DEVICES, ImuDevice, Kind, SampleParser
from robot.imu.emulated import EmulatedImu, EmulatorStatistics, WireFaults, quantised
from robot.imu.reader import SerialImu
from robot.imu.sample import ImuSample, ParserStatistics, sample_to_state, state_to_sample, tilt_error_rad

__all__ = [
    "DEVICES",
    "EmulatedImu",
    "EmulatorStatistics",
    "ImuConfig",
    "ImuDevice",
    "ImuSample",
    "Kind",
    "MountConfig",
    "ParserStatistics",
    "SampleParser",
    "SerialImu",
    "WireFaults",
    "quantised",
    "sample_to_state",
    "state_to_sample",
    "straight_mounted",
    "tilt_error_rad",
]
