"""A PyBullet world before a robot is in it, and what all robots ask of it.

Every call names its client: two worlds in one process do not know of each other.
"""

from __future__ import annotations

import ctypes
import math
import os
from typing import Protocol

import pybullet
import pybullet_data

from robot.errors import UsageError
from robot.types import BodyMotion
from sim.config import RendererKind
from sim.ground import Ground, keep_ground_below, lay_ground
from sim.renderer import draw_by

# Standard gravity, m/s^2 (ISO 80000-3).
GRAVITY_M_S2 = 9.80665

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


class WorldSettings(Protocol):
    """What a configuration says of its world."""

    @property
    def physics_hz(self) -> int:
        """Physics steps per second."""

    @property
    def solver_iterations(self) -> int:
        """Of the constraint solver, in each step."""

    @property
    def ground(self) -> Ground:
        """What the robot stands on."""

    @property
    def gui(self) -> bool:
        """Show a window."""

    @property
    def renderer(self) -> RendererKind:
        """What draws pictures."""


def open_world(settings: WorldSettings) -> int:
    """Connect, set the engine up and lay the ground; return the number of the physics client.

    Raises:
        UsageError: If a window is asked for and there is no display, or OpenGL and there is no EGL.
    """
    client = _connect(settings.gui)
    try:
        draw_by(settings.renderer, client)
    except UsageError:
        pybullet.disconnect(physicsClientId=client)
        raise
    pybullet.resetSimulation(physicsClientId=client)
    # Without it, restoring a state does not restore the order of contacts, and episodes of one seed differ (measured).
    pybullet.setPhysicsEngineParameter(deterministicOverlappingPairs=1, physicsClientId=client)
    pybullet.setPhysicsEngineParameter(
        fixedTimeStep=1.0 / settings.physics_hz,
        numSolverIterations=settings.solver_iterations,
        enableConeFriction=0,
        physicsClientId=client,
    )
    pybullet.setGravity(0.0, 0.0, -GRAVITY_M_S2, physicsClientId=client)
    pybullet.setAdditionalSearchPath(pybullet_data.getDataPath(), physicsClientId=client)
    lay_ground(client, settings.ground)
    return client


def _connect(gui: bool) -> int:
    if gui:
        _require_display()
    client = int(pybullet.connect(pybullet.GUI if gui else pybullet.DIRECT))
    if client < 0:
        raise UsageError("PyBullet could not start its window: close other windows of it, or set gui to false")
    return client


def _require_display() -> None:
    """Refuse before PyBullet does: without an X server it ends the process."""
    name = os.environ.get("DISPLAY", "")
    try:
        xlib = ctypes.CDLL("libX11.so.6")
    except OSError:
        xlib = None
    if name and xlib is not None:
        xlib.XOpenDisplay.restype = ctypes.c_void_p
        xlib.XCloseDisplay.argtypes = [ctypes.c_void_p]
        display = xlib.XOpenDisplay(None)
        if display:
            xlib.XCloseDisplay(display)
            return
    raise UsageError(f"gui needs an X display and DISPLAY={name!r} gives none: set DISPLAY, or set gui to false and render a video instead")


def body_motion(client: int, body: int) -> BodyMotion:
    """Return where a body's base is and how it moves, exact and of now; the ground stays below it, however far it walks."""
    position, quaternion = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
    linear, angular = pybullet.getBaseVelocity(body, physicsClientId=client)
    keep_ground_below(client, position)
    return BodyMotion(position, quaternion, linear, angular)


def pull(client: int, body: int, force_world_n: Vector) -> None:
    """Pull at the centre of a body's base in the coming physics step. Shape (3,), N."""
    position, _ = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
    pybullet.applyExternalForce(body, -1, force_world_n, position, pybullet.WORLD_FRAME, physicsClientId=client)


def upright(quaternion: Quaternion, ground: Quaternion) -> float:
    """Return the cosine between the base's and the ground's vertical axes from their orientations (x, y, z, w)."""

    def vertical(q: Quaternion) -> Vector:
        x, y, z, w = q
        return 2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)

    return math.fsum(a * b for a, b in zip(vertical(quaternion), vertical(ground), strict=True))


def whole_steps(bus_period_s: float, physics_hz: int) -> int:
    """Return the physics steps in a bus period. Raises UsageError unless they are whole."""
    steps = bus_period_s * physics_hz
    if not 0.5 <= steps < float("inf") or abs(steps - round(steps)) > 1e-6:
        # 10 Hz is the slowest that a policy acts at (docs/time.md).
        valid = [rate for rate in range(10, physics_hz + 1) if physics_hz % rate == 0]
        raise UsageError(
            f"a bus period of {bus_period_s:.6g} s is no whole number of physics steps at {physics_hz} Hz: use a bus_hz of "
            f"{', '.join(map(str, valid))}"
        )
    return round(steps)
