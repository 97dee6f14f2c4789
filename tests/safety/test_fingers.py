"""Laws of the distances between fingers, against PyBullet's kinematics and closest points, and against points on the links."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pybullet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safety.fingers import Capsule, Fingers
from tests.safety.claw import (
    AZIMUTHS,
    BASE_RADIUS_M,
    CAPSULES,
    FINGERS,
    HIGHEST,
    HOME,
    LOWEST,
    MARGIN_M,
    MIDDLE_M,
    SIDE_M,
    STROKE,
    gap,
    poses,
)

PAIRS = list(itertools.combinations(range(3), 2))
angles = st.floats(-math.pi, math.pi)
claws = st.lists(angles, min_size=9, max_size=9).map(np.array)


def urdf() -> str:
    """Return the claw as a URDF: x of a finger along the axis of middle and tip, y outwards, z along it."""
    links, joints = ['<link name="palm"/>'], []
    for finger, azimuth in enumerate(AZIMUTHS):
        for link in range(3):
            shapes = "".join(
                f'<collision><origin xyz="0 0 {0.5 * (part.from_m + part.to_m)}"/><geometry>'
                f'<capsule radius="{part.radius_m}" length="{part.to_m - part.from_m}"/></geometry></collision>'
                for part in CAPSULES
                if part.link == link
            )
            links.append(
                f'<link name="l{finger}{link}"><inertial><mass value="0.1"/>'
                f'<inertia ixx="1e-4" iyy="1e-4" izz="1e-4" ixy="0" ixz="0" iyz="0"/></inertial>{shapes}</link>'
            )
            place = (
                f'xyz="{BASE_RADIUS_M * math.cos(azimuth)} {BASE_RADIUS_M * math.sin(azimuth)} 0" rpy="0 0 {azimuth - math.pi / 2.0}"'
                if link == 0
                else f'xyz="0 0 {(SIDE_M, MIDDLE_M)[link - 1]}"'
            )
            joints.append(
                f'<joint name="j{finger}{link}" type="continuous"><parent link="{"palm" if link == 0 else f"l{finger}{link - 1}"}"/>'
                f'<child link="l{finger}{link}"/><origin {place}/><axis xyz="{"0 1 0" if link == 0 else "1 0 0"}"/></joint>'
            )
    return f'<robot name="claw">{"".join(links + joints)}</robot>'


class World:
    """The same claw in PyBullet."""

    def __init__(self, folder: Path) -> None:
        self._client = pybullet.connect(pybullet.DIRECT)
        path = folder / "claw.urdf"
        path.write_text(urdf())
        self._body = pybullet.loadURDF(str(path), useFixedBase=True, flags=pybullet.URDF_USE_SELF_COLLISION, physicsClientId=self._client)
        names = [pybullet.getJointInfo(self._body, joint, physicsClientId=self._client)[1].decode() for joint in range(9)]
        self._joints = [names.index(f"j{finger}{link}") for finger in range(3) for link in range(3)]

    def put(self, pose: np.ndarray) -> None:
        for joint, angle in zip(self._joints, pose, strict=True):
            pybullet.resetJointState(self._body, joint, float(angle), physicsClientId=self._client)
        pybullet.performCollisionDetection(physicsClientId=self._client)

    def link(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return direction and joint of a link."""
        state = pybullet.getLinkState(self._body, self._joints[number], computeForwardKinematics=True, physicsClientId=self._client)
        return np.array(pybullet.getMatrixFromQuaternion(state[5])).reshape(3, 3)[:, 2], np.array(state[4])

    def distance(self, one: int, two: int) -> float:
        """Return the smallest distance between two fingers."""
        return min(
            point[8]
            for a, b in itertools.product(range(3), range(3))
            for point in pybullet.getClosestPoints(
                self._body, self._body, 1.0, self._joints[3 * one + a], self._joints[3 * two + b], physicsClientId=self._client
            )
        )

    def close(self) -> None:
        pybullet.disconnect(self._client)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_links_are_where_pybullet_has_them(world: World) -> None:
    drawn = poses(50)
    directions, joints = FINGERS.links(drawn)
    assert directions.shape == joints.shape == (50, 9, 3)
    for pose, ways, places in zip(drawn, directions, joints, strict=True):
        world.put(pose)
        for number in range(9):
            way, place = world.link(number)
            np.testing.assert_allclose(ways[number], way, atol=1e-6)
            np.testing.assert_allclose(places[number], place, atol=1e-6)


