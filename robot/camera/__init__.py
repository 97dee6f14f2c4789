"""Cameras: the newest frame of a USB camera or an HTTP stream, and virtual cameras for emulation."""

from robot.camera.config import CameraConfig, Crop, DeviceSource, Intrinsics, Pinhole, Source, StreamSource
from robot.camera.mjpeg import MjpegServer
from robot.camera.newest import NewestCamera
from robot.camera.opencv import OpenCvCamera
from robot.camera.source import VideoSource, open_source
from robot.camera.virtual import FrameTimer, Render, VirtualCamera

__all__ = [
    "CameraConfig",
    "Crop",
    "DeviceSource",
    "FrameTimer",
    "Intrinsics",
    "MjpegServer",
    "NewestCamera",
    "OpenCvCamera",
    "Pinhole",
    "Render",
    "Source",
    "StreamSource",
    "VideoSource",
    "VirtualCamera",
    "open_source",
]
