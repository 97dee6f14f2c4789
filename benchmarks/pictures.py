"""A camera for measurements: the walking robot as a common USB camera would see it, through the driver of cameras of metal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from fetlock.config import RunConfig
from fetlock.machines import simulated
from robot.camera import CameraConfig, DeviceSource, FrameTimer, NewestCamera, OpenCvCamera, VirtualCamera
from robot.clock import monotonic_s
from robot.errors import UsageError
from sim import simulate
from training.records import frame_dtype
from training.rollout_log.frames import encode

# The smallest picture of common USB cameras, px. At 60 frames a second each tick of a policy at 50 Hz has one of its own: one that is
# logged twice costs nothing the second time, because a chunk is compressed.
_WIDTH, _HEIGHT, _FPS = 320, 240, 60
# Shown again and again: more of them than fit into a chunk of the log, 64 KiB, so that none is compressed by the one before.
_PICTURES = 40
# Of a common camera's noise, grey levels (as `robot/camera/mjpeg.py` takes it).
_NOISE = 1.8

Images = NDArray[np.uint8]


def draw(config: RunConfig, width_px: int, height_px: int) -> Images:
    """Draw a simulated robot that falls and lies: shape (k, height, width, 3), uint8, RGB, a control period apart.

    Raises:
        UsageError: If the robot of the configuration is none that is simulated.
    """
    machine = simulated(config.robot)
    if machine is None:
        raise UsageError(f"nothing draws a robot of kind {config.robot.kind}: give the configuration of a simulated one")
    simulation = simulate(machine, config.bus_hz)
    try:
        simulation.robot.drop(np.random.default_rng(config.seed))
        camera = simulation.camera(width_px, height_px)
        images = []
        for _ in range(_PICTURES):
            for _ in range(round(config.bus_hz / config.control_hz)):
                simulation.clock.wait()
            images.append(camera.capture().image)
    finally:
        simulation.robot.close()
    return np.array(images)


def noisy(images: Images, rng: np.random.Generator) -> Images:
    """Add a camera's noise to every pixel."""
    return np.clip(images + np.rint(rng.normal(0.0, _NOISE, images.shape)), 0, 255).astype(np.uint8)


@contextmanager
def usb_camera(config: RunConfig, side_px: int) -> Iterator[NewestCamera]:
    """Show noisy pictures 60 times a second to the driver of cameras of metal, and what it reads as square frames of a side."""
    pictures = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in noisy(draw(config, _WIDTH, _HEIGHT), np.random.default_rng(0))]
    shown = CameraConfig(source=DeviceSource(fps=_FPS), width_px=_WIDTH, height_px=_HEIGHT, max_age_s=5.0)
    timer = FrameTimer(_FPS)
    camera = OpenCvCamera.open(shown, lambda _: VirtualCamera(lambda number: pictures[number % _PICTURES], _WIDTH, _HEIGHT, timer))
    with closing(NewestCamera.start(camera, side_px, side_px)) as newest:
        yield newest


def coding(config: RunConfig, side_px: int) -> dict[str, JsonValue]:
    """Encode and decode square frames, one at a time; return their mean size and the median times."""
    drawn = draw(config, side_px, side_px)
    kinds = {"of the simulation": drawn, "with a camera's noise in every pixel": noisy(drawn, np.random.default_rng(0))}
    return {name: _coded(images) for name, images in kinds.items()}


def _coded(images: Images) -> JsonValue:
    sizes, encoded_s, decoded_s = [], [], []
    record = np.zeros(1, frame_dtype(*images.shape[1:3]))
    for image in images:
        record["image"] = image
        start_s = monotonic_s()
        frames = encode(record)
        encoded_s.append(monotonic_s() - start_s)
        frames.images()
        decoded_s.append(monotonic_s() - start_s - encoded_s[-1])
        sizes.append(len(frames.pngs[0]))
    return {
        "bytes per frame": round(float(np.mean(sizes))),
        "encoding, ms": round(1e3 * float(np.median(encoded_s)), 3),
        "decoding, ms": round(1e3 * float(np.median(decoded_s)), 3),
    }
