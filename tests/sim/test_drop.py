"""Laws of falling: any side down, at rest, from its seed alone, and nothing of it left after a reset."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from robot import ClosedError, Command
from robot.types import FloatArray, RobotState
from sim import (
    DynamixelMinitaurConfig,
    KittyConfig,
    MinitaurConfig,
    RandomisationConfig,
    ServoRandomisationConfig,
    SimulatedMinitaur,
    SimulatedServoRobot,
    Simulation,
    SlopeGround,
    describe,
    simulate_minitaur,
    simulate_servos,
)
from sim.fall import draw_linkages, draw_orientation
from sim.model import EXTENSION_MARGIN_RAD, SWING_MAX_RAD

Faller = Simulation[SimulatedMinitaur] | Simulation[SimulatedServoRobot]
MAKERS = {
    "minitaur": lambda: simulate_minitaur(MinitaurConfig(), 100.0),
    "minitaur_dynamixel": lambda: simulate_servos(DynamixelMinitaurConfig(), 100.0),
    "kitty": lambda: simulate_servos(KittyConfig(), 100.0),
    "randomised minitaur": lambda: simulate_minitaur(MinitaurConfig(randomise=RandomisationConfig(enabled=True)), 100.0),
    "randomised kitty": lambda: simulate_servos(KittyConfig(randomise=ServoRandomisationConfig(enabled=True), self_collision=True), 100.0),
}


@pytest.fixture(scope="module", params=list(MAKERS))
def faller(request: pytest.FixtureRequest) -> Iterator[Faller]:
    made = MAKERS[request.param]()
    yield made
    made.robot.close()


def row(state: RobotState) -> FloatArray:
    assert state.imu is not None
    assert state.tracked_base is not None
    return np.concatenate(
        [
            state.joints.position_rad,
            state.joints.velocity_rad_s,
            state.imu.rotation_base_to_world.ravel(),
            state.imu.angular_velocity_base_rad_s,
            state.tracked_base.position_world_m,
            state.tracked_base.velocity_world_m_s,
        ]
    )


def rows_after(simulation: Faller, seed: int, ticks: int = 20) -> FloatArray:
    simulation.robot.drop(np.random.default_rng(seed))
    rows = [row(simulation.robot.read())]
    for _ in range(ticks):
        simulation.clock.wait()
        rows.append(row(simulation.robot.read()))
    return np.array(rows)


def test_a_fall_follows_from_its_seed_whatever_came_before(faller: Faller) -> None:
    first = rows_after(faller, 3)
    other = rows_after(faller, 4)
    assert not np.array_equal(first, other)
    faller.robot.push((20.0, 30.0, 0.0), 0.2)
    faller.clock.wait()
    np.testing.assert_array_equal(rows_after(faller, 3), first)


def test_an_episode_after_a_fall_is_as_if_there_had_been_none(faller: Faller) -> None:
    faller.robot.reset(np.random.default_rng(7))
    before = row(faller.robot.read())
    faller.robot.drop(np.random.default_rng(1))
    faller.robot.reset(np.random.default_rng(7))
    np.testing.assert_array_equal(row(faller.robot.read()), before)


def test_robots_lie_on_every_side_at_rest_on_the_ground(faller: Faller) -> None:
    verticals = []
    for seed in range(16):
        faller.robot.drop(np.random.default_rng(seed))
        state = faller.robot.read()
        assert state.imu is not None
        assert state.tracked_base is not None
        verticals.append(state.imu.rotation_base_to_world[2, 2])
        assert np.abs(state.joints.velocity_rad_s).max() < 1.0
        assert np.abs(state.imu.angular_velocity_base_rad_s).max() < 1.0
        assert np.abs(state.tracked_base.velocity_world_m_s).max() < 0.1
        assert 0.0 < state.tracked_base.position_world_m[2] < 0.35
    assert sum(vertical < -0.8 for vertical in verticals) >= 3
    assert sum(vertical > 0.8 for vertical in verticals) >= 3
    assert sum(vertical < 0.9 for vertical in verticals) >= 4


@pytest.mark.parametrize("kind", ["kitty", "minitaur_dynamixel"])
def test_the_joints_of_a_fallen_robot_are_held_within_their_limits(kind: str) -> None:
    simulation = simulate_servos(KittyConfig() if kind == "kitty" else DynamixelMinitaurConfig(), 100.0)
    joints = describe(KittyConfig() if kind == "kitty" else DynamixelMinitaurConfig()).joints
    drawn = []
    for seed in range(5):
        simulation.robot.drop(np.random.default_rng(seed))
        held = np.array(simulation.robot.conditions.start_rad)
        assert all(joint.lower_rad <= angle <= joint.upper_rad for joint, angle in zip(joints, held, strict=True))
        # Weight on a leg makes its servo give way.
        np.testing.assert_allclose(simulation.robot.read().joints.position_rad, held, atol=0.45)
        drawn.append(held)
    assert np.std(drawn, axis=0).min() > 0.1
    simulation.robot.close()


def test_the_stock_minitaur_falls_with_cool_motors_that_can_be_commanded() -> None:
    simulation = simulate_minitaur(MinitaurConfig(), 100.0)
    for seed in range(5):
        simulation.robot.drop(np.random.default_rng(seed))
        assert all(simulation.robot.motors_enabled)
        motors = simulation.robot.read().joints.position_rad
        gap = motors[0::2] + motors[1::2]
        assert ((gap >= 2.0 * EXTENSION_MARGIN_RAD) & (gap <= 2.0 * (np.pi - EXTENSION_MARGIN_RAD))).all()
        before = motors.copy()
        for _ in range(20):
            simulation.robot.write(Command(before))
            simulation.clock.wait()
        np.testing.assert_allclose(simulation.robot.read().joints.position_rad, before, atol=0.8)
    simulation.robot.close()


def test_orientations_have_no_preferred_direction() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([draw_orientation(rng) for _ in range(4000)])
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1.0)
    x, y = drawn[:, 0], drawn[:, 1]
    vertical = 1.0 - 2.0 * (x * x + y * y)
    # Uniform on the sphere: each coordinate is uniform in -1 to 1; 0.04 is 4 deviations of the mean.
    assert abs(vertical.mean()) < 0.04
    np.testing.assert_allclose(np.quantile(vertical, [0.25, 0.75]), [-0.5, 0.5], atol=0.06)


def test_linkages_are_drawn_within_their_ranges_and_their_motors() -> None:
    rng = np.random.default_rng(0)
    free, bounded = (
        np.array([draw_linkages(rng, (low,) * 8, (high,) * 8) for _ in range(300)]) for low, high in ((-np.inf, np.inf), (0.5, 3.2))
    )
    for motors in (free, bounded):
        gap, swing = motors[:, 0::2] + motors[:, 1::2], np.abs(motors[:, 1::2] - motors[:, 0::2]) / 2.0
        assert ((gap >= 2.0 * EXTENSION_MARGIN_RAD) & (gap <= 2.0 * (np.pi - EXTENSION_MARGIN_RAD))).all()
        assert (swing <= SWING_MAX_RAD).all()
    assert free.min() < -2.0
    assert free.max() > 5.0
    assert ((bounded >= 0.5) & (bounded <= 3.2)).all()


def test_robots_fall_on_slopes_too() -> None:
    simulation = simulate_servos(KittyConfig(ground=SlopeGround(angle_rad=0.2)), 100.0)
    simulation.robot.drop(np.random.default_rng(0))
    tracked = simulation.robot.read().tracked_base
    assert tracked is not None
    height = tracked.position_world_m @ np.array([-np.sin(0.2), 0.0, np.cos(0.2)])
    assert -0.01 < height < 0.35
    simulation.robot.close()


def test_a_closed_robot_does_not_fall() -> None:
    simulation = simulate_minitaur(MinitaurConfig(), 100.0)
    simulation.robot.close()
    with pytest.raises(ClosedError, match="closed"):
        simulation.robot.drop(np.random.default_rng(0))
