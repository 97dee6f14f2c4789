"""Laws of the simulated kitty: the contract, registers, standing, walking, holding and closing."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pybullet
import pytest

from robot import Clock, ClosedError, CommandError, Robot, UsageError, command
from robot.dynamixel.tables import control_table
from robot.dynamixel.units import POSITION_RAD
from robot.protocols import Resettable
from robot.types import FloatArray
from sim import (
    BodyNoiseConfig,
    KittyConfig,
    ServoRandomisationConfig,
    ServoSimulation,
    SimulatedClock,
    SimulatedServoRobot,
    SlopeGround,
    describe,
    servo_physics,
    simulate_servos,
)
from sim.simulation import Simulation
from tests.robot_contract import RobotContract
from tests.sim.kitty_gaits import DESCRIPTION, HOME, hold, reading, record, trot

MOTOR = control_table("XM430-W210", 255).motor
NO_LOAD_RAD_S = MOTOR.no_load_rpm * 2.0 * math.pi / 60.0
NOISE = BodyNoiseConfig(orientation_rad=0.01, gyro_rad_s=0.1, tracked_position_m=0.01, tracked_velocity_m_s=0.1)


@pytest.fixture(scope="module")
def simulation() -> Iterator[ServoSimulation]:
    made = simulate_servos(KittyConfig(), 100.0)
    yield made
    made.robot.close()


@pytest.fixture
def fresh(simulation: ServoSimulation) -> ServoSimulation:
    simulation.robot.reset(np.random.default_rng(0))
    return simulation


class TestContract(RobotContract):
    def make(self) -> tuple[Robot, Clock]:
        made = simulate_servos(KittyConfig(), 100.0)
        return made.robot, made.clock


class TestContractWithDelaysNoiseAndRandomisation(RobotContract):
    def make(self) -> tuple[Robot, Clock]:
        config = KittyConfig(
            noise=NOISE, control_latency_s=0.006, sensing_latency_s=0.022, randomise=ServoRandomisationConfig(enabled=True)
        )
        made = simulate_servos(config, 250.0, seed=3)
        return made.robot, made.clock


def test_it_can_be_reset_and_has_the_joints_of_its_description(fresh: ServoSimulation) -> None:
    assert isinstance(fresh.robot, Resettable)
    assert fresh.robot.joint_names == DESCRIPTION.joint_names


def test_what_is_read_is_what_the_registers_hold(fresh: ServoSimulation) -> None:
    robot, joint_map = fresh.robot, DESCRIPTION.joint_map
    for tick in range(100):
        robot.write(trot(tick * 0.01))
        fresh.clock.wait()
        joints, sample = robot.read().joints, robot.plant.sample()
        np.testing.assert_array_equal(joint_map.to_raw(joints.position_rad), sample.position_raw)
        np.testing.assert_array_equal(joint_map.velocity_rad_s(np.array(sample.velocity_raw)), joints.velocity_rad_s)
        exact = [states[0] for states in robot.plant.physics.joints()]
        assert np.abs(joints.position_rad - exact).max() <= POSITION_RAD / 2.0 + 1e-12
        for servo, states, raw in zip(robot.plant.servos, robot.plant.physics.joints(), sample.position_raw, strict=True):
            assert servo.present_position(states[0]) == raw


def test_a_write_returns_what_the_goal_registers_hold(fresh: ServoSimulation) -> None:
    wanted = HOME + np.random.default_rng(1).uniform(-0.2, 0.2, 12)
    applied = fresh.robot.write(command(wanted, 12)).position_rad
    goals = np.array([servo.registers.goal_position for servo in fresh.robot.plant.servos])
    np.testing.assert_array_equal(DESCRIPTION.joint_map.position_rad(goals), applied)
    assert 0.0 < np.abs(applied - wanted).max() <= POSITION_RAD / 2.0 + 1e-12
    np.testing.assert_array_equal(fresh.robot.write(command(applied, 12)).position_rad, applied)


def test_a_target_that_is_not_finite_is_refused_and_changes_no_register(fresh: ServoSimulation) -> None:
    before = [servo.registers.goal_position for servo in fresh.robot.plant.servos]
    for bad in (np.nan, np.inf):
        with pytest.raises(CommandError, match="not finite"):
            fresh.robot.write(command(np.where(np.arange(12) == 5, bad, HOME), 12))
    assert [servo.registers.goal_position for servo in fresh.robot.plant.servos] == before


@pytest.mark.parametrize("seed", range(4))
def test_a_reset_ends_upright_at_rest_near_the_home_pose(simulation: ServoSimulation, seed: int) -> None:
    record(simulation, 30)
    simulation.robot.reset(np.random.default_rng(seed))
    row = reading(simulation)
    assert row[56] > 0.98
    assert np.abs(row[12:24]).max() < 0.3
    # The proportional loop gives way to the weight by up to 0.05 rad, beside the drawn 0.1.
    assert np.abs(row[:12] - HOME).max() < 0.16
    simulation.robot.reset(np.random.default_rng(seed + 100))
    assert not np.array_equal(reading(simulation), row)


def test_it_stands_for_ten_seconds_far_below_the_stall_torque(fresh: ServoSimulation) -> None:
    hold(fresh, HOME, 10.0)
    row = reading(fresh)
    assert 0.235 < row[62] < 0.245
    assert np.hypot(*row[60:62]) < 0.05
    assert row[56] > 0.995
    assert np.abs(row[12:24]).max() < 0.05
    assert np.abs(row[:12] - HOME).max() < 0.05
    assert np.abs(row[24:36]).max() < 0.25 * MOTOR.stall_current_a


def test_it_stays_folded_at_rest_without_torque(fresh: ServoSimulation) -> None:
    rest = np.array([joint.rest_rad for joint in DESCRIPTION.joints])
    for share in np.linspace(0.0, 1.0, 200):
        hold(fresh, HOME + share * (rest - HOME), 0.01)
    before = reading(fresh)
    for servo in fresh.robot.plant.servos:
        servo.registers.torque_enable = 0
    for _ in range(200):
        fresh.clock.wait()
    after = reading(fresh)
    for servo in fresh.robot.plant.servos:
        servo.registers.torque_enable = 1
    assert np.abs(after[:12] - before[:12]).max() < 0.05
    assert after[56] > 0.99
    assert after[62] == pytest.approx(before[62], abs=0.005)


def test_an_open_loop_trot_walks_forwards(fresh: ServoSimulation) -> None:
    rows = record(fresh, 500)
    assert (rows[-1, 60] - rows[0, 60]) / 5.0 > 0.25
    assert abs(rows[-1, 61]) < 1.0
    assert rows[:, 56].min() > 0.9


def test_no_motor_drives_a_joint_beyond_its_no_load_speed() -> None:
    made = simulate_servos(KittyConfig(start_pose_noise_rad=0.0), 500.0)
    world = made.robot.world
    # In free fall nothing but the motor acts on the joint.
    pybullet.setGravity(0.0, 0.0, 0.0, physicsClientId=world.client)
    pybullet.resetBasePositionAndOrientation(world.body, (0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1.0), physicsClientId=world.client)
    speeds = []
    for tick in range(600):
        target = HOME.copy()
        target[2::3] = -2.0 if tick // 150 % 2 else 1.0
        made.robot.write(command(target, 12))
        made.clock.wait()
        speeds.append(np.abs(reading(made)[14:24:3]).max())
    made.robot.close()
    assert 0.8 * NO_LOAD_RAD_S < max(speeds) <= NO_LOAD_RAD_S + 0.1


def test_wild_targets_stay_finite_and_bounded(fresh: ServoSimulation) -> None:
    rng = np.random.default_rng(0)
    lower, upper = ([getattr(joint, end) for joint in DESCRIPTION.joints] for end in ("lower_rad", "upper_rad"))
    for _ in range(50):
        hold(fresh, rng.uniform(lower, upper), 0.04)
        row = reading(fresh)
        assert np.isfinite(row).all()
        # Beyond no load only where the ground throws a leg.
        assert np.abs(row[12:24]).max() < 5.0 * NO_LOAD_RAD_S
        assert np.all(row[:12] > np.array(lower) - 0.1)
        assert np.all(row[:12] < np.array(upper) + 0.1)


def rounding(rotation: FloatArray, rate: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.round(rotation, 2), np.round(rate, 1)


def test_an_imu_quantiser_stands_between_the_exact_base_and_the_reading() -> None:
    config = KittyConfig()
    description = describe(config)
    robot = SimulatedServoRobot(description, servo_physics(config, description), 0.01, config.noise, imu_quantiser=rounding)
    made = Simulation(robot, SimulatedClock(robot))
    plain = simulate_servos(KittyConfig(), 100.0)
    rounded, exact = record(made, 50), record(plain, 50)
    np.testing.assert_array_equal(rounded[:, 48:57], np.round(exact[:, 48:57], 2))
    np.testing.assert_array_equal(rounded[:, 57:60], np.round(exact[:, 57:60], 1))
    np.testing.assert_array_equal(np.delete(rounded, np.s_[48:60], axis=1), np.delete(exact, np.s_[48:60], axis=1))
    made.robot.close()
    plain.robot.close()


def test_the_voltage_is_the_supplys_in_steps_of_a_tenth() -> None:
    made = simulate_servos(KittyConfig(randomise=ServoRandomisationConfig(enabled=True)), 100.0)
    for seed in range(5):
        made.robot.reset(np.random.default_rng(seed))
        shown = made.robot.read().voltage_v
        assert shown is not None
        assert shown * 10.0 == pytest.approx(round(shown * 10.0), abs=1e-9)
        assert abs(shown - made.robot.conditions.supply_v) <= 0.05 + 1e-9
    made.robot.close()


def test_a_push_moves_the_base_along_its_force(fresh: ServoSimulation) -> None:
    hold(fresh, HOME, 0.5)
    before = reading(fresh)[64]
    fresh.robot.push((0.0, -20.0, 0.0), 0.05)
    hold(fresh, HOME, 0.05)
    # 20 N for 0.05 s on 1.8 kg is 0.55 m/s, less what the feet hold back.
    assert 0.02 < before - reading(fresh)[64] < 0.6
    with pytest.raises(UsageError, match="push"):
        fresh.robot.push((1.0, 0.0, 0.0), 0.0)
    with pytest.raises(UsageError, match="a simulated kitty has no object that a hand could turn"):
        fresh.robot.turn_by_hand(0.1, 1.0)


def test_it_stands_on_a_slope_and_time_can_be_skipped(fresh: ServoSimulation) -> None:
    made = simulate_servos(KittyConfig(ground=SlopeGround(angle_rad=0.2)), 100.0)
    made.clock.skip_to(50.0)
    made.robot.reset(np.random.default_rng(0))
    assert made.clock.now_s() > 50.0
    hold(made, HOME, 1.0)
    assert made.robot.read().joints.stamp_s == made.clock.now_s()
    # Parallel to the ground, which rises forwards.
    assert reading(made)[54] == pytest.approx(math.sin(0.2), abs=0.05)
    made.robot.close()


def test_hold_ignores_commands_until_a_reset(fresh: ServoSimulation) -> None:
    measured = fresh.robot.read().joints.position_rad
    fresh.robot.stop()
    np.testing.assert_array_equal(fresh.robot.write(command(HOME + 0.3, 12)).position_rad, measured)
    fresh.robot.reset(np.random.default_rng(0))
    assert np.abs(fresh.robot.write(command(HOME, 12)).position_rad - HOME).max() < POSITION_RAD


def test_nothing_works_after_close() -> None:
    made = simulate_servos(KittyConfig(), 100.0)
    camera = made.camera(64, 48)
    assert camera.capture().image.std() > 10.0
    made.robot.close()
    for call in (made.clock.wait, camera.capture, made.camera, lambda: made.robot.reset(np.random.default_rng(0))):
        with pytest.raises(ClosedError):
            call()


@pytest.mark.parametrize("bus_hz", [0.0, -100.0, 300.0, 2000.0, float("nan"), float("inf")])
def test_a_bus_rate_that_does_not_divide_the_physics_rate_is_refused(bus_hz: float) -> None:
    with pytest.raises(UsageError, match="bus_hz"):
        simulate_servos(KittyConfig(), bus_hz)


def test_a_weaker_motor_and_a_lower_supply_are_slower() -> None:
    def distance(strength: tuple[float, float], supply: tuple[float, float]) -> float:
        ranges = ServoRandomisationConfig(
            enabled=True,
            mass_scale=(1.0, 1.0),
            inertia_scale=(1.0, 1.0),
            motor_strength_scale=strength,
            supply_v=supply,
            control_latency_s=(0.0, 0.0),
            sensing_latency_s=(0.0, 0.0),
            foot_friction=(1.0, 1.0),
            joint_friction_nm=(0.03, 0.03),
        )
        made = simulate_servos(KittyConfig(start_pose_noise_rad=0.0, randomise=ranges), 100.0)
        before = reading(made)[:12]
        hold(made, HOME - 0.3, 0.06)
        moved = float(np.abs(reading(made)[:12] - before).mean())
        made.robot.close()
        return moved

    nominal = distance((1.0, 1.0), (12.0, 12.0))
    assert distance((0.5, 0.5), (12.0, 12.0)) < nominal
    assert distance((1.0, 1.0), (9.0, 9.0)) < nominal


def test_a_jammed_joint_stands_whatever_drives_it() -> None:
    physics = servo_physics(KittyConfig(start_pose_noise_rad=0.0), DESCRIPTION)
    physics.jam(2, on=True)
    before = physics.joints()[2][0]
    for _ in range(100):
        physics.step([3.0] * 12)
    assert physics.joints()[2][0] == pytest.approx(before, abs=1e-6)
    physics.jam(2, on=False)
    for _ in range(100):
        physics.step([3.0] * 12)
    assert physics.joints()[2][0] > before + 0.1
    physics.close()
