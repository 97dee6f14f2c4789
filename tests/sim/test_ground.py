"""The grounds load, carry the robot and are what their configuration says."""

from __future__ import annotations

import math

import numpy as np
import pybullet
import pytest

from sim import BlocksGround, FlatGround, GroundConfig, MinitaurConfig, SlopeGround, StepsGround, simulate_minitaur
from sim.world import World
from tests.sim.gaits import hold, legs, trot

GROUNDS = [FlatGround(), SlopeGround(angle_rad=0.2), SlopeGround(angle_rad=-0.2), BlocksGround(height_max_m=0.05), StepsGround()]


def height_m(world: World, x: float, y: float) -> float:
    """Height of the ground at a place beside the robot."""
    hit = pybullet.rayTest((x, y, 5.0), (x, y, -5.0), physicsClientId=world.client)[0]
    return float(hit[3][2])


@pytest.mark.parametrize("ground", GROUNDS, ids=lambda ground: ground.kind)
def test_the_robot_stands_on_every_ground(ground: GroundConfig) -> None:
    simulation = simulate_minitaur(MinitaurConfig(ground=ground), 100.0)
    simulation.robot.reset(np.random.default_rng(1))
    hold(simulation, legs(2.0, 0.0), 3.0)
    state = simulation.robot.read()
    simulation.robot.close()
    assert state.imu is not None
    assert state.tracked_base is not None
    slope = ground.angle_rad if isinstance(ground, SlopeGround) else 0.0
    rotation = state.imu.rotation_base_to_world
    assert math.acos(min(1.0, rotation[2, 2])) == pytest.approx(abs(slope), abs=0.1)
    # Uphill is +x for a positive slope: there the base's x axis points upwards.
    assert rotation[2, 0] == pytest.approx(math.sin(slope), abs=0.1)
    assert np.abs(state.tracked_base.velocity_world_m_s).max() < 0.03


@pytest.mark.parametrize("ground", GROUNDS[:3], ids=["flat", "up", "down"])
def test_the_plane_has_no_edge(ground: GroundConfig) -> None:
    simulation = simulate_minitaur(MinitaurConfig(ground=ground), 100.0)
    robot, client, body = simulation.robot, simulation.robot.world.client, simulation.robot.world.body
    robot.reset(np.random.default_rng(1))
    slope = math.tan(ground.angle_rad) if isinstance(ground, SlopeGround) else 0.0

    def height_above_ground_m() -> float:
        tracked = robot.read().tracked_base
        assert tracked is not None
        return float(tracked.position_world_m[2] - slope * tracked.position_world_m[0])

    hold(simulation, legs(2.0, 0.0), 1.0)
    before_m = height_above_ground_m()
    # Carried on by hand: to 600 m from where it began, three times the plane's half.
    for _ in range(20):
        (x, y, z), orientation = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
        pybullet.resetBasePositionAndOrientation(body, (x + 30.0, y - 10.0, z + 30.0 * slope), orientation, physicsClientId=client)
        hold(simulation, legs(2.0, 0.0), 0.3)
        assert height_above_ground_m() == pytest.approx(before_m, abs=0.02)
    robot.reset(np.random.default_rng(1))
    hold(simulation, legs(2.0, 0.0), 1.0)
    assert height_above_ground_m() == pytest.approx(before_m, abs=1e-6)
    robot.close()


def test_a_trot_goes_on_while_the_plane_moves() -> None:
    simulation = simulate_minitaur(MinitaurConfig(), 100.0)
    robot, client, body = simulation.robot, simulation.robot.world.client, simulation.robot.world.body
    robot.reset(np.random.default_rng(1))
    (_, _, z), orientation = pybullet.getBasePositionAndOrientation(body, physicsClientId=client)
    pybullet.resetBasePositionAndOrientation(body, (39.8, 0.0, z), orientation, physicsClientId=client)
    heights = []
    for _ in range(400):
        robot.write(trot(simulation.clock.now_s()))
        simulation.clock.wait()
        tracked = robot.read().tracked_base
        assert tracked is not None
        heights.append(tracked.position_world_m[2])
    assert tracked.position_world_m[0] > 40.5
    assert min(heights[50:]) > 0.12
    assert np.abs(np.diff(heights[50:])).max() < 0.01
    robot.close()


def test_blocks_follow_from_their_seed_lie_within_their_height_and_leave_the_start_flat() -> None:
    def heights(seed: int) -> list[float]:
        simulation = simulate_minitaur(MinitaurConfig(ground=BlocksGround(seed=seed, height_max_m=0.1)), 100.0)
        world = simulation.robot.world
        assert height_m(world, 0.45, 0.45) == pytest.approx(0.0, abs=1e-6)
        found = [height_m(world, 0.6 + 0.25 * i, 0.1 + 0.25 * j) for i in range(8) for j in range(3)]
        simulation.robot.close()
        return found

    first = heights(1)
    assert heights(1) == first
    assert heights(2) != first
    assert 0.0 <= min(first) < max(first) <= 0.1


def test_steps_rise_one_by_one() -> None:
    simulation = simulate_minitaur(MinitaurConfig(ground=StepsGround(rise_m=0.03, run_m=0.3, count=4)), 100.0)
    found = [height_m(simulation.robot.world, 0.65 + 0.3 * index, 0.0) for index in range(4)]
    simulation.robot.close()
    np.testing.assert_allclose(found, [0.03, 0.06, 0.09, 0.12], atol=1e-6)


def test_a_slope_rises_towards_x() -> None:
    simulation = simulate_minitaur(MinitaurConfig(ground=SlopeGround(angle_rad=0.2)), 100.0)
    assert height_m(simulation.robot.world, 2.0, 1.0) == pytest.approx(2.0 * math.tan(0.2), abs=1e-3)
    simulation.robot.close()