def test_fingers_that_do_not_overlap_are_as_far_apart_as_pybullet_says(world: World) -> None:
    drawn = np.concatenate([poses(150), [HOME, np.zeros(9), STROKE]])
    compared = 0
    for pose, row in zip(drawn, FINGERS.distances(drawn), strict=True):
        world.put(pose)
        for (one, two), distance in zip(PAIRS, row, strict=True):
            other = world.distance(one, two)
            # How deep axes that cross overlap is a matter of definition; that they do is none.
            assert (distance < 0.0) == (other < 0.0) or abs(distance - other) < 1e-5
            if distance > 0.0:
                np.testing.assert_allclose(distance, other, atol=1e-5)
                compared += 1
    assert compared > 200


def samples(fingers: Fingers, capsules: tuple[Capsule, ...], pose: np.ndarray, finger: int, count: int) -> list[tuple[np.ndarray, float]]:
    """Return points on the axes of a finger's capsules, with their radii."""
    ways, places = fingers.links(pose[None])
    share = np.linspace(0.0, 1.0, count)[:, None]
    return [
        (
            places[0, 3 * finger + part.link] + (part.from_m + share * (part.to_m - part.from_m)) * ways[0, 3 * finger + part.link],
            part.radius_m,
        )
        for part in capsules
    ]


@settings(max_examples=100, deadline=None)
@given(claws)
def test_no_two_points_on_the_axes_are_nearer_and_some_are_as_near(pose: np.ndarray) -> None:
    count = 60
    spacing = 0.0675 / (count - 1)
    for (one, two), distance in zip(PAIRS, FINGERS.distances(pose[None])[0], strict=True):
        nearest = min(
            float(np.linalg.norm(a[:, None] - b[None], axis=-1).min()) - p - q
            for a, p in samples(FINGERS, CAPSULES, pose, one, count)
            for b, q in samples(FINGERS, CAPSULES, pose, two, count)
        )
        assert distance <= nearest + 1e-9
        assert distance >= nearest - spacing


@given(claws)
def test_the_names_of_the_fingers_do_not_matter(pose: np.ndarray) -> None:
    swapped = Fingers(BASE_RADIUS_M, AZIMUTHS[::-1], SIDE_M, MIDDLE_M, CAPSULES)
    there, back = FINGERS.distances(pose[None])[0], swapped.distances(pose.reshape(3, 3)[::-1].reshape(1, 9))[0]
    np.testing.assert_allclose(back, there[::-1], atol=1e-9)


@given(claws)
def test_a_claw_turned_by_a_third_of_a_turn_is_the_same_claw(pose: np.ndarray) -> None:
    there = FINGERS.distances(pose[None])[0]
    turned = FINGERS.distances(np.roll(pose, 3)[None])[0]
    # Each finger in the place of the one before: pairs (0, 1), (0, 2), (1, 2) are (2, 0), (2, 1), (0, 1) of before.
    np.testing.assert_allclose(turned, there[[1, 2, 0]], atol=1e-9)


def straight(radius_m: float, base_m: float = 0.03) -> float:
    """Return the distance of two fingers that hang straight down, opposite each other."""
    two = Fingers(base_m, (0.0, math.pi), SIDE_M, MIDDLE_M, (Capsule(0, 0.0, SIDE_M, radius_m), Capsule(2, 0.01, 0.04, radius_m)))
    return float(two.distances(np.zeros((1, 6)))[0, 0])


def test_capsules_that_touch_have_no_distance_and_those_that_overlap_a_negative_one() -> None:
    assert straight(0.02) == pytest.approx(0.02, abs=1e-12)
    assert straight(0.03) == pytest.approx(0.0, abs=1e-12)
    assert straight(0.04) == pytest.approx(-0.02, abs=1e-12)
    # Axes on each other.
    assert straight(0.01, base_m=0.0) == pytest.approx(-0.02, abs=1e-9)


def test_a_pose_has_the_distances_that_it_has_among_others() -> None:
    drawn = poses(7)
    together = FINGERS.distances(drawn)
    assert together.shape == (7, 3)
    for pose, row in zip(drawn, together, strict=True):
        np.testing.assert_allclose(FINGERS.distances(pose[None])[0], row, atol=1e-12)
    four = Fingers(0.06, (0.0, 1.5, 3.0, 4.5), SIDE_M, MIDDLE_M, CAPSULES)
    assert four.joints == 12
    assert four.distances(np.zeros((2, 12))).shape == (2, 6)


@pytest.mark.parametrize("pose", [HOME, np.zeros(9), STROKE])
@pytest.mark.parametrize("side", [-0.45, 0.0, 0.45])
def test_the_poses_of_a_claw_that_works_are_outside_of_the_margin(pose: np.ndarray, side: float) -> None:
    moved = pose.copy()
    moved[::3] = side
    assert gap(moved) > MARGIN_M


def test_many_poses_within_the_joints_ranges_are_none_for_a_claw() -> None:
    # What boxes alone let through.
    drawn = np.random.default_rng(0).uniform(LOWEST, HIGHEST, (2000, 9))
    assert (FINGERS.distances(drawn).min(axis=1) < 0.0).mean() > 0.3
