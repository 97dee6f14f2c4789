"""Rules of access, swept over every register of every model; asked by frames, without a wire."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.dynamixel import codec
from robot.dynamixel.bench_physics import BenchPhysics
from robot.dynamixel.codec import ErrorCode, Instruction, ResetLevel, Status
from robot.dynamixel.plant import ServoPlant
from robot.dynamixel.servos import Servo
from robot.dynamixel.tables import Register, control_table, models
from robot.emulator.bus import BusOptions, EmulatedBus
from robot.emulator.motor import EmulatedMotor

pytestmark = pytest.mark.realtime

GOALS = ("goal_pwm", "goal_current", "goal_velocity", "goal_position")
MODELS = list(models())


_MADE: list[EmulatedBus] = []


@pytest.fixture(autouse=True)
def close_machines() -> Iterator[None]:
    """Each has a terminal of two descriptors, and a process has 1,024."""
    yield
    while _MADE:
        _MADE.pop().close()


def machine(*kinds: str, options: BusOptions | None = None, firmware: int = 53) -> EmulatedBus:
    """Motors with ids from 1 on, in lockstep unless told otherwise."""
    tables = [control_table(kind, firmware) for kind in kinds]
    physics = BenchPhysics([table.motor.gear_ratio for table in tables])
    # Every motor has the supply that its data sheet measures it at.
    servos = [Servo(table, 1, 2048, physics.step_s, table.motor.volts) for table in tables]
    plant = ServoPlant(servos, physics, 10)
    motors = [EmulatedMotor(i, plant, table, firmware, i + 1, 1_000_000) for i, table in enumerate(tables)]
    bus = EmulatedBus(plant, motors, options or BusOptions(lockstep=True))
    _MADE.append(bus)
    bus.plant.step += 1
    for servo, table in zip(servos, tables, strict=True):
        servo.supply_v = table.motor.volts
    return bus


def ask(bus: EmulatedBus, frame: bytes, baud: int = 1_000_000) -> list[Status]:
    """Send a frame past the wire; return the answers."""
    (sent,), _ = codec.decode(frame)
    replies = b"".join(reply.data for reply in bus.responder.answer(sent, bus.now_s, baud))
    frames, done = codec.decode(replies, ended=True)
    assert done == len(replies)
    statuses = [codec.status(frame) for frame in frames]
    return [status for status in statuses if status is not None]


def one(bus: EmulatedBus, frame: bytes) -> Status:
    (status,) = ask(bus, frame)
    return status


def put(bus: EmulatedBus, register: Register, raw: int, motor: int = 1) -> int:
    data = raw.to_bytes(register.size, "little", signed=raw < 0)
    return one(bus, codec.write(motor, register.address, data)).error


def get(bus: EmulatedBus, name: str, motor: int = 1) -> int:
    register = bus.motors[motor - 1].memory.table[name]
    return register.decode(one(bus, codec.read(motor, register.address, register.size)).data)


def harmless(register: Register) -> int:
    """A value that may be written without changing how the motor is reached."""
    fixed = {"id": 1, "baud_rate": 3, "protocol_type": 2, "operating_mode": 3, "status_return_level": 2, "min_position_limit": 0}
    return fixed.get(register.name, min(max(register.minimum, 0), register.maximum))


@pytest.mark.parametrize("model", MODELS)
def test_every_register_is_delivered_with_its_initial_value_and_size(model: str) -> None:
    bus = machine(model)
    for register in bus.motors[0].memory.table.registers.values():
        status = one(bus, codec.read(1, register.address, register.size))
        assert status.error == ErrorCode.NONE
        assert len(status.data) == register.size
        own = ("baud_rate", "firmware_version", *GOALS, "velocity_trajectory", "position_trajectory", "moving_status", "realtime_tick")
        if register.initial is not None and register.name not in own:
            assert register.decode(status.data) == register.initial, register.name


@pytest.mark.parametrize("model", MODELS)
def test_what_is_read_only_is_refused_and_what_is_writable_holds_what_was_written(model: str) -> None:
    bus = machine(model)
    for register in bus.motors[0].memory.table.registers.values():
        raw = harmless(register)
        error = put(bus, register, raw)
        assert error == (ErrorCode.NONE if register.writable else ErrorCode.ACCESS), register.name
        if register.writable:
            assert get(bus, register.name) == raw, register.name


@pytest.mark.parametrize("model", MODELS)
def test_values_out_of_range_are_refused_and_change_nothing(model: str) -> None:
    bus = machine(model)
    for register in bus.motors[0].memory.table.registers.values():
        if not register.writable:
            continue
        bits = 8 * register.size
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if register.signed else (0, (1 << bits) - 1)
        before = get(bus, register.name)
        for raw in (register.minimum - 1, register.maximum + 1):
            if low <= raw <= high:
                assert put(bus, register, raw) == ErrorCode.DATA_RANGE, (register.name, raw)
                assert get(bus, register.name) == before


@pytest.mark.parametrize("model", MODELS)
def test_eeprom_is_locked_while_torque_is_on_and_ram_is_not(model: str) -> None:
    bus = machine(model)
    table = bus.motors[0].memory.table
    assert put(bus, table["torque_enable"], 1) == ErrorCode.NONE
    for register in table.registers.values():
        if not register.writable or register.name == "torque_enable":
            continue
        raw = get(bus, register.name) if register.name in GOALS else harmless(register)
        assert put(bus, register, raw) == (ErrorCode.ACCESS if register.eeprom else ErrorCode.NONE), register.name


@pytest.mark.parametrize("name", GOALS)
def test_goals_beyond_their_limits_are_refused_alone_and_ignored_among_others(name: str) -> None:
    bus = machine("XM430-W210")
    table = bus.motors[0].memory.table
    limit = {"goal_pwm": 885, "goal_current": 1193, "goal_velocity": 330, "goal_position": 4095}[name]
    register = table[name]
    assert put(bus, register, limit) == ErrorCode.NONE
    assert put(bus, register, limit + 1) == ErrorCode.DATA_LIMIT
    assert ask(bus, codec.sync_write(register.address, {1: (limit + 1).to_bytes(register.size, "little")})) == []
    assert get(bus, name) == limit


@pytest.mark.parametrize("model", MODELS)
def test_accesses_that_fit_no_register_are_refused(model: str) -> None:
    bus = machine(model)
    memory = bus.motors[0].memory
    goal = memory.table["goal_position"]
    assert one(bus, codec.write(1, goal.address + 1, bytes(3))).error == ErrorCode.ACCESS
    assert one(bus, codec.write(1, goal.address, bytes(3))).error == ErrorCode.DATA_LENGTH
    assert one(bus, codec.write(1, memory.size, bytes(1))).error == ErrorCode.ACCESS
    assert one(bus, codec.read(1, memory.size - 1, 2)).error == ErrorCode.ACCESS
    assert one(bus, codec.read(1, 0, 0)).error == ErrorCode.DATA_LENGTH
    assert one(bus, codec.encode(1, Instruction.READ, b"\x00")).error == ErrorCode.DATA_LENGTH
    assert one(bus, codec.encode(1, 0x77)).error == ErrorCode.INSTRUCTION


def test_a_write_over_several_registers_is_done_in_full_or_not_at_all() -> None:
    bus = machine("XM430-W210")
    # Goal current -1 beside goal velocity -3: four bytes of the pattern that has to be stuffed.
    assert one(bus, codec.write(1, 102, (-1).to_bytes(2, "little", signed=True) + (-3).to_bytes(4, "little", signed=True))).error == 0
    assert (get(bus, "goal_current"), get(bus, "goal_velocity")) == (-1, -3)
    assert one(bus, codec.write(1, 102, bytes(2) + (2000).to_bytes(4, "little"))).error == ErrorCode.DATA_LIMIT
    assert (get(bus, "goal_current"), get(bus, "goal_velocity")) == (-1, -3)


@pytest.mark.parametrize("model", MODELS)
def test_indirect_data_stand_for_the_bytes_that_they_point_to(model: str) -> None:
    bus = machine(model)
    memory = bus.motors[0].memory
    for bank in memory.table.indirect:
        for index, target in enumerate((116, 117, 118, 119)):
            assert one(bus, codec.write(1, bank.address + 2 * index, target.to_bytes(2, "little"))).error == 0
        assert one(bus, codec.write(1, bank.data, (1234).to_bytes(4, "little"))).error == 0
        assert get(bus, "goal_position") == 1234
        assert one(bus, codec.read(1, bank.data, 4)).data == (1234).to_bytes(4, "little")
        # What points nowhere else is a byte of its own.
        assert one(bus, codec.write(1, bank.data + 5, b"\x07")).error == 0
        assert one(bus, codec.read(1, bank.data + 5, 1)).data == b"\x07"
        assert one(bus, codec.write(1, bank.address, (3).to_bytes(2, "little"))).error == ErrorCode.DATA_RANGE


def test_status_return_levels() -> None:
    bus = machine("XM430-W210")
    level = bus.motors[0].memory.table["status_return_level"]
    # The level counts from its own write on.
    assert ask(bus, codec.write(1, level.address, b"\x01")) == []
    assert ask(bus, codec.write(1, 65, b"\x01")) == []
    assert len(ask(bus, codec.read(1, 65, 1))) == 1
    assert ask(bus, codec.write(1, level.address, b"\x00")) == []
    assert ask(bus, codec.read(1, 65, 1)) == []
    assert len(ask(bus, codec.ping(1))) == 1


def test_a_motor_of_another_rate_hears_nothing() -> None:
    bus = machine("XM430-W210", "XM430-W210")
    assert put(bus, bus.motors[1].memory.table["baud_rate"], 1, motor=2) == ErrorCode.NONE
    assert [status.id for status in ask(bus, codec.ping())] == [1]
    assert [status.id for status in ask(bus, codec.ping(), baud=57_600)] == [2]


def test_a_broadcast_ping_is_answered_by_all_in_the_order_of_their_ids() -> None:
    bus = machine("XL330-M288", "XM430-W210", "XH430-W210")
    answers = ask(bus, codec.ping())
    assert [(status.id, int.from_bytes(status.data[:2], "little"), status.data[2]) for status in answers] == [
        (1, 1200, 53), (2, 1030, 53), (3, 1010, 53),
    ]  # fmt: skip


def test_a_registered_write_waits_for_its_action() -> None:
    bus = machine("XM430-W210", "XM430-W210")
    for motor in (1, 2):
        assert one(bus, codec.reg_write(motor, 116, (100 * motor).to_bytes(4, "little"))).error == 0
        assert get(bus, "registered_instruction", motor) == 1
        assert get(bus, "goal_position", motor) != 100 * motor
    assert ask(bus, codec.action()) == []
    assert [get(bus, "goal_position", motor) for motor in (1, 2)] == [100, 200]


def test_reads_of_several_motors_with_blocks_of_their_own() -> None:
    bus = machine("XM430-W210", "XL330-M077")
    assert [status.data for status in ask(bus, codec.bulk_read({2: (0, 2), 1: (7, 1)}))] == [b"\xa6\x04", b"\x01"]
    assert ask(bus, codec.bulk_write({1: (65, b"\x01"), 2: (116, (77).to_bytes(4, "little"))})) == []
    assert (get(bus, "led"), get(bus, "goal_position", 2)) == (1, 77)


@pytest.mark.parametrize("fast", [False, True])
@given(asked=st.permutations([1, 2, 3]), size=st.integers(1, 20))
def test_sync_reads_answer_in_the_order_asked(fast: bool, asked: list[int], size: int) -> None:
    bus = machine("XM430-W210", "XM430-W210", "XM430-W210")
    (sent,), _ = codec.decode(codec.sync_read(asked, 0, size, fast=fast))
    data = b"".join(reply.data for reply in bus.responder.answer(sent, bus.now_s, 1_000_000))
    if fast:
        answers = codec.decode_fast(data, [(motor, size) for motor in asked])
    else:
        answers = [status for status in map(codec.status, codec.decode(data)[0]) if status is not None]
    assert [answer.id for answer in answers] == asked
    for answer in answers:
        assert answer.data == bus.motors[answer.id - 1].memory.read(0, size)


def test_a_dead_motor_silences_those_behind_it_or_not() -> None:
    for silent, expected in ((False, [1, 3]), (True, [1])):
        bus = machine("XM430-W210", "XM430-W210", "XM430-W210", options=BusOptions(lockstep=True, silent_successors=silent))
        bus.responder.dead.add(2)
        assert [status.id for status in ask(bus, codec.sync_read([1, 2, 3], 132, 4))] == expected


def test_an_expired_watchdog_locks_the_goals_until_it_is_cleared() -> None:
    bus = machine("XM430-W210")
    table = bus.motors[0].memory.table
    for name, raw in (("torque_enable", 1), ("bus_watchdog", 2), ("profile_velocity", 100), ("goal_position", 3000)):
        assert put(bus, table[name], raw) == ErrorCode.NONE
    bus.plant.run(30)
    bus._check_watchdogs()
    assert get(bus, "bus_watchdog") == 2
    bus.plant.run(41)
    bus._check_watchdogs()
    assert get(bus, "bus_watchdog") == -1
    assert get(bus, "profile_velocity") == 0
    held = get(bus, "goal_position")
    for name in GOALS:
        assert put(bus, table[name], 0) == ErrorCode.DATA_RANGE
    ask(bus, codec.sync_write(116, {1: bytes(4)}))
    assert get(bus, "goal_position") == held
    assert put(bus, table["bus_watchdog"], 0) == ErrorCode.NONE
    assert put(bus, table["goal_position"], 2100) == ErrorCode.NONE
    # Without torque it waits for nobody.
    assert put(bus, table["bus_watchdog"], 1) == ErrorCode.NONE
    assert put(bus, table["torque_enable"], 0) == ErrorCode.NONE
    bus.plant.run(1000)
    bus._check_watchdogs()
    assert get(bus, "bus_watchdog") == 1


@pytest.mark.parametrize(("bit", "shuts_down"), [(0, False), (2, True), (3, False), (4, True), (5, True)])
def test_hardware_errors_alert_and_shut_down_as_masked_until_a_reboot(bit: int, shuts_down: bool) -> None:
    bus = machine("XM430-W210")
    table = bus.motors[0].memory.table
    put(bus, table["torque_enable"], 1)
    put(bus, table["position_p_gain"], 640)
    bus.motors[0].fail(bit)
    status = one(bus, codec.read(1, table["hardware_error_status"].address, 1))
    assert status.alert
    assert status.data == bytes((1 << bit,))
    assert get(bus, "torque_enable") == (0 if shuts_down else 1)
    put(bus, table["torque_enable"], 1)
    assert get(bus, "torque_enable") == (0 if shuts_down else 1)
    assert one(bus, codec.reboot(1)).error == ErrorCode.NONE
    assert ask(bus, codec.ping(1)) == []
    bus.plant.run(250)
    assert not one(bus, codec.ping(1)).alert
    assert (get(bus, "torque_enable"), get(bus, "position_p_gain"), get(bus, "hardware_error_status")) == (0, 800, 0)


@pytest.mark.parametrize("level", list(ResetLevel))
def test_a_factory_reset_spares_what_its_level_says(level: ResetLevel) -> None:
    bus = machine("XM430-W210", "XM430-W210")
    table = bus.motors[1].memory.table
    put(bus, table["return_delay_time"], 0, motor=2)
    assert one(bus, codec.factory_reset(2, level)).error == ErrorCode.NONE
    bus.plant.run(250)
    memory = bus.motors[1].memory
    assert memory["return_delay_time"] == 250
    # The factory's id is 1, its rate 57,600; an emulated motor's own are what it was built with.
    assert memory["id"] == 2
    assert memory["baud_rate"] == 3


def test_backup_brings_back_what_was_kept() -> None:
    bus = machine("XM430-W210")
    table = bus.motors[0].memory.table
    put(bus, table["pwm_limit"], 500)
    put(bus, table["position_p_gain"], 321)
    assert one(bus, codec.encode(1, Instruction.CONTROL_TABLE_BACKUP, b"\x02CTRL")).error == ErrorCode.RESULT_FAIL
    assert one(bus, codec.encode(1, Instruction.CONTROL_TABLE_BACKUP, b"\x01CTRL")).error == ErrorCode.NONE
    assert get(bus, "backup_ready") == 1
    put(bus, table["pwm_limit"], 600)
    put(bus, table["position_p_gain"], 1)
    assert one(bus, codec.encode(1, Instruction.CONTROL_TABLE_BACKUP, b"\x02CTRX")).error == ErrorCode.RESULT_FAIL
    assert one(bus, codec.encode(1, Instruction.CONTROL_TABLE_BACKUP, b"\x02CTRL")).error == ErrorCode.NONE
    assert (get(bus, "pwm_limit"), get(bus, "position_p_gain")) == (500, 321)


def test_turns_are_counted_until_they_are_cleared() -> None:
    bus = machine("XM430-W210")
    table = bus.motors[0].memory.table
    put(bus, table["operating_mode"], 4)
    physics = bus.plant.physics
    assert isinstance(physics, BenchPhysics)
    physics.turn(0, 2.5 * 2.0 * np.pi)
    bus.plant.refresh()
    bus.responder._before_state()
    assert get(bus, "present_position") == 2048 + round(2.5 * 4096)
    assert one(bus, codec.clear_turns(1)).error == ErrorCode.NONE
    assert get(bus, "present_position") == (2048 + round(2.5 * 4096)) % 4096


def test_a_change_of_mode_resets_the_gains() -> None:
    bus = machine("XM430-W210")
    table = bus.motors[0].memory.table
    put(bus, table["position_p_gain"], 100)
    assert put(bus, table["operating_mode"], 2) == ErrorCode.DATA_RANGE
    put(bus, table["operating_mode"], 4)
    assert get(bus, "position_p_gain") == 800


def test_a_stalled_motor_overloads_and_an_undervolted_one_says_so() -> None:
    bus = machine("XM430-W210", options=BusOptions(lockstep=True))
    table = bus.motors[0].memory.table
    put(bus, table["torque_enable"], 1)
    physics = bus.plant.physics
    assert isinstance(physics, BenchPhysics)
    physics._stops = (-0.01, 0.01)
    put(bus, table["goal_position"], 4000)
    errors = [one(bus, codec.read(1, 132, 4)) for _ in range(130)]
    assert [status.alert for status in errors].index(True) > 95
    assert get(bus, "hardware_error_status") == 1 << 5
    assert get(bus, "torque_enable") == 0
    other = machine("XM430-W210")
    other.motors[0].servo.supply_v = 9.0
    one(other, codec.read(1, 132, 4))
    assert one(other, codec.read(1, 132, 4)).alert
    assert get(other, "present_input_voltage") == 90


@given(st.binary(max_size=400))
def test_no_bytes_end_a_bus(noise: bytes) -> None:
    bus = machine("XM430-W210")
    for frame in codec.decode(noise, ended=True)[0]:
        bus.responder.answer(frame, bus.now_s, 1_000_000)
    assert one(bus, codec.ping(1)).error == ErrorCode.NONE


@given(instruction=st.integers(0, 255), motor=st.sampled_from([0, 1, 252, 254]), parameters=st.binary(max_size=40))
def test_no_frame_ends_a_bus(instruction: int, motor: int, parameters: bytes) -> None:
    bus = machine("XM430-W210")
    (sent,), _ = codec.decode(codec.encode(motor, instruction, parameters))
    bus.responder.answer(sent, bus.now_s, 1_000_000)
    bus.plant.run(300)
    assert len(bus.responder.answer(codec.decode(codec.ping())[0][0], bus.now_s, bus.motors[0].baud)) == 1
