"""The robot on a bus, over a real emulated wire: what a user of motors relies on."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robot import Clock, Command, CommandError, MotorError, PortLostError, Robot, RobotError, command
from robot.calibration import load_calibration, nominal, save_calibration
from robot.clock import RealTimeClock, TickClock, monotonic_s, sleep_s
from robot.description import load_description
from robot.dynamixel import codec
from robot.dynamixel.backends import BusConfig
from robot.dynamixel.tables import hardware_errors
from robot.emulator import EmulatorProcess
from robot.errors import BusError, CalibrationError, StaleError, UsageError
from robot.hardware import HardwareRobot
from robot.self_test import self_test
from tests.robot.machines import PERIOD_S, connect, describe, emulator, opener, running, undisturbed
from tests.robot_contract import RobotContract

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def machine() -> Iterator[EmulatorProcess]:
    with emulator("--robot", "kitty") as process:
        yield process


@pytest.fixture
def rig(machine: EmulatorProcess) -> Iterator[tuple[EmulatorProcess, HardwareRobot, Clock]]:
    """The kitty's motors in their home pose, our driver connected, torque off."""
    machine.client.reset(np.random.default_rng(0))
    robot = connect(machine.port, load_description("kitty"))
    yield machine, robot, TickClock(robot, RealTimeClock(PERIOD_S))
    robot.close()


@pytest.mark.parametrize("backend", ["native", "sdk"])
class TestContract(RobotContract):
    """The laws of every Robot, on both back ends."""

    @pytest.fixture(autouse=True)
    def _machine(self, machine: EmulatorProcess, backend: str) -> None:
        self._served, self._backend = machine, backend

    def make(self) -> tuple[Robot, Clock]:
        self._served.client.reset(np.random.default_rng(0))
        robot = connect(self._served.port, load_description("kitty"), self._backend)
        robot.arm()
        return robot, TickClock(robot, RealTimeClock(PERIOD_S))


