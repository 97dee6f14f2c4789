"""The emulated motor bus: Dynamixel motors behind a pseudo-terminal that any Protocol 2.0 client can open."""

from robot.emulator.bus import BusOptions, EmulatedBus
from robot.emulator.camera import EmulatorCamera, PictureStream
from robot.emulator.client import EmulatorClient, Start
from robot.emulator.control import ControlServer
from robot.emulator.faults import Fault, FaultScript, load_faults
from robot.emulator.machine import bench_physics, emulate
from robot.emulator.process import EmulatorProcess, serve, serve_alone

__all__ = [
    "BusOptions",
    "ControlServer",
    "EmulatedBus",
    "EmulatorCamera",
    "EmulatorClient",
    "EmulatorProcess",
    "Fault",
    "FaultScript",
    "PictureStream",
    "Start",
    "bench_physics",
    "emulate",
    "load_faults",
    "serve",
    "serve_alone",
]
