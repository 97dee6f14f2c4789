"""Laws of the simulated robot: the contract, standing, walking, delays, pushes, HOLD and closing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from robot import Clock, ClosedError, Robot, UsageError
from robot.protocols import Resettable
from sim import MinitaurConfig, MinitaurSimulation, NoiseConfig, SimulatedClock, SimulatedMinitaur, simulate_minitaur
from tests.robot_contract import RobotContract
from tests.sim.gaits import hold, legs, reading, record, trot

STAND = legs(2.0, 0.0)


@pytest.fixture(scope="module")
def simulation() -> Iterator[MinitaurSimulation]:
    made = simulate_minitaur(MinitaurConfig(), 100.0)
    yield made
    made.robot.close()


@pytest.fixture
def fresh(simulation: MinitaurSimulation) -> MinitaurSimulation:
    simulation.robot.reset(np.random.default_rng(0))
    return simulation


class TestContract(RobotContract):
    pose_rad = np.pi / 2

    def make(self) -> tuple[Robot, Clock]:
        made = simulate_minitaur(MinitaurConfig(), 100.0)
        return made.robot, made.clock


class TestContractWithDelaysNoiseAndFriction(RobotContract):
    pose_rad = np.pi / 2

    def make(self) -> tuple[Robot, Clock]:
        noise = NoiseConfig(position_rad=0.001, velocity_rad_s=0.01, orientation_rad=0.01, gyro_rad_s=0.01)
        made = simulate_minitaur(
            MinitaurConfig(noise=noise, control_latency_s=0.006, sensing_latency_s=0.022, joint_friction_nm=0.02), 250.0
        )
        return made.robot, made.clock


def test_it_can_be_reset(fresh: MinitaurSimulation) -> None:
    assert isinstance(fresh.robot, Resettable)


@pytest.mark.parametrize("seed", range(5))
def test_a_reset_ends_upright_at_rest_near_the_start_pose(simulation: MinitaurSimulation, seed: int) -> None:
    hold(simulation, trot(0.1), 0.3)
    simulation.robot.reset(np.random.default_rng(seed))
    state = simulation.robot.read()
    assert state.imu is not None
    assert state.tracked_base is not None
    assert state.imu.rotation_base_to_world[2, 2] > 0.98
    assert np.abs(state.tracked_base.velocity_world_m_s).max() < 0.02
    assert np.abs(state.joints.velocity_rad_s).max() < 0.2
    # The proportional loop gives way to the weight by up to 0.2 rad, beside the drawn 0.1.
    assert np.abs(state.joints.position_rad - np.pi / 2).max() < 0.3
    # Different seeds, different poses.
    assert not np.array_equal(state.joints.position_rad, reading_after_reset(simulation, seed + 100))


def reading_after_reset(simulation: MinitaurSimulation, seed: int) -> np.ndarray:
    simulation.robot.reset(np.random.default_rng(seed))
    return simulation.robot.read().joints.position_rad


def test_it_stands_for_ten_seconds(fresh: MinitaurSimulation) -> None:
    hold(fresh, STAND, 10.0)
    state = fresh.robot.read()
    assert state.tracked_base is not None
    assert state.imu is not None
    assert 0.195 < state.tracked_base.position_world_m[2] < 0.22
    assert np.hypot(*state.tracked_base.position_world_m[:2]) < 0.1
    assert state.imu.rotation_base_to_world[2, 2] > 0.99
    assert np.abs(state.joints.velocity_rad_s).max() < 0.1
    assert all(fresh.robot.motors_enabled)


def test_an_open_loop_trot_walks_forwards(fresh: MinitaurSimulation) -> None:
    rows = record(fresh, 500)
    position = rows[:, 44:47]
    assert (position[-1, 0] - position[0, 0]) / 5.0 > 0.25
    assert abs(position[-1, 1]) < 1.0
    # Upright all the way: the last element of the rotation.
    assert rows[:, 40].min() > 0.9


def test_extension_raises_the_base_and_swing_moves_the_feet_backwards(fresh: MinitaurSimulation) -> None:
    heights = []
    for extension in (1.4, 1.7, 2.0, 2.3):
        hold(fresh, legs(extension, 0.0), 1.0)
        heights.append(reading(fresh)[46])
    assert np.all(np.diff(heights) > 0.01)
    hold(fresh, STAND, 1.0)
    before = reading(fresh)[44]
    hold(fresh, legs(2.0, 0.2), 0.5)
    assert reading(fresh)[44] > before + 0.02


def test_the_clock_counts_whole_periods_through_resets(fresh: MinitaurSimulation) -> None:
    start = fresh.clock.now_s()
    for tick in range(1, 20):
        assert fresh.clock.wait() == 0.0
        assert fresh.clock.now_s() == pytest.approx(start + 0.01 * tick)
        assert fresh.robot.read().joints.stamp_s == fresh.clock.now_s()
    before = fresh.clock.now_s()
    fresh.robot.reset(np.random.default_rng(0))
    assert fresh.clock.now_s() > before


def test_the_velocity_is_the_derivative_of_the_position_in_every_convention(fresh: MinitaurSimulation) -> None:
    made = simulate_minitaur(MinitaurConfig(), 500.0)
    rows = record(made, 300)[100:]
    made.robot.close()
    # Semi-implicit Euler: a step moves by its final velocity.
    np.testing.assert_allclose(np.diff(rows[:, 0:8], axis=0) / 0.002, rows[1:, 8:16], atol=1e-3)
    np.testing.assert_allclose(np.diff(rows[:, 44:47], axis=0) / 0.002, rows[1:, 47:50], atol=1e-6)
    rotations = rows[:, 32:41].reshape(-1, 3, 3)
    turns = np.einsum("tji,tjk->tik", rotations[:-1], rotations[1:]) / 0.002
    rates = np.stack([turns[:, 2, 1] - turns[:, 1, 2], turns[:, 0, 2] - turns[:, 2, 0], turns[:, 1, 0] - turns[:, 0, 1]], axis=1) / 2.0
    np.testing.assert_allclose(rates, rows[1:, 41:44], atol=0.05)


@pytest.mark.parametrize(("latency_s", "steps"), [(0.002, 1), (0.006, 3), (0.010, 5), (0.0131, 7), (0.024, 12)])
def test_what_is_read_is_what_was_true_one_sensing_latency_ago(latency_s: float, steps: int) -> None:
    exact = simulate_minitaur(MinitaurConfig(), 500.0)
    delayed = simulate_minitaur(MinitaurConfig(sensing_latency_s=latency_s), 100.0)
    ticks = 40
    truth = [reading(exact)]
    # The reset of the delayed robot ends when its first sample has arrived.
    for _ in range(steps):
        exact.clock.wait()
        truth.append(reading(exact))
    for tick in range(ticks):
        exact.robot.write(trot(tick * 0.01))
        for _ in range(5):
            exact.clock.wait()
            truth.append(reading(exact))
    seen = record(delayed, ticks)
    for tick, row in enumerate(seen):
        np.testing.assert_array_equal(row[:24], truth[5 * tick][:24])
        np.testing.assert_array_equal(row[32:], truth[5 * tick][32:])
        np.testing.assert_allclose(row[24:32], steps * 0.002, atol=1e-12)
    exact.robot.close()
    delayed.robot.close()


@pytest.mark.parametrize("steps", [0, 1, 4, 9])
def test_a_command_acts_exactly_one_control_latency_later(steps: int) -> None:
    direct, delayed = (simulate_minitaur(MinitaurConfig(control_latency_s=latency), 500.0) for latency in (0.0, steps * 0.002))
    np.testing.assert_array_equal(record(delayed, 100), record(direct, 100 + steps, delay_ticks=steps)[:101])
    direct.robot.close()
    delayed.robot.close()


def test_noise_is_drawn_from_the_seed_with_the_configured_deviation_and_repeated_reads_are_equal() -> None:
    clean = simulate_minitaur(MinitaurConfig(), 100.0)
    config = MinitaurConfig(noise=NoiseConfig(position_rad=0.1, velocity_rad_s=1.0, torque_nm=0.5, gyro_rad_s=0.2, orientation_rad=0.02))
    noisy = simulate_minitaur(config, 100.0)
    first = record(noisy, 200)
    error = first - record(clean, 200)
    for part, deviation in ((slice(0, 8), 0.1), (slice(8, 16), 1.0), (slice(16, 24), 0.5), (slice(41, 44), 0.2)):
        assert error[:, part].std() == pytest.approx(deviation, rel=0.15)
    assert not error[:, 44:].any()
    rotations = first[:, 32:41].reshape(-1, 3, 3)
    np.testing.assert_allclose(np.einsum("tij,tkj->tik", rotations, rotations), np.broadcast_to(np.eye(3), rotations.shape), atol=1e-9)
    np.testing.assert_array_equal(reading(noisy), reading(noisy))
    noisy.robot.reset(np.random.default_rng(0))
    np.testing.assert_array_equal(record(noisy, 200), first)
    noisy.robot.close()
    clean.robot.close()


@pytest.mark.parametrize(("force", "axis"), [((60.0, 0.0, 0.0), 0), ((0.0, -60.0, 0.0), 1)])
def test_a_push_moves_the_base_along_its_force_for_its_duration(
    fresh: MinitaurSimulation, force: tuple[float, float, float], axis: int
) -> None:
    hold(fresh, STAND, 0.5)
    before = reading(fresh)[47 + axis]
    fresh.robot.push(force, 0.05)
    hold(fresh, STAND, 0.05)
    gained = (reading(fresh)[47 + axis] - before) * np.sign(sum(force))
    # 60 N for 0.05 s on 6 kg is 0.5 m/s, less what the feet hold back.
    assert 0.02 < gained < 0.7
    hold(fresh, STAND, 2.0)
    assert abs(reading(fresh)[47 + axis]) < 0.05


@pytest.mark.parametrize(
    ("force", "duration_s"), [((1.0, 0.0, 0.0), 0.0), ((1.0, 0.0, 0.0), float("inf")), ((float("nan"), 0.0, 0.0), 1.0)]
)
def test_a_push_that_means_nothing_is_refused(fresh: MinitaurSimulation, force: tuple[float, float, float], duration_s: float) -> None:
    with pytest.raises(UsageError, match="push"):
        fresh.robot.push(force, duration_s)


def test_friction_and_a_weak_battery_slow_the_motors(fresh: MinitaurSimulation) -> None:
    def speed(config: MinitaurConfig) -> float:
        made = simulate_minitaur(config, 100.0)
        hold(made, STAND, 0.03)
        velocity = float(np.abs(reading(made)[8:16]).mean())
        made.robot.close()
        return velocity

    nominal = speed(MinitaurConfig())
    assert speed(MinitaurConfig(battery_v=10.0)) < nominal
    assert speed(MinitaurConfig(joint_friction_nm=0.5)) < nominal
    assert speed(MinitaurConfig(viscous_damping=0.5)) < nominal


def test_hold_ignores_commands_until_a_reset_and_reports_what_it_holds(fresh: MinitaurSimulation) -> None:
    measured = fresh.robot.read().joints.position_rad
    fresh.robot.stop()
    applied = fresh.robot.write(legs(2.3, 0.4))
    np.testing.assert_array_equal(applied.position_rad, measured)
    fresh.robot.reset(np.random.default_rng(0))
    assert fresh.robot.write(STAND) is STAND


def test_nothing_works_after_close() -> None:
    made = simulate_minitaur(MinitaurConfig(), 100.0)
    camera = made.camera()
    made.robot.close()
    for call in (
        made.clock.wait,
        camera.capture,
        made.camera,
        lambda: made.robot.reset(np.random.default_rng(0)),
        lambda: made.robot.push((1.0, 0.0, 0.0), 1.0),
    ):
        with pytest.raises(ClosedError):
            call()


def test_two_robots_do_not_know_of_each_other() -> None:
    one, other = (simulate_minitaur(MinitaurConfig(), 100.0) for _ in range(2))
    alone = record(one, 50)
    hold(other, STAND, 0.2)
    one.robot.reset(np.random.default_rng(0))
    rows = [reading(one)]
    for tick in range(50):
        one.robot.write(trot(tick * 0.01))
        other.clock.wait()
        one.clock.wait()
        rows.append(reading(one))
    np.testing.assert_array_equal(np.array(rows), alone)
    other.robot.close()
    assert np.isfinite(reading(one)).all()
    one.robot.close()


@pytest.mark.parametrize("bus_hz", [0.0, -100.0, 300.0, 1000.0, 499.0, float("nan"), float("inf")])
def test_a_bus_rate_that_does_not_divide_the_physics_rate_is_refused(bus_hz: float) -> None:
    with pytest.raises(UsageError, match="bus_hz"):
        simulate_minitaur(MinitaurConfig(), bus_hz)


def test_the_error_of_a_bus_period_names_the_valid_rates() -> None:
    with pytest.raises(UsageError, match="10, 20, 25, 50, 100, 125, 250, 500"):
        SimulatedMinitaur(MinitaurConfig(), 1.0 / 300.0)


def test_the_clock_is_the_robots(fresh: MinitaurSimulation) -> None:
    clock = SimulatedClock(fresh.robot)
    clock.wait()
    assert clock.now_s() == fresh.clock.now_s()
    assert clock.period_s == pytest.approx(0.01)


def test_a_window_without_a_display_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", "")
    with pytest.raises(UsageError, match="DISPLAY"):
        simulate_minitaur(MinitaurConfig(gui=True), 100.0)
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(UsageError, match="DISPLAY=':987'"):
        simulate_minitaur(MinitaurConfig(gui=True), 100.0)


def test_building_prints_nothing_to_standard_output_and_imports_no_torch() -> None:
    code = "import sys, sim; sim.simulate_minitaur(sim.MinitaurConfig(), 100.0).robot.close(); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."})
    assert done.stdout == ""
