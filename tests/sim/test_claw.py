"""Laws of the simulated claw: it stands where its description says, its fingers turn the valve, and a seed is an episode."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pybullet
import pytest

from fetlock.guarding import fingers_of
from robot import Command, UsageError, frozen_array
from robot.description import load_description
from sim import ClawConfig, ServoSimulation, simulate_servos
from sim.claw import ValveConfig
from sim.claw.config import ClawRandomisationConfig
from sim.claw.model import PALM_HEIGHT_M
from sim.claw.textures import surfaces
from sim.claw.view import ClawViewConfig, ViewRandomisationConfig
from tests.sim.claws import episodes_seen

# Side, middle and tip: beside a lobe, over it, and behind the stroke.
LIFTED, DOWN = (-0.6, -0.07), (0.25, -0.07)


@pytest.fixture(scope="module")
def claw() -> Iterator[ServoSimulation]:
    made = simulate_servos(ClawConfig(), 100.0)
    yield made
    made.robot.close()


def go(claw: ServoSimulation, side: float, middle: float, tip: float, seconds: float) -> None:
    for _ in range(round(100.0 * seconds)):
        claw.robot.write(Command(frozen_array(np.tile([side, middle, tip], 3))))
        claw.clock.wait()


def test_its_links_are_where_the_fingers_of_the_guard_are(claw: ServoSimulation) -> None:
    claw.robot.reset(np.random.default_rng(3))
    world, state = claw.robot.world, claw.robot.read()
    way, joints = fingers_of(load_description("claw")).links(state.joints.position_rad[None])
    numbers = claw.robot._physics._numbers
    for place, number in enumerate(numbers):
        frame = pybullet.getLinkState(world.body, number, computeForwardKinematics=1, physicsClientId=world.client)
        # The palm hangs upside down, turned about x.
        np.testing.assert_allclose(frame[4], joints[0, place] * [1, -1, -1] + [0, 0, PALM_HEIGHT_M], atol=2e-3)
        along = pybullet.rotateVector(frame[5], (0.0, 0.0, 1.0), physicsClientId=world.client)
        np.testing.assert_allclose(along, way[0, place] * [1, -1, -1], atol=4e-3)


@pytest.mark.parametrize("direction", [1.0, -1.0])
@pytest.mark.parametrize("lobes", [3, 4])
def test_strokes_of_all_fingers_turn_the_valve_either_way(direction: float, lobes: int) -> None:
    made = simulate_servos(ClawConfig(valve=ValveConfig(lobes=lobes), tip_friction=0.5), 100.0)
    # No lobe is where a finger comes down, on which it would stand.
    made.robot.reset(np.random.default_rng(1))
    before = made.robot.read().tracked_object.angle_rad
    for _ in range(3):
        go(made, -0.45 * direction, *LIFTED, 0.5)
        go(made, -0.45 * direction, *DOWN, 0.5)
        go(made, 0.45 * direction, *DOWN, 0.5)
    turned = made.robot.read().tracked_object.angle_rad - before
    assert direction * turned > 1.5
    made.robot.close()


def test_a_valve_that_nobody_turns_stays_and_a_hand_turns_it(claw: ServoSimulation) -> None:
    claw.robot.reset(np.random.default_rng(0))
    before = claw.robot.read().tracked_object.angle_rad
    go(claw, 0.0, -1.047, 1.047, 0.5)
    assert claw.robot.read().tracked_object.angle_rad == before
    claw.robot.turn_by_hand(0.2, 0.3)
    go(claw, 0.0, -1.047, 1.047, 0.5)
    state = claw.robot.read().tracked_object
    # 0.2 N m against 0.1 N m per rad/s for 0.3 s.
    assert state.angle_rad - before == pytest.approx(0.6, abs=0.1)
    assert state.velocity_rad_s == 0.0
    with pytest.raises(UsageError, match=r"finite torque and a positive, finite duration: got nan N m for 1\.0 s"):
        claw.robot.turn_by_hand(math.nan, 1.0)


def test_its_own_motor_turns_the_valve_anywhere_it_reaches_and_lets_it_go(claw: ServoSimulation) -> None:
    claw.robot.reset(np.random.default_rng(1))
    for goal in (2.9, -2.9):
        assert list(claw.robot.turn_object(goal)) == []
        go(claw, 0.0, -1.047, 1.047, 4.5)
        assert claw.robot.read().tracked_object.angle_rad == pytest.approx(goal, abs=0.02)
    with pytest.raises(UsageError, match=r"valve cannot be turned to 3\.5 rad: it reaches -3\.1 to 3\.1"):
        claw.robot.turn_object(3.5)
    claw.robot.release_object()
    claw.robot.turn_by_hand(0.1, 0.3)
    go(claw, 0.0, -1.047, 1.047, 0.4)
    assert claw.robot.read().tracked_object.angle_rad > -2.8


def test_a_seed_is_an_episode_and_start_angles_cover_the_circle(claw: ServoSimulation) -> None:
    angles = []
    for seed in (*range(30), 7):
        claw.robot.reset(np.random.default_rng(seed))
        angles.append(claw.robot.read().tracked_object.angle_rad)
    assert angles[7] == angles[-1]
    assert min(angles) < -2.0
    assert max(angles) > 2.0
    go(claw, 0.3, 0.25, 0.0, 1.0)
    first = claw.robot.read()
    claw.robot.reset(np.random.default_rng(7))
    go(claw, 0.3, 0.25, 0.0, 1.0)
    np.testing.assert_array_equal(first.joints.position_rad, claw.robot.read().joints.position_rad)


def test_what_is_randomised_differs_by_seed_and_what_is_seen_changes_nothing_of_what_happens() -> None:
    drawn = ClawRandomisationConfig(enabled=True)
    seen = ClawViewConfig(randomise=ViewRandomisationConfig(enabled=True))
    plain, painted = (simulate_servos(ClawConfig(randomise=drawn, **more), 100.0) for more in ({}, {"view": seen}))
    pictures, episodes, states = [], [], []
    for made in (plain, painted):
        for seed in (1, 2):
            made.robot.reset(np.random.default_rng(seed))
            episodes.append(made.robot._physics.episode)
            pictures.append(made.camera(32, 32).capture().image)
            go(made, 0.2, 0.2, 0.0, 0.5)
            states.append(made.robot.read().joints.position_rad)
    assert episodes[0] != episodes[1]
    assert episodes[:2] == episodes[2:]
    for one, other in zip(states[:2], states[2:], strict=True):
        np.testing.assert_array_equal(one, other)
    assert (pictures[0] != pictures[2]).mean() > 0.5
    plain.robot.close()
    painted.robot.close()


def views(textured: float) -> list[np.ndarray]:
    view = ClawViewConfig(randomise=ViewRandomisationConfig(enabled=True, textured=textured))
    return episodes_seen(ClawConfig(view=view), 30)


def test_the_table_has_surfaces_that_are_the_same_on_every_machine() -> None:
    first, again = surfaces(), surfaces()
    assert [one.tobytes() for one in first] == [one.tobytes() for one in again]
    assert len({one.tobytes() for one in first}) == len(first)
    assert {(one.shape, one.dtype.name) for one in first} == {((64, 64, 3), "uint8")}
    assert all(one.std() > 20 for one in first)


def test_so_many_episodes_have_a_table_that_is_not_plain() -> None:
    plain = views(0.0)
    for textured, least, most in (0.5, 5, 25), (1.0, 30, 30):
        others = [np.abs(one - other).max(axis=2) > 0 for one, other in zip(plain, views(textured), strict=True)]
        assert least <= sum(bool(different.any()) for different in others) <= most
        # It is the table that has another surface, not what stands on it.
        assert all(different[20:40, 28:36].mean() < 0.5 for different in others)


def test_the_coloured_lobe_is_seen_to_turn(claw: ServoSimulation) -> None:
    camera = claw.camera(32, 32)
    columns = []
    for angle in (1.2, -1.2):
        claw.robot.turn_object(angle)
        go(claw, 0.0, -1.047, 1.047, 3.0)
        image = camera.capture().image.astype(float)
        red = (image[:, :, 0] > 1.5 * image[:, :, 1]) & (image[:, :, 0] > 60)
        assert red.sum() > 10
        columns.append(np.nonzero(red)[1].mean())
    claw.robot.release_object()
    # Seen along -x, what lies towards +y is on the right.
    assert columns[0] > columns[1] + 5


def test_a_claw_neither_falls_nor_is_pushed(claw: ServoSimulation) -> None:
    with pytest.raises(UsageError, match="bolted down and cannot fall"):
        claw.robot.drop(np.random.default_rng(0))
    with pytest.raises(UsageError, match="a push moves nothing"):
        claw.robot.push((1.0, 0.0, 0.0), 0.1)
    assert claw.robot.feet_down() == {}