def test_connecting_moves_nothing_and_sets_every_motor_up(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, _ = rig
    truth = machine.client.ask("truth")
    assert truth["torque"] == [0] * 12
    np.testing.assert_allclose(robot.read().joints.position_rad, [joint.home_rad for joint in robot.description.joints], atol=0.001)
    robot.reconnect()
    # What was right already is not written again.
    assert robot.changes == ()


def test_torque_comes_on_from_any_pose_without_a_jerk(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    rng = np.random.default_rng(1)
    for _ in range(5):
        for index, joint in enumerate(robot.description.joints):
            machine.client.ask("turn", joint=index, angle_rad=float(rng.uniform(joint.lower_rad + 0.01, joint.upper_rad - 0.01)))
        before = machine.client.ask("truth")["joints_rad"]
        clock.wait()
        robot.arm()
        for _ in range(10):
            clock.wait()
            robot.read()
        after = machine.client.ask("truth")
        assert after["torque"] == [1] * 12
        assert np.abs(np.array(after["joints_rad"]) - before).max() < 0.0174
        robot.cut()


def test_a_pose_outside_of_the_range_is_not_armed(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    machine.client.ask("turn", joint=2, angle_rad=1.62)
    clock.wait()
    with pytest.raises(MotorError, match=r"motor 12 \(front_right_knee\) stands at .* outside"):
        robot.arm()
    assert machine.client.ask("truth")["torque"] == [0] * 12
    machine.client.reset(np.random.default_rng(0))


def test_nothing_moves_before_arming(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    _, robot, _ = rig
    with pytest.raises(RobotError, match="arm the robot"):
        robot.write(command(robot.read().joints.position_rad, 12))


def test_goals_are_checked_and_kept_in_bounds_before_they_are_sent(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    robot.arm()
    start = robot.read().joints.position_rad
    goals = machine.client.ask("truth")["goals"]
    for bad in (np.nan, np.inf):
        with pytest.raises(CommandError, match="nothing was sent"):
            robot.write(command([*start[:11], bad], 12))
    with pytest.raises(CommandError):
        robot.write(command(start[:11], 11))
    assert machine.client.ask("truth")["goals"] == goals
    # A far goal is approached no faster than a motor could turn at twice its speed.
    applied = robot.write(command(start + 1.0, 12)).position_rad
    assert 0.0 < np.abs(applied - start).max() < 2.0 * 8.07 * PERIOD_S + 0.002
    low = [joint.lower_rad for joint in robot.description.joints]
    for _ in range(80):
        applied = robot.write(command(np.full(12, -9.0), 12)).position_rad
        clock.wait()
        robot.read()
    assert (applied >= np.array(low) - 1e-9).all()
    np.testing.assert_allclose(applied, low, atol=0.002)


def test_a_goal_may_come_to_where_a_hand_has_turned_its_joint(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    robot.arm()
    start = robot.read().joints.position_rad
    machine.client.ask("turn", joint=1, angle_rad=float(start[1]) + 0.8)
    clock.wait()
    turned = robot.read().joints.position_rad
    assert turned[1] - start[1] > 0.5
    np.testing.assert_allclose(robot.write(command(turned, 12)).position_rad, turned, atol=1e-9)


def run_until_it_raises(robot: HardwareRobot, clock: Clock, ticks: int) -> None:
    for _ in range(ticks):
        clock.wait()
        robot.read()


def test_a_dead_motor_leaves_the_others_fresh_and_shows_its_age() -> None:
    for successors in ((), ("--silent-successors",)):
        with running(*successors, silence_s=0.006) as (machine, robot, clock):
            robot.arm()
            machine.client.ask("fault", fault={"kind": "drop", "motors": [30]})
            ages = []
            for _ in range(5):
                clock.wait()
                ages.append(robot.read().joints.age_s)
            worst = np.array(ages)
            assert (np.diff(worst[:, 6]) > 0.0).all()
            assert worst[-1, 6] > 0.03
            assert np.median(np.delete(worst, 6, axis=1)) == 0.0
            with pytest.raises(StaleError, match="motor 30"):
                run_until_it_raises(robot, clock, 12)


@pytest.mark.parametrize("begin", ["resync", "read after a pause"])
def test_a_lost_answer_where_something_begins_is_asked_for_again(begin: str) -> None:
    with running(silence_s=0.004) as (machine, robot, clock):
        if begin == "read after a pause":
            robot.read()
            sleep_s(0.2)
            clock.wait()
        machine.client.ask("fault", fault={"kind": "drop", "motors": [41], "duration_s": 0.03})
        if begin == "resync":
            robot.resync()
        assert robot.read().joints.age_s.max() == 0.0


def drive_past_a_late_motor(machine: EmulatorProcess, robot: HardwareRobot, clock: Clock) -> None:
    start = robot.read().joints.position_rad
    for tick in range(40):
        robot.write(command(start + 0.02 * (tick + 1), 12))
        clock.wait()
        before = machine.client.ask("truth")["joints_rad"][11]
        joints = robot.read().joints
        # It moves 0.02 rad in a tick, always the same way: what it said of an earlier one is below where it was before it was asked. On a
        # busy machine its physics are caught up some milliseconds late: half a tick is allowed for that.
        if joints.age_s[11] == 0.0:
            assert joints.position_rad[11] > before - 0.01
        assert joints.age_s[:11].max() < 5 * PERIOD_S


def test_late_answers_are_never_taken_for_new_ones() -> None:
    """One motor's answers come a whole period late, in its own place of the next burst: only its clock tells. In the end it is silent."""
    with running(silence_s=0.004) as (machine, robot, clock):
        robot.arm()
        machine.client.ask("fault", fault={"kind": "delay", "motors": [42], "magnitude": PERIOD_S})
        with pytest.raises(StaleError, match="motor 42"):
            drive_past_a_late_motor(machine, robot, clock)
        assert robot.bus_errors > 0


@pytest.mark.parametrize(
    ("kind", "more"), [("truncate", {}), ("misaddress", {}), ("misaddress", {"magnitude": 99}), ("misaddress", {"magnitude": 10})]
)
def test_three_ticks_with_wrong_answers_are_an_error_and_two_are_none(kind: str, more: dict[str, int]) -> None:
    with running(silence_s=0.02) as (machine, robot, clock):
        group, wrong = robot._connection.group, {"kind": kind, "motors": [41], **more}
        machine.client.ask("fault", fault=wrong)
        assert [group.read().wrong_reads for _ in range(2)] == [1, 2]
        machine.client.ask("mend")
        while not (state := group.read()).fresh.all():
            assert state.wrong_reads == 0
        machine.client.ask("fault", fault=wrong)
        assert [group.read().wrong_reads for _ in range(2)] == [1, 2]
        with pytest.raises(BusError, match=r"wrong id or length came in 3 ticks.*41"):
            run_until_it_raises(robot, clock, 1)


def test_a_line_on_which_one_byte_in_a_hundred_is_damaged_is_not_taken_for_a_wrong_one() -> None:
    with running(silence_s=0.005) as (machine, robot, _):
        group = robot._connection.group
        before = robot._bus.count.noise_bytes
        machine.client.ask("fault", fault={"kind": "corrupt", "probability": 0.01})
        states = [group.read() for _ in range(200)]
        assert any(not state.fresh.all() for state in states) or robot._bus.count.retries > 100
        # A burst that comes late, from a machine that was kept from answering, may look wrong once.
        assert max(state.wrong_reads for state in states) < 3
        assert robot._bus.count.noise_bytes > before + 1000


def test_an_overload_shows_in_its_own_tick_and_the_others_stay_readable(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    robot.arm()
    machine.client.ask("fault", fault={"kind": "overload", "motors": [21]})
    clock.wait()
    joints = robot.read().joints
    assert joints.hardware_error is not None
    assert [hardware_errors(status) for status in joints.hardware_error] == [["overload"] if i == 4 else [] for i in range(12)]
    assert joints.age_s.max() == 0.0
    assert machine.client.ask("truth")["torque"][4] == 0
    # Nothing brings it back but a request.
    with pytest.raises(MotorError, match="overload"):
        robot.arm()
    robot.recover()
    assert machine.client.ask("truth")["errors"] == [0] * 12
    robot.arm()
    assert machine.client.ask("truth")["torque"] == [1] * 12


def test_a_motor_that_restarts_is_noticed_and_set_up_again_on_request(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    robot.arm()
    for _ in range(3):
        clock.wait()
        robot.read()
    machine.client.ask("fault", fault={"kind": "reboot", "motors": [11]})
    with pytest.raises(StaleError, match="motor 11"):
        run_until_it_raises(robot, clock, 60)
    robot.recover()
    robot.arm()
    assert machine.client.ask("truth")["torque"] == [1] * 12


def test_a_stalled_loop_finds_its_motors_stopped(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, _ = rig
    robot.arm()
    robot.read()
    sleep_s(0.25)
    assert machine.client.ask("truth")["watchdog"] == [-1] * 12
    robot.advance()
    with pytest.raises(MotorError, match=r"stopped: nothing was sent for 0\.1 s"):
        robot.read()
    robot.arm()
    robot.advance()
    robot.read()


def _drive_until_killed(port: str, ready: object) -> None:
    robot = connect(port, load_description("kitty"))
    clock = TickClock(robot, RealTimeClock(PERIOD_S))
    robot.arm()
    target = robot.read().joints.position_rad
    for tick in range(1_000_000):
        target = target + 0.02
        robot.write(command(np.minimum(target, 3.0), 12))
        if tick == 5:
            ready.set()  # type: ignore[attr-defined]
        clock.wait()
        robot.read()


def test_a_killed_driver_stops_its_robot_within_the_watchdog() -> None:
    with emulator("--robot", "kitty") as machine:
        context = multiprocessing.get_context("spawn")
        ready = context.Event()
        driver = context.Process(target=_drive_until_killed, args=(machine.port, ready))
        driver.start()
        assert ready.wait(30.0)
        os.kill(driver.pid or 0, signal.SIGKILL)
        killed_s = machine.client.ask("status")["time_s"]
        driver.join()
        while min(machine.client.ask("truth")["watchdog"]) >= 0:
            assert machine.client.ask("status")["time_s"] < killed_s + 1.0
        stopped = machine.client.ask("truth")
        # 100 ms, and what it takes to ask.
        assert stopped["time_s"] - killed_s < 0.1 + 0.02 + 0.05
        sleep_s(0.3)
        held = machine.client.ask("truth")["joints_rad"]
        sleep_s(0.2)
        assert np.abs(np.array(machine.client.ask("truth")["joints_rad"]) - held).max() < 0.01


def test_unplugging_is_one_error_and_plugging_in_again_is_enough(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    with emulator("--robot", "kitty", "--link", str(link)) as machine:
        robot = connect(str(link), load_description("kitty"))
        clock = TickClock(robot, RealTimeClock(PERIOD_S))
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            robot.arm()
            with pytest.raises(BusError):
                robot._bus.read(99, 132, 4)
            errors = robot.bus_errors
            assert errors > 0
            machine.client.ask("unplug")
            start_s = monotonic_s()
            clock.wait()
            with pytest.raises(PortLostError, match="plug it in again"):
                robot.read()
            assert monotonic_s() - start_s < 0.05 + PERIOD_S
            robot.advance()
            with pytest.raises(PortLostError):
                robot.read()
            machine.client.ask("plug")
            robot.reconnect()
            assert not robot.armed
            # What has happened on the bus is not forgotten.
            assert robot.bus_errors >= errors
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
        robot.close()


def test_a_robot_that_is_not_as_described_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with emulator("--robot", str(describe(tmp_path, ["XM430-W210", "XM430-W350"]))) as machine:
        there = load_description(tmp_path / "row.yaml")
        (tmp_path / "more").mkdir()
        more = load_description(describe(tmp_path / "more", ["XM430-W210", "XM430-W350", "XM430-W210"]))
        with pytest.raises(MotorError, match=r"motor 3 \(joint_2\) .* answering: 1, 2"):
            connect(machine.port, more, silence_s=0.01)
        (tmp_path / "other").mkdir()
        other = load_description(describe(tmp_path / "other", ["XM430-W210", "XM430-W210"]))
        with pytest.raises(MotorError, match=r"motor 2 \(joint_1\) is a XM430-W350, the description says XM430-W210"):
            connect(machine.port, other)
        robot = connect(machine.port, there)
        assert next(change.register for change in robot.changes if change.motor == 1) == "return_delay_time"
        robot.close()


def test_a_calibration_moves_zeros_and_is_checked(tmp_path: Path) -> None:
    description = load_description("kitty")
    with emulator("--robot", "kitty") as machine:
        fixed = nominal(description)
        moved = fixed.model_copy(
            update={"joints": tuple(joint.model_copy(update={"zero_raw": joint.zero_raw + 20}) for joint in fixed.joints)}
        )
        save_calibration(tmp_path / "c.yaml", moved)
        open_bus = opener(machine.port, description, BusConfig(), 0.05)
        robot = HardwareRobot(description, open_bus, load_calibration(tmp_path / "c.yaml"), PERIOD_S)
        shift = np.array([joint.home_rad for joint in description.joints]) - robot.read().joints.position_rad
        np.testing.assert_allclose(shift, 20 * 0.001534, atol=0.001)
        robot.close()
        wrong = fixed.model_copy(update={"joints": (fixed.joints[0].model_copy(update={"zero_raw": 0}), *fixed.joints[1:])})
        with pytest.raises(CalibrationError, match=r"front_right_abduction .* outside of"):
            HardwareRobot(description, open_bus, wrong, PERIOD_S)
        with pytest.raises(CalibrationError, match="is of a claw"):
            HardwareRobot(description, open_bus, nominal(load_description("claw")), PERIOD_S)


@pytest.mark.parametrize("model", ["XL330-M288", "XM430-W350"])
def test_the_self_test_passes_on_a_good_robot_and_names_a_bad_joint(tmp_path: Path, model: str) -> None:
    supply_v = 5.0 if model.startswith("XL") else 12.0
    path = describe(tmp_path, [model, model], supply_v)
    with emulator("--robot", str(path)) as machine:
        robot = connect(machine.port, load_description(path))
        clock = TickClock(robot, RealTimeClock(PERIOD_S))
        result = undisturbed(lambda: self_test(robot, clock))
        assert result.passed, result
        assert machine.client.ask("truth")["torque"] == [0, 0]
        machine.client.ask("fault", fault={"kind": "stuck_encoder", "motors": [2]})
        failed = undisturbed(lambda: self_test(robot, clock))
        assert [joint.passed for joint in failed.joints] == [True, False]
        robot.close()


def test_mixed_models_are_read_together_each_in_its_own_units(tmp_path: Path) -> None:
    # 7 V is within what an XL330 takes, and too low for an XM430: it says so.
    path = describe(tmp_path, ["XL330-M288", "XC330-T288"], supply_v=6.0)
    with emulator("--robot", str(path)) as machine:
        robot = connect(machine.port, load_description(path))
        state = robot.read()
        assert state.joints.age_s.max() == 0.0
        assert state.voltage_v == pytest.approx(6.0)
        robot.close()


class Tap:
    """What a port sends, frame by frame; `change` may replace a frame."""

    def __init__(self, robot: HardwareRobot, change: Callable[[codec.Frame], bytes | None] = lambda _: None) -> None:
        self.frames: list[codec.Frame] = []
        port, send = robot._bus.port, robot._bus.port.write

        def write(data: bytes) -> None:
            sent = b""
            for frame in codec.decode(data)[0]:
                self.frames.append(frame)
                changed = change(frame)
                sent += codec.encode(frame.id, frame.instruction, frame.parameters) if changed is None else changed
            send(sent)

        port.write = write

    def places(self, motor: int, instruction: int, parameters: bytes) -> list[int]:
        return [
            place
            for place, frame in enumerate(self.frames)
            if frame.id == motor and frame.instruction == instruction and frame.parameters.startswith(parameters)
        ]


def test_no_torque_before_the_goal_is_the_pose_and_the_watchdog_was_read_back(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, _ = rig
    tap = Tap(robot)
    robot.arm()
    assert machine.client.ask("truth")["watchdog"] == [5] * 12
    for motor in robot.description.ids:
        (armed,) = tap.places(motor, codec.Instruction.WRITE, b"\x62\x00\x05")
        (torque,) = tap.places(motor, codec.Instruction.WRITE, b"\x40\x00\x01")
        (goal,) = tap.places(motor, codec.Instruction.WRITE, b"\x74\x00")
        asked = tap.places(motor, codec.Instruction.READ, b"\x62\x00\x01\x00")
        assert goal < armed < torque
        assert [place for place in asked if armed < place < torque] != []
        assert tap.places(motor, codec.Instruction.WRITE, b"\x62\x00\x00")[-1] < armed


@pytest.mark.parametrize("how", ["not heard", "not kept"])
def test_a_motor_without_its_watchdog_leaves_every_motor_without_torque(
    rig: tuple[EmulatorProcess, HardwareRobot, Clock], how: str
) -> None:
    machine, robot, _ = rig

    def change(frame: codec.Frame) -> bytes | None:
        if frame.id != 31 or frame.instruction != codec.Instruction.WRITE or not frame.parameters.startswith(b"\x62\x00\x05"):
            return None
        return b"" if how == "not heard" else codec.write(31, 98, b"\x00")

    Tap(robot, change)
    with pytest.raises(
        RobotError, match="motor 31 .*does not answer" if how == "not heard" else "motor 31 was told bus_watchdog 5 and holds 0"
    ):
        robot.arm()
    assert machine.client.ask("truth")["torque"] == [0] * 12
    assert not robot.armed


def test_a_restarted_motor_is_named_as_one_that_lost_its_torque(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    robot.arm()
    robot.read()
    machine.client.ask("fault", fault={"kind": "reboot", "motors": [11]})
    for _ in range(40):
        clock.wait()
        with contextlib.suppress(RobotError):
            robot.read()
    clock.wait()
    with pytest.raises(MotorError, match="motor 11 has lost its torque"):
        robot.read()
    assert robot.armed


def test_a_motor_that_restarted_before_the_robot_is_taken_as_it_is_is_named(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, _ = rig
    robot.arm()
    robot.resync()
    machine.client.ask("fault", fault={"kind": "reboot", "motors": [22]})
    sleep_s(0.5)
    with pytest.raises(MotorError, match="motor 22 has lost its torque"):
        robot.resync()
    robot.cut()
    robot.recover()


def test_a_goal_comes_back_to_a_joint_that_was_held_as_far_away_as_it_is(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    machine.client.ask("fault", fault={"kind": "jam", "motors": [11]})
    robot.arm()
    target = robot.read().joints.position_rad.copy()
    held = target[1]
    for _ in range(8):
        target[1] += 0.1
        robot.write(command(target, 12))
        clock.wait()
        robot.read()
    target[1] = held
    # In one step, unlike a jump to the other side.
    assert robot.write(command(target, 12)).position_rad[1] == pytest.approx(held, abs=0.001)
    clock.wait()
    robot.read()
    target[1] = held - 1.0
    assert robot.write(command(target, 12)).position_rad[1] > held - 0.3
    machine.client.ask("mend")


def test_joints_within_the_play_of_their_gears_are_armed_at_their_bound(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    machine, robot, clock = rig
    joint = robot.description.joints[2]
    machine.client.ask("turn", joint=2, angle_rad=joint.lower_rad - 0.004)
    clock.wait()
    robot.arm()
    assert robot.read().joints.position_rad[2] == pytest.approx(joint.lower_rad, abs=0.006)
    robot.cut()
    machine.client.ask("turn", joint=2, angle_rad=joint.lower_rad - 0.02)
    clock.wait()
    with pytest.raises(MotorError, match="outside of its range"):
        robot.arm()


def test_the_claw_turns_its_valve_by_the_valves_own_motor_and_lets_go_of_it() -> None:
    with emulator("--robot", "claw") as machine:
        robot = connect(machine.port, load_description("claw"))
        clock = TickClock(robot, RealTimeClock(PERIOD_S))
        with pytest.raises(RobotError, match="torque is off: arm the robot"):
            robot.turn_object(1.0)
        robot.arm()
        for angle in (3.2, -3.2, float("nan")):
            with pytest.raises(UsageError, match=r"valve cannot be turned to .* it reaches -3.1 to 3.1"):
                robot.turn_object(angle)
        assert machine.client.ask("truth")["torque"] == [1] * 9 + [0]
        before = robot.read().joints.position_rad
        # A register a tick: its error status, its two limits, and the six that make it turn.
        requests = list(robot.turn_object(-1.0))
        assert len(requests) == 8
        fastest = 0.0
        for _ in range(200):
            clock.wait()
            seen = robot.read().tracked_object
            assert seen is not None
            fastest = max(fastest, abs(seen.velocity_rad_s))
            robot.write(Command(before))
        assert seen.angle_rad == pytest.approx(-1.0, abs=np.radians(5.0))
        # By its profile, not as fast as it can.
        assert 1.0 < fastest < 2.5
        assert machine.client.ask("truth")["torque"] == [1] * 10
        np.testing.assert_allclose(robot.read().joints.position_rad, before, atol=0.01)
        robot.release_object()
        assert machine.client.ask("truth")["torque"] == [1] * 9 + [0]
        # Fingers have turned it further than its motor's position goes.
        machine.client.ask("turn", joint=9, angle_rad=4.85)
        clock.wait()
        seen = robot.read().tracked_object
        assert seen is not None
        assert abs(np.cos(seen.angle_rad) - np.cos(4.85)) < 0.1
        deque(robot.turn_object(-1.0), maxlen=0)
        for _ in range(100):
            clock.wait()
            robot.read()
            robot.write(Command(before))
        seen = robot.read().tracked_object
        assert seen is not None
        assert seen.angle_rad == pytest.approx(-1.0, abs=np.radians(5.0))
        # A cut takes it along.
        deque(robot.turn_object(1.0), maxlen=0)
        robot.cut()
        assert machine.client.ask("truth")["torque"] == [0] * 10
        robot.close()


def test_a_robot_without_a_motor_for_objects_says_so(rig: tuple[EmulatorProcess, HardwareRobot, Clock]) -> None:
    _, robot, _ = rig
    with pytest.raises(UsageError, match="a kitty has no auxiliary motor that could turn an object: describe it under auxiliary"):
        robot.turn_object(0.0)
