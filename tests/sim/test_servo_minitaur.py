"""Laws of the Minitaur on Dynamixel servos: the contract, the angles of the stock Minitaur, standing, walking, speed, determinism."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from robot import Clock, Robot
from robot.description import load_description
from robot.dynamixel.tables import control_table
from robot.dynamixel.units import POSITION_RAD, PULSES_PER_TURN
from sim import DynamixelMinitaurConfig, MinitaurConfig, ServoSimulation, SimulatedMinitaur, simulate_minitaur, simulate_servos
from tests.robot_contract import RobotContract
from tests.sim.gaits import legs

DESCRIPTION = load_description("minitaur")
MOTOR = control_table(DESCRIPTION.joints[0].model, 255).motor
NO_LOAD_RAD_S = MOTOR.no_load_rpm * 2.0 * math.pi / 60.0
_PHASE = np.array([0.0, np.pi, np.pi, 0.0])


@pytest.fixture(scope="module")
def simulation() -> Iterator[ServoSimulation]:
    made = simulate_servos(DynamixelMinitaurConfig(), 100.0)
    yield made
    made.robot.close()


@pytest.fixture
def fresh(simulation: ServoSimulation) -> ServoSimulation:
    simulation.robot.reset(np.random.default_rng(0))
    return simulation


class TestContract(RobotContract):
    pose_rad = 2.0

    def make(self) -> tuple[Robot, Clock]:
        made = simulate_servos(DynamixelMinitaurConfig(sensing_latency_s=0.003, control_latency_s=0.003), 100.0)
        return made.robot, made.clock


def walk(simulation: ServoSimulation, ticks: int) -> np.ndarray:
    """Trot at 1.5 Hz; return position of the base (3), its uprightness, and joint velocities (8). Shape (ticks, 12)."""
    rows = []
    for tick in range(ticks):
        angle = 2.0 * np.pi * 1.5 * tick * 0.01 + _PHASE
        simulation.robot.write(legs(2.0 - 0.4 * np.maximum(0.0, np.cos(angle)), -0.5 * np.sin(angle)))
        simulation.clock.wait()
        state = simulation.robot.read()
        assert state.tracked_base is not None
        assert state.imu is not None
        rows.append([*state.tracked_base.position_world_m, state.imu.rotation_base_to_world[2, 2], *state.joints.velocity_rad_s])
    return np.array(rows)


def test_its_joints_are_the_stock_robots_and_fit_into_one_turn() -> None:
    assert DESCRIPTION.joint_names == SimulatedMinitaur.joint_names
    assert DESCRIPTION.ids == tuple(range(1, 9))
    for ends in ("lower_rad", "upper_rad"):
        raw = DESCRIPTION.joint_map.to_raw(np.array([getattr(joint, ends) for joint in DESCRIPTION.joints]))
        assert ((raw >= 0) & (raw < PULSES_PER_TURN)).all()


@pytest.mark.parametrize("extension", [1.6, 2.0, 2.2])
def test_it_stands_as_the_stock_robot_does_in_the_same_pose(fresh: ServoSimulation, extension: float) -> None:
    stock = simulate_minitaur(MinitaurConfig(), 100.0)
    stock.robot.reset(np.random.default_rng(0))
    poses = []
    for simulation in (fresh, stock):
        for _ in range(200):
            simulation.robot.write(legs(extension, 0.0))
            simulation.clock.wait()
        state = simulation.robot.read()
        assert state.tracked_base is not None
        poses.append([state.tracked_base.position_world_m[2], *state.joints.position_rad])
    stock.robot.close()
    # Each gives way to the weight by its own stiffness: the stock motors more.
    assert -0.005 < poses[0][0] - poses[1][0] < 0.02
    np.testing.assert_allclose(poses[0][1:], poses[1][1:], atol=0.12)


def test_extension_raises_the_base_and_swing_moves_the_feet_backwards(fresh: ServoSimulation) -> None:
    seen = []
    for extension, swing in ((1.5, 0.0), (2.0, 0.0), (2.0, 0.2)):
        for _ in range(100):
            fresh.robot.write(legs(extension, swing))
            fresh.clock.wait()
        tracked = fresh.robot.read().tracked_base
        assert tracked is not None
        seen.append(tracked.position_world_m)
    assert seen[1][2] > seen[0][2] + 0.03
    assert seen[2][0] > seen[1][0] + 0.02


def test_it_stands_on_less_than_half_of_its_stall_torque_and_a_quarter_on_average(fresh: ServoSimulation) -> None:
    for _ in range(500):
        fresh.robot.write(legs(2.0, 0.0))
        fresh.clock.wait()
    joints = fresh.robot.read().joints
    assert joints.current_a is not None
    # Two stiff motors of a leg work against each other through its linkage and friction.
    assert np.abs(joints.current_a).max() < 0.5 * MOTOR.stall_current_a
    assert np.abs(joints.current_a).mean() < 0.25 * MOTOR.stall_current_a
    assert np.abs(joints.velocity_rad_s).max() < 0.05
    exact = [state[0] for state in fresh.robot.plant.physics.joints()]
    assert np.abs(joints.position_rad - exact).max() <= POSITION_RAD / 2.0 + 1e-12


def test_an_open_loop_trot_walks_forwards_about_as_fast_as_the_motors_turn(fresh: ServoSimulation) -> None:
    rows = walk(fresh, 500)
    assert (rows[-1, 0] - rows[0, 0]) / 5.0 > 0.2
    assert rows[:, 3].min() > 0.9
    # Beyond no load only where the ground throws a leg.
    assert np.percentile(np.abs(rows[:, 4:]), 99) <= NO_LOAD_RAD_S + 0.1


def test_an_episode_follows_from_its_seed_whatever_came_before(fresh: ServoSimulation) -> None:
    first = walk(fresh, 100)
    fresh.robot.push((30.0, 60.0, 0.0), 0.2)
    walk(fresh, 60)
    fresh.robot.reset(np.random.default_rng(0))
    np.testing.assert_array_equal(walk(fresh, 100), first)
    fresh.robot.reset(np.random.default_rng(1))
    assert not np.array_equal(walk(fresh, 100), first)
