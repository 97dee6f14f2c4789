"""Puts a body into a random fallen pose: its joints are driven in the air, then it is dropped, turned anyhow, from just above the ground.

Joints are driven rather than set, for a joint that is set knows nothing of the linkage that it closes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pybullet

from sim.dynamics import BASE
from sim.engine import GRAVITY_M_S2, Quaternion
from sim.ground import Ground, slope_quaternion
from sim.model import DIRECTIONS, EXTENSION_MARGIN_RAD, LEGS, SWING_MAX_RAD, SWING_SIGNS

# How long a fallen robot is watched for coming to rest, s.
FALL_MAX_S = 3.0
# Gap between the ground and the lowest corner of the boxes around the links, m; PyBullet's boxes are up to 0.02 m larger than the links.
_CLEARANCE_M = 0.005
# Where joints are driven, without gravity, m above the ground: a leg is at most 0.32 m long.
_AIR_M = 2.0
# An unseen hand turns all joints for the first time and holds them for the second, s, with this torque, N m.
_TURN_S, _HOLD_S, _HAND_NM = 1.0, 0.2, 50.0


def draw_orientation(rng: np.random.Generator) -> Quaternion:
    """Draw an orientation (x, y, z, w), uniform over all rotations: a normal vector of four has no preferred direction."""
    x, y, z, w = rng.normal(size=4).tolist()
    length = math.sqrt(x * x + y * y + z * z + w * w)
    return x / length, y / length, z / length, w / length


def draw_linkages(rng: np.random.Generator, lower_rad: Sequence[float], upper_rad: Sequence[float]) -> tuple[float, ...]:
    """Draw motor angles of the Minitaur's legs, uniform over what linkages and motors allow. Returns shape (8,), rad.

    Args:
        rng: Generator to draw from.
        lower_rad: Of each motor. Shape (8,), rad.
        upper_rad: Same.
    """
    angles: list[float] = []
    for leg, sign in zip(range(len(LEGS)), SWING_SIGNS, strict=True):
        low, high = lower_rad[2 * leg : 2 * leg + 2], upper_rad[2 * leg : 2 * leg + 2]
        while True:
            extension = float(rng.uniform(EXTENSION_MARGIN_RAD, math.pi - EXTENSION_MARGIN_RAD))
            swing = sign * float(rng.uniform(-SWING_MAX_RAD, SWING_MAX_RAD))
            left, right = extension - swing, extension + swing
            if low[0] <= left <= high[0] and low[1] <= right <= high[1]:
                angles += [left, right]
                break
    return tuple(angles)


def let_fall(client: int, body: int, joints: Sequence[int], angles_rad: Sequence[float], orientation: Quaternion, ground: Ground) -> None:
    """Turn the joints in the air, then put the body just above the ground, at rest. Joint motors are left set: give them their friction.

    Args:
        client: Number of the physics client.
        body: The robot.
        joints: Numbers of the driven joints.
        angles_rad: As PyBullet counts. Shape (n,), rad.
        orientation: Of the base.
        ground: Below it.
    """
    pybullet.setGravity(0.0, 0.0, 0.0, physicsClientId=client)
    _put(client, body, (0.0, 0.0, _AIR_M), orientation)
    _turn(client, body, joints, angles_rad)
    pybullet.setGravity(0.0, 0.0, -GRAVITY_M_S2, physicsClientId=client)
    _put(client, body, (0.0, 0.0, _AIR_M), orientation)
    normal = pybullet.rotateVector(slope_quaternion(ground), (0.0, 0.0, 1.0), physicsClientId=client)
    down = _lowest(client, body, normal) - _CLEARANCE_M
    _put(client, body, (-normal[0] * down, -normal[1] * down, _AIR_M - normal[2] * down), orientation)


def intact(client: int, body: int, motors: Sequence[int], knees: Sequence[int]) -> bool:
    """Tell whether each leg of the Minitaur is within its range of motor gaps, and has not turned inside out beyond it.

    Nothing in the simulation stops the linkages there; a fall pushes them beyond, mostly those of soft motors.

    Args:
        client: Number of the physics client.
        body: The robot.
        motors: Joint numbers, left and right of each leg.
        knees: Same.
    """

    def pairs(joints: Sequence[int]) -> Iterable[tuple[float, float]]:
        states = pybullet.getJointStates(body, joints, physicsClientId=client)
        angles = [direction * state[0] for direction, state in zip(DIRECTIONS, states, strict=True)]
        return zip(angles[::2], angles[1::2], strict=True)

    low, high = 2.0 * EXTENSION_MARGIN_RAD, 2.0 * (math.pi - EXTENSION_MARGIN_RAD)
    # Both knees of a leg are equal; after turning inside out, one has gone the other way round and they are a whole turn apart.
    return all(low <= left + right <= high for left, right in pairs(motors)) and all(abs(a - b) < math.pi for a, b in pairs(knees))


def _turn(client: int, body: int, joints: Sequence[int], angles_rad: Sequence[float]) -> None:
    step_s = pybullet.getPhysicsEngineParameters(physicsClientId=client)["fixedTimeStep"]
    start = [state[0] for state in pybullet.getJointStates(body, joints, physicsClientId=client)]
    forces = [_HAND_NM] * len(joints)
    steps = round(_TURN_S / step_s)
    for step in range(1, steps + round(_HOLD_S / step_s) + 1):
        # Straight from pose to pose: between two poses that a linkage allows it allows all.
        share = min(1.0, step / steps)
        targets = [first + share * (last - first) for first, last in zip(start, angles_rad, strict=True)]
        pybullet.setJointMotorControlArray(
            body, joints, pybullet.POSITION_CONTROL, targetPositions=targets, forces=forces, physicsClientId=client
        )
        pybullet.stepSimulation(physicsClientId=client)


def _put(client: int, body: int, position_m: Sequence[float], orientation: Quaternion) -> None:
    pybullet.resetBasePositionAndOrientation(body, position_m, orientation, physicsClientId=client)
    pybullet.resetBaseVelocity(body, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), physicsClientId=client)


def _lowest(client: int, body: int, normal: Sequence[float]) -> float:
    """Return the distance, m, between the plane through the origin and the lowest corner of the boxes around all links."""
    count = pybullet.getNumJoints(body, physicsClientId=client)
    boxes = [pybullet.getAABB(body, link, physicsClientId=client) for link in range(BASE, count)]
    corners = (corner for low, high in boxes for corner in itertools.product(*zip(low, high, strict=True)))
    return min(math.fsum(a * b for a, b in zip(corner, normal, strict=True)) for corner in corners)
