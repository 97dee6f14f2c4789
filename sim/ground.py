"""The ground: flat, sloped, blocks or steps. All bodies are static and lie before any state is saved."""

from __future__ import annotations

import math

import numpy as np
import pybullet

from sim.config import BlocksGround, FlatGround, SlopeGround, StepsGround

# Half-size of the flat place at the origin on which every episode starts, m: the robot's feet span +-0.25 m.
_START_HALF_M = 0.5
# The plane of bullet3's plane.urdf ends 100 m from its centre. A robot that has come this far from the origin has it moved below itself, in
# whole steps that keep the checkerboard where it was, m.
_FAR_M, _STEP_M = 40.0, 50.0
# The first body of a world.
PLANE = 0
# Boxes reach this far below the plane, so that no face coincides with it, m.
_DEPTH_M = 0.1
# Two greys, so that steps can be told apart in a video. RGBA.
_COLOURS = ((0.62, 0.64, 0.68, 1.0), (0.52, 0.55, 0.60, 1.0))

Ground = FlatGround | SlopeGround | BlocksGround | StepsGround


def slope_quaternion(ground: Ground) -> tuple[float, float, float, float]:
    """Return the orientation of the ground at the origin, (x, y, z, w): where +x rises, the rotation about y is negative."""
    angle = ground.angle_rad if isinstance(ground, SlopeGround) else 0.0
    return (0.0, math.sin(-angle / 2.0), 0.0, math.cos(angle / 2.0))


def lay_ground(client: int, ground: Ground) -> None:
    """Load the ground into an empty world: a checkerboard plane and, on it, the boxes of `ground`."""
    pybullet.loadURDF("plane.urdf", baseOrientation=slope_quaternion(ground), physicsClientId=client)
    if isinstance(ground, BlocksGround):
        _lay_blocks(client, ground)
    elif isinstance(ground, StepsGround):
        _lay_steps(client, ground)


def keep_ground_below(client: int, position_world_m: tuple[float, float, float]) -> None:
    """Move the plane on, within itself, under a robot that has walked far: it has no edge to fall from. `restoreState` puts it back.

    Args:
        client: Number of the physics client.
        position_world_m: Of the robot's base.
    """
    if abs(position_world_m[0]) < _FAR_M and abs(position_world_m[1]) < _FAR_M:
        return
    present, (x, y, z, w) = pybullet.getBasePositionAndOrientation(PLANE, physicsClientId=client)
    along, aside, _ = pybullet.rotateVector((-x, -y, -z, w), position_world_m, physicsClientId=client)
    below = (_STEP_M * round(along / _STEP_M), _STEP_M * round(aside / _STEP_M), 0.0)
    centre = pybullet.rotateVector((x, y, z, w), below, physicsClientId=client)
    if math.dist(present, centre) > 0.5 * _STEP_M:
        pybullet.resetBasePositionAndOrientation(PLANE, centre, (x, y, z, w), physicsClientId=client)


def _lay_blocks(client: int, ground: BlocksGround) -> None:
    rng = np.random.default_rng(ground.seed)
    half = ground.size_m / 2.0
    columns, rows = (max(1, round(extent / ground.size_m)) for extent in (ground.length_m, ground.width_m))
    for column in range(columns):
        for row in range(rows):
            height = float(rng.uniform(0.0, ground.height_max_m))
            x, y = _START_HALF_M + half + column * ground.size_m, (row - (rows - 1) / 2.0) * ground.size_m
            _add_box(client, (half, half), (x, y), height, (column + row) % 2)


def _lay_steps(client: int, ground: StepsGround) -> None:
    half = ground.run_m / 2.0
    for index in range(ground.count):
        x = _START_HALF_M + half + index * ground.run_m
        _add_box(client, (half, ground.width_m / 2.0), (x, 0.0), (index + 1) * ground.rise_m, index % 2)


def _add_box(client: int, half_size_m: tuple[float, float], centre_m: tuple[float, float], top_m: float, colour: int) -> None:
    half = (*half_size_m, (top_m + _DEPTH_M) / 2.0)
    body = pybullet.createMultiBody(
        baseMass=0.0,
        baseCollisionShapeIndex=pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half, physicsClientId=client),
        baseVisualShapeIndex=pybullet.createVisualShape(
            pybullet.GEOM_BOX, halfExtents=half, rgbaColor=_COLOURS[colour], physicsClientId=client
        ),
        basePosition=(*centre_m, top_m - half[2]),
        physicsClientId=client,
    )
    # As the plane's: the foot's friction alone then decides.
    pybullet.changeDynamics(body, -1, lateralFriction=1.0, physicsClientId=client)
