"""The servo's firmware and motor against its data sheet, and the plant's laws of time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot.dynamixel.bench_physics import BenchPhysics
from robot.dynamixel.plant import ServoPlant
from robot.dynamixel.servos import Servo
from robot.dynamixel.tables import OperatingMode, control_table, models
from robot.dynamixel.units import POSITION_RAD, VELOCITY_RAD_S
from robot.errors import UsageError
from robot.types import MotorConditions

STEP_S = 0.001


def bench(model: str = "XM430-W210", motors: int = 1, sign: int = 1, bus_steps: int = 10, **physics: object) -> ServoPlant:
    table = control_table(model, 53)
    body = BenchPhysics([table.motor.gear_ratio] * motors, STEP_S, supply_v=table.motor.volts, **physics)  # type: ignore[arg-type]
    servos = [Servo(table, sign, 2048, STEP_S, table.motor.volts) for _ in range(motors)]
    plant = ServoPlant(servos, body, bus_steps)
    plant.reset(np.random.default_rng(0))
    for servo in servos:
        servo.registers.torque_enable = 1
    return plant


@pytest.mark.parametrize("model", models())
def test_a_free_motor_reaches_its_no_load_speed_and_a_stalled_one_its_stall_torque(model: str) -> None:
    motor = control_table(model, 53).motor
    plant = bench(model)
    servo = plant.servos[0]
    servo.registers.operating_mode = OperatingMode.PWM
    servo.registers.goal_pwm = 885
    assert servo.torque_nm(0.0, 0.0) == pytest.approx(motor.stall_torque_nm)
    assert servo.current_a == pytest.approx(motor.stall_current_a)
    plant.run(5000)
    rpm = plant.sample().velocity_raw[0] * 0.229
    # Friction costs the smallest motors some of it.
    assert 0.8 * motor.no_load_rpm < rpm <= 1.005 * motor.no_load_rpm
    assert servo.torque_nm(0.0, motor.no_load_rpm * 2.0 * math.pi / 60.0) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_position_loop_reaches_its_goal_whichever_way_the_motor_is_mounted(sign: int) -> None:
    plant = bench(sign=sign)
    plant.put_goals([2048 + 500])
    plant.run(1500)
    sample = plant.sample()
    # Friction leaves an error that P alone does not remove: 0.03 N m of 3 N m is 1% of 141 pulses of saturation.
    assert abs(sample.position_raw[0] - 2548) <= 3
    assert plant.physics.joints()[0][0] * sign > 0.0


@pytest.mark.parametrize("drive_mode", [0, 1])
@given(raw=st.integers(-5000, 9000), sign=st.sampled_from([1, -1]), homing=st.integers(-1000, 1000))
def test_angle_and_register_are_inverses(drive_mode: int, raw: int, sign: int, homing: int) -> None:
    servo = Servo(control_table("XM430-W210", 53), sign, 2048, STEP_S, 12.0)
    servo.registers.drive_mode, servo.registers.homing_offset = drive_mode, homing
    assert servo.present_position(servo.angle_rad(raw)) == raw


def test_a_reversed_motor_drives_towards_its_goal() -> None:
    plant = bench()
    plant.servos[0].registers.drive_mode = 1
    goal = plant.sample().position_raw[0] + 0
    assert plant.servos[0].present_position(0.0) == -2048
    plant.put_goals([-2048 + 300])
    plant.run(1500)
    assert abs(plant.sample().position_raw[0] - (-1748)) <= 3
    assert goal != -1748


def test_a_motor_without_torque_is_not_driven() -> None:
    plant = bench()
    plant.servos[0].registers.torque_enable = 0
    plant.put_goals([3000])
    plant.run(100)
    assert plant.sample().position_raw[0] == 2048


@pytest.mark.parametrize(("acceleration", "velocity"), [(0, 50), (20, 50), (5, 200)])
def test_a_profile_bounds_velocity_and_acceleration(acceleration: int, velocity: int) -> None:
    plant = bench()
    registers = plant.servos[0].registers
    registers.operating_mode = OperatingMode.EXTENDED_POSITION
    registers.profile_acceleration, registers.profile_velocity = acceleration, velocity
    plant.put_goals([2048 + 3000])
    planned = []
    for _ in range(6000):
        plant.run(1)
        planned.append(plant.servos[0].trajectory)
    positions = np.array([position for position, _ in planned])
    speeds = np.diff(positions) / (STEP_S * VELOCITY_RAD_S / POSITION_RAD)
    assert positions[-1] == 5048
    # Trajectories are shown in whole pulses: one more a step is 64 velocity units.
    assert speeds.max() <= velocity + 65
    shown = np.array([speed for _, speed in planned])
    assert shown.max() <= velocity
    if acceleration:
        per_step = acceleration * 214.577 / 0.229 / 60_000.0
        assert np.abs(np.diff(shown)).max() <= per_step + 1.0 or shown[-1] == 0


def test_the_current_modes_bound_the_current() -> None:
    plant = bench()
    registers = plant.servos[0].registers
    for mode in (OperatingMode.CURRENT, OperatingMode.CURRENT_BASED_POSITION):
        registers.operating_mode, registers.goal_current, registers.goal_position = mode, 100, 4000
        torque = plant.servos[0].torque_nm(0.0, 0.0)
        assert plant.servos[0].present_current == 100
        assert torque == pytest.approx(100 * 2.69e-3 * 3.0 / 2.3)


def test_the_velocity_loop_holds_its_speed() -> None:
    plant = bench()
    registers = plant.servos[0].registers
    registers.operating_mode, registers.goal_velocity = OperatingMode.VELOCITY, -150
    plant.run(2000)
    assert plant.sample().velocity_raw[0] == pytest.approx(-150, abs=2)


@pytest.mark.parametrize("delay_ms", [0, 1, 7, 10, 23])
def test_goals_act_after_the_control_delay_and_samples_are_as_old_as_the_sensing_delay(delay_ms: int) -> None:
    class Late(BenchPhysics):
        def reset(self, rng: np.random.Generator) -> MotorConditions:
            conditions = super().reset(rng)
            return MotorConditions(conditions.start_rad, 12.0, conditions.strength, delay_ms * 1e-3, delay_ms * 1e-3)

    table = control_table("XM430-W210", 53)
    plant = ServoPlant([Servo(table, 1, 2048, STEP_S, 12.0)], Late([212.6], STEP_S), 10)
    plant.servos[0].registers.torque_enable = 1
    plant.reset(np.random.default_rng(0))
    assert plant.sample().step == plant.step - delay_ms
    plant.put_goals([2148])
    start = plant.step
    moved = None
    for _ in range(8):
        plant.advance()
        assert plant.sample().step == plant.step - delay_ms
        if moved is None and plant.sample().velocity_raw[0]:
            moved = plant.step - start
    # The first tick at which a goal can be seen: after both delays and one step, rounded up to ticks.
    assert moved == math.ceil((2 * delay_ms + 1) / 10) * 10


@settings(max_examples=25)
@given(goals=st.lists(st.integers(0, 4095), min_size=5, max_size=20))
def test_no_goal_drives_a_motor_beyond_its_no_load_speed(goals: list[int]) -> None:
    plant = bench()
    for goal in goals:
        plant.put_goals([goal])
        plant.advance()
        assert abs(plant.sample().velocity_raw[0]) * 0.229 <= 77.5


def test_a_reset_leaves_torque_as_it_was_and_goals_where_the_joints_are() -> None:
    plant = bench(motors=2, start_rad=(0.3, -0.2))
    plant.servos[1].registers.torque_enable = 0
    plant.put_goals([100, 100])
    plant.advance()
    step = plant.step
    plant.reset(np.random.default_rng(1))
    assert [servo.registers.torque_enable for servo in plant.servos] == [1, 0]
    assert plant.step > step
    for servo, position in zip(plant.servos, plant.sample().position_raw, strict=True):
        assert abs(servo.registers.goal_position - position) <= 1


def test_end_stops_and_wrong_benches() -> None:
    plant = bench(stops_rad=(-0.1, 0.1))
    plant.put_goals([4000])
    plant.run(500)
    assert plant.physics.joints()[0][0] == 0.1
    with pytest.raises(UsageError, match="start angle for each"):
        BenchPhysics([1.0], start_rad=(0.0, 1.0))


def test_an_unseen_hand_holds_a_shaft_until_torque_comes_on() -> None:
    plant = bench(motors=2, load_kg_m2=0.01)
    physics = plant.physics
    assert isinstance(physics, BenchPhysics)
    for servo in plant.servos:
        servo.registers.torque_enable = 0
    plant.hold()
    physics.turn(0, 0.2)
    plant.refresh()
    plant.run(1500)
    # It is put back where it was held, and the motor's own registers know nothing of it.
    assert abs(plant.sample().position_raw[0] - 2048) <= 3
    assert [servo.registers.torque_enable for servo in plant.servos] == [0, 0]
    assert plant.sample().pwm_raw == (0, 0)
    plant.servos[0].registers.torque_enable = 1
    plant.run(1)
    plant.servos[0].registers.torque_enable = 0
    physics.turn(0, 0.2)
    plant.refresh()
    plant.run(500)
    assert plant.sample().position_raw[0] == 2048 + round(0.2 / POSITION_RAD)
