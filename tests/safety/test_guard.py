"""Laws of the guard: what reaches the robot, when, and who may move it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from robot import BusError, Clock, Command, MotorError, PortError, Robot, RobotError, RobotState, StaleError, UsageError, frozen_array
from safety import Ask, Cause, GuardConfig, GuardedRobot, HeldError, Mode, MotionLoop, Reason
from safety.capability import Capability
from safety.faults import TICKS_KEPT
from tests.fakes import InstantClock, InstantRobot
from tests.robot_contract import RobotContract

PERIOD_S = 0.01
BOX = {"position_min_rad": -1.0, "position_max_rad": {"joint_0": 1.0, "joint_1": 0.5, "joint_2": 2.0}}
CONFIG = GuardConfig(**BOX, velocity_max_rad_s=10.0, acceleration_max_rad_s2=500.0)
STEP_RAD = 10.0 * PERIOD_S
GOOD, BAD = Command(frozen_array([0.05, 0.0, 0.0])), Command(frozen_array([np.nan, 0.0, 0.0]))
anything = st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True, width=64)
vectors = st.lists(st.tuples(anything, anything, anything), min_size=1, max_size=30)


class Torque:
    """Motors whose torque is a bit."""

    def __init__(self) -> None:
        self.armed = False
        self.error: RobotError | None = None
        self.cuts = 0

    def arm(self) -> None:
        if self.error is not None:
            raise self.error
        self.armed = True

    def cut(self) -> None:
        self.armed = False
        self.cuts += 1


class Station:
    """An operator's station: what it says is what the test sets."""

    def __init__(self) -> None:
        self.causes, self.asks = Cause.NONE, Ask.NONE

    def look(self) -> tuple[Cause, Ask]:
        asks, self.asks = self.asks, Ask.NONE
        return self.causes, asks


class SensedRobot(InstantRobot):
    """Shows and raises what the test sets."""

    def __init__(self) -> None:
        super().__init__(3)
        self.shown: dict[str, object] = {}
        self.joints: dict[str, object] = {}
        self.error: RobotError | None = None
        self.deaf = False

    def read(self) -> RobotState:
        if self.error is not None:
            raise self.error
        state = super().read()
        return replace(state, joints=replace(state.joints, **self.joints), **self.shown)

    def write(self, command: Command) -> Command:
        if self.deaf:
            raise BusError("nobody answers")
        return super().write(command)


class Rig:
    """A guard with its robot and clock; `tick` writes and waits."""

    def __init__(self, config: GuardConfig = CONFIG, drive: Torque | None = None, engaged: bool = True, **more: object) -> None:
        self.robot = SensedRobot()
        self.clock = InstantClock(self.robot, PERIOD_S)
        self.station = Station()
        self.guard = GuardedRobot(self.robot, config, PERIOD_S, now_s=self.clock.now_s, drive=drive, outside=(self.station,), **more)
        if engaged:
            self.guard.arm()
            self.guard.engage()

    def tick(self, target: object = (0.05, 0.0, 0.0), ticks: int = 1):
        for _ in range(ticks):
            applied = self.guard.write(Command(frozen_array(target)))
            self.clock.wait()
            self.guard.read()
        return applied


class TestContract(RobotContract):
    def make(self) -> tuple[Robot, Clock]:
        rig = Rig()
        return rig.guard, rig.clock


@given(vectors)
def test_whatever_is_asked_the_robot_gets_finite_targets_inside_the_box_one_step_from_the_last(targets):
    rig = Rig()
    previous = np.zeros(3)
    for target in targets:
        applied = rig.tick(target).position_rad
        assert np.isfinite(applied).all()
        assert ((applied >= -1.0) & (applied <= (1.0, 0.5, 2.0))).all()
        assert (np.abs(applied - previous) <= STEP_RAD + 1e-12).all()
        np.testing.assert_array_equal(rig.robot.written[-1], applied)
        previous = applied


def test_a_joint_that_carried_too_much_stays_slow_for_the_next_drive_too():
    rig = Rig(GuardConfig(**BOX, velocity_max_rad_s=2.0, acceleration_max_rad_s2=50.0, current_max_a=1.0))
    rig.robot.joints = {"current_a": frozen_array([0.0, 4.0, 0.0])}
    rig.tick((0.0, 0.0, 0.0), 400)
    rig.robot.joints = {"current_a": frozen_array([0.0, 0.0, 0.0])}
    rig.guard.stop()
    rig.tick()
    rig.guard.engage()
    applied = rig.tick((0.4, 0.4, 0.4), 20)
    assert Reason.DERATED in applied.reasons
    assert applied.position_rad[1] == pytest.approx(0.0, abs=1e-9)
    assert applied.position_rad[0] > 0.1


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.RESETTING])
def test_a_robot_that_brakes_stays_in_the_box_in_which_it_was_driven_and_is_rounded_into_it(mode):
    # No bound is a whole number of pulses.
    wide = {"routine_position_min_rad": -0.7004, "routine_position_max_rad": 0.7004}
    config = GuardConfig(position_min_rad=-0.5004, position_max_rad=0.5004, **wide, velocity_max_rad_s=5.0, acceleration_max_rad_s2=300.0)
    most = 0.7004 if mode is Mode.RESETTING else 0.5004
    rig = Rig(config, engaged=False, pulse_rad=0.0015)
    rig.guard.arm()
    rig.guard.engage(mode)
    rig.tick((most, -most, most), 60)
    rig.guard.stop()
    for _ in range(5):
        held = rig.tick((0.0, 0.0, 0.0))
        assert held.mode is Mode.HOLD
        assert (np.abs(held.position_rad) <= most).all()
        assert (np.abs(held.position_rad) > most - 0.0015).all()


def test_three_bad_commands_in_a_row_hold_until_the_robot_is_engaged_again():
    rig = Rig()
    masks = [rig.tick(BAD.position_rad).reasons for _ in range(3)]
    assert masks[:2] == [Reason.NOT_FINITE, Reason.NOT_FINITE]
    assert Reason.HOLD in masks[2]
    assert (rig.guard.mode, rig.guard.causes) == (Mode.HOLD, Cause.REJECTED)
    held = rig.robot.written[-1]
    assert Reason.HOLD in rig.tick((0.9, 0.0, 0.0)).reasons
    np.testing.assert_array_equal(rig.robot.written[-1], held)
    rig.guard.engage()
    assert Reason.HOLD not in rig.tick().reasons


def test_five_bad_commands_within_a_second_hold_but_not_spread_over_more():
    def mode_after(good_between: int) -> Mode:
        rig = Rig()
        for _ in range(5):
            rig.tick(BAD.position_rad)
            rig.tick(ticks=good_between)
        return rig.guard.mode

    assert mode_after(10) is Mode.HOLD
    assert mode_after(30) is Mode.ACTIVE


def test_the_first_emission_after_a_teleport_starts_from_the_measured_pose():
    rig = Rig()
    rig.tick((0.9, 0.4, 0.9), 20)
    rig.robot.reset(np.random.default_rng(1))
    rig.guard.engage()
    measured = rig.guard.read().joints.position_rad
    assert (np.abs(rig.tick((0.9, 0.4, 0.9)).position_rad - measured) <= STEP_RAD + 1e-12).all()
    assert rig.guard.mode is Mode.ACTIVE


def test_a_stop_brakes_within_the_limits_and_then_holds():
    rig = Rig(GuardConfig(**BOX, velocity_max_rad_s=10.0, acceleration_max_rad_s2=200.0))
    rig.tick((1.0, 0.0, 0.0), 12)
    path = [rig.robot.written[-2][0], rig.robot.written[-1][0]]
    rig.guard.stop()
    rig.guard.stop()
    path += [float(rig.tick((1.0, 0.0, 0.0)).position_rad[0]) for _ in range(20)]
    speeds = np.diff(path) / PERIOD_S
    assert speeds[0] > 4.0
    assert (np.diff(speeds) <= 1e-9).all()
    assert (np.diff(speeds) >= -200.0 * PERIOD_S - 1e-9).all()
    np.testing.assert_allclose(speeds[-10:], 0.0, atol=1e-9)
    assert rig.guard.causes is Cause.ASKED


def test_no_torque_before_every_check_passes_and_no_motion_before_engage():
    drive = Torque()
    rig = Rig(drive=drive, engaged=False)
    with pytest.raises(HeldError, match="arm it first"):
        rig.tick()
    assert rig.robot.written == []
    rig.robot.joints = {"temperature_c": frozen_array([20.0, 51.0, 20.0]), "hardware_error": (0, 0, 0x20)}
    with pytest.raises(RobotError, match=r"joint_1 has 51 deg C.*below 50; joint_2 reports hardware error 0x20"):
        rig.guard.arm()
    rig.robot.joints = {"position_rad": frozen_array([0.0, 0.51, 0.0])}
    with pytest.raises(RobotError, match=r"joint_1 stands at 0.510 rad, outside of -1 to 0.5"):
        rig.guard.arm()
    rig.robot.joints = {"position_rad": frozen_array([0.0, np.nan, 0.0])}
    with pytest.raises(RobotError, match="joint_1 stands at nan"):
        rig.guard.arm()
    assert not drive.armed
    rig.robot.joints = {}
    drive.error = MotorError("motor 3 does not keep its watchdog")
    with pytest.raises(MotorError, match="watchdog"):
        rig.guard.arm()
    assert rig.guard.mode is not Mode.ARMED_HOLD
    drive.error = None
    rig.guard.arm()
    assert (rig.guard.mode, drive.armed) == (Mode.ARMED_HOLD, True)
    rig.tick((0.9, 0.0, 0.0), 5)
    np.testing.assert_array_equal(rig.robot.written[-1], np.zeros(3))
    rig.guard.engage()
    assert rig.tick((0.9, 0.0, 0.0), 5).position_rad[0] > 0.0


def test_limits_wider_than_the_motors_own_are_never_armed():
    able = Capability(*(frozen_array(np.full(3, value)) for value in (-3.0, 3.0, 8.0, 2.3, 80.0)))
    rig = Rig(drive=Torque(), engaged=False, capability=able)
    with pytest.raises(RobotError, match="joint_0: velocity_max_rad_s 10 is wider than the motor's own 8"):
        rig.guard.arm()


def test_every_level_of_the_emergency_stop_acts_at_the_next_tick_and_needs_an_operator():
    for cause, mode in ((Cause.STOP_HOLD, Mode.HOLD), (Cause.STOP_SETTLE, Mode.SETTLE), (Cause.STOP_CUT, Mode.DISARMED)):
        drive = Torque()
        rig = Rig(drive=drive)
        rig.tick(ticks=3)
        rig.station.causes = cause
        if mode is Mode.DISARMED:
            with pytest.raises(HeldError, match="emergency stop"):
                rig.tick()
            assert not drive.armed
        else:
            assert Reason.HOLD in rig.tick().reasons
        assert rig.guard.mode is mode
        rig.station.causes = Cause.NONE
        with pytest.raises(HeldError, match="emergency stop"):
            rig.guard.engage()
        if mode is Mode.HOLD:
            rig.guard.clear()
            rig.guard.engage()
            assert rig.guard.mode is Mode.ACTIVE


def test_settling_goes_to_the_rest_pose_and_then_lets_go():
    drive = Torque()
    rig = Rig(GuardConfig(**BOX, velocity_max_rad_s=2.0, acceleration_max_rad_s2=50.0, rest_rad=-0.5), drive=drive)
    rig.tick((0.4, 0.4, 0.4), 60)
    rig.robot.joints = {"temperature_c": frozen_array([20.0, 70.0, 20.0])}
    with pytest.raises(HeldError, match="too hot"):
        rig.tick((0.4, 0.4, 0.4), 1000)
    np.testing.assert_allclose(rig.robot.written[-1], -0.5, atol=0.03)
    assert (drive.cuts, rig.guard.mode) == (1, Mode.DISARMED)
    # Between arming and heat there are 20 degrees, and only an operator says that it is over.
    rig.robot.joints = {"temperature_c": frozen_array([20.0, 49.0, 20.0])}
    with pytest.raises(RobotError, match="not armed: stopped because a motor is too hot"):
        rig.guard.arm()
    rig.guard.clear()
    rig.guard.arm()
    assert rig.guard.mode is Mode.ARMED_HOLD


def test_a_settling_robot_that_cannot_reach_its_rest_pose_is_cut_after_five_seconds():
    drive = Torque()
    rig = Rig(GuardConfig(**BOX, velocity_max_rad_s=2.0, acceleration_max_rad_s2=50.0, rest_rad=-0.5), drive=drive)
    rig.tick()
    rig.robot.joints = {"position_rad": frozen_array([0.0, 0.0, 0.0])}
    rig.station.causes = Cause.STOP_SETTLE
    start_s = rig.clock.now_s()
    with pytest.raises(HeldError):
        rig.tick(ticks=1000)
    assert rig.clock.now_s() - start_s == pytest.approx(5.0, abs=0.02)
    assert drive.cuts == 1


@pytest.mark.parametrize(
    ("error", "cause"),
    [(BusError("silent"), Cause.BUS), (MotorError("rebooted"), Cause.REBOOTED), (PortError("gone"), Cause.PORT)],
)
def test_an_error_of_the_robot_is_raised_and_holds_until_its_own_clear_event(error, cause):
    rig = Rig(drive=Torque())
    rig.tick()
    rig.robot.error = error
    rig.clock.wait()
    with pytest.raises(type(error)):
        rig.guard.read()
    rig.robot.error = None
    assert (rig.guard.mode, rig.guard.causes) == (Mode.HOLD, cause)
    assert Reason.HOLD in rig.tick().reasons
    if cause is Cause.BUS:
        rig.guard.engage()
    else:
        with pytest.raises(HeldError):
            rig.guard.engage()


def test_a_tick_that_is_late_stops_and_one_that_comes_twice_changes_nothing():
    rig = Rig()
    rig.tick()
    before = len(rig.robot.written)
    first = rig.guard.write(GOOD)
    second = rig.guard.write(Command(frozen_array([0.9, 0.0, 0.0])))
    np.testing.assert_array_equal(second.position_rad, first.position_rad)
    assert Reason.LATE in second.reasons
    assert len(rig.robot.written) == before + 1
    for _ in range(3):
        rig.clock.wait()
    assert Reason.HOLD not in rig.tick().reasons
    for _ in range(4):
        rig.clock.wait()
    assert Reason.HOLD in rig.tick().reasons
    assert rig.guard.causes is Cause.LATE


def test_a_routine_uses_the_wide_box_and_hands_back_inside_the_narrow_one():
    config = GuardConfig(
        **BOX, routine_position_min_rad=-2.0, routine_position_max_rad=2.0, velocity_max_rad_s=10.0, acceleration_max_rad_s2=500.0
    )
    rig = Rig(config)
    rig.guard.engage(Mode.RESETTING)
    np.testing.assert_allclose(rig.tick((-1.8, 1.8, 0.0), 60).position_rad, [-1.8, 1.8, 0.0])
    rig.guard.engage()
    applied = rig.tick((0.0, 0.0, 0.0), 100).position_rad
    # Back inside at a degree a second.
    np.testing.assert_allclose(applied[:2], [-1.8 + np.radians(1.0), 1.8 - np.radians(1.0)], atol=1e-3)


def test_a_robot_that_is_not_sent_what_was_decided_is_cut():
    drive = Torque()
    rig = Rig(drive=drive)
    rig.tick()
    other = Command(frozen_array([0.3, 0.0, 0.0]))
    rig.robot.write = lambda _command: other
    with pytest.raises(HeldError, match="software error"):
        rig.tick()
    assert not drive.armed
    rig.guard.clear()
    with pytest.raises(RobotError, match="software error"):
        rig.guard.arm()


def test_a_fault_carries_the_ticks_before_it():
    rig = Rig()
    for tick in range(80):
        rig.tick((0.01 * np.sin(tick), 0.0, 0.0))
    rig.guard.trip(Cause.DISK)
    fault = rig.guard.fault
    assert fault is not None
    assert (fault.causes, fault.mode, len(fault.records)) == (Cause.DISK, Mode.HOLD, TICKS_KEPT)
    np.testing.assert_array_equal([r.emission_rad for r in fault.records], rig.robot.written[-TICKS_KEPT:])
    assert "the disk is full" in str(fault)
    rig.station.causes = Cause.DISK
    with pytest.raises(HeldError) as caught:
        rig.guard.engage()
    assert caught.value.fault is rig.guard.fault


def test_a_robot_that_cannot_be_read_is_cut_all_the_same():
    drive = Torque()
    rig = Rig(drive=drive)
    rig.tick()
    rig.robot.error = BusError("silent")
    rig.station.causes = Cause.STOP_CUT
    rig.clock.wait()
    with pytest.raises(BusError):
        rig.guard.read()
    assert (drive.armed, rig.guard.mode) == (False, Mode.DISARMED)
    # Settling ends in time as well, without a pose to go by.
    drive = Torque()
    rig = Rig(drive=drive)
    rig.tick()
    rig.robot.error = BusError("silent")
    rig.station.causes = Cause.STOP_SETTLE
    for _ in range(503):
        rig.clock.wait()
        with pytest.raises(BusError):
            rig.guard.read()
    assert not drive.armed


def test_a_joint_outside_of_the_widest_limits_is_not_driven_and_the_cause_stays():
    rig = Rig()
    rig.tick(ticks=3)
    rig.robot.joints = {"position_rad": frozen_array([0.05 + 2.0 * np.pi, 0.0, 0.0])}
    rig.clock.wait()
    rig.guard.read()
    assert Reason.HOLD in rig.guard.write(GOOD).reasons
    for _ in range(2):
        with pytest.raises(HeldError, match=r"HOLD and stays there: joint_0 stands at 6.333 rad, outside of -1 to 1"):
            rig.guard.engage()
        assert rig.guard.causes is Cause.JUMPED
    rig.robot.joints = {}
    rig.guard.engage()
    assert rig.guard.mode is Mode.ACTIVE


def test_only_driving_modes_can_be_engaged():
    with pytest.raises(UsageError, match="ACTIVE, RESETTING, TELEOP: got HOLD"):
        Rig().guard.engage(Mode.HOLD)


def test_closing_stops_the_robot():
    rig = Rig()
    rig.guard.close()
    with pytest.raises(RobotError, match="closed"):
        rig.robot.read()


def test_motion_holds_the_target_for_a_policy_tick_and_reports_every_bus_tick():
    rig = Rig(GuardConfig(**BOX, velocity_max_rad_s=10.0, acceleration_max_rad_s2=1e5))
    motion = MotionLoop(rig.guard, rig.clock, ticks=4)
    start = rig.guard.read()
    end, ticks = motion.advance(Command(frozen_array([0.35, 0.0, 0.0])), start)
    assert motion.policy_period_s == pytest.approx(0.04)
    assert [round(float(t.applied.position_rad[0]), 9) for t in ticks] == [0.1, 0.2, 0.3, 0.35]
    assert [bool(t.reasons & Reason.RATE) for t in ticks] == [True, True, True, False]
    np.testing.assert_allclose([t.state.joints.position_rad[0] for t in ticks], [0.0, 0.1, 0.2, 0.3])
    assert end.joints.position_rad[0] == 0.35
    assert {t.mode for t in ticks} == {Mode.ACTIVE}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"position_min_rad": 2.0}, "joint_0: position_min_rad 2.0 must be below position_max_rad 1.0"),
        ({"velocity_max_rad_s": 0.0}, "positive"),
        ({"velocity_max_rad_s": float("nan")}, "finite"),
        ({"braking_rad_s2": 501.0}, "braking_rad_s2 501.0 must not be above acceleration_max_rad_s2 500.0"),
        ({"routine_position_min_rad": -2.0}, "together"),
        ({"routine_position_min_rad": -0.5, "routine_position_max_rad": 3.0}, "routine_position_min_rad -0.5"),
        ({"rest_rad": 0.6}, "joint_1: rest_rad 0.6"),
        ({"temperature_derate_c": 80.0}, "temperatures rise"),
        ({"coupled": [{"joints": ["a", "a"], "min_rad": 0, "max_rad": 1}]}, "two different joints"),
        ({"coupled": [{"joints": ["a", "b"], "min_rad": 1, "max_rad": 1}]}, "min_rad 1.0 must be below"),
        ({"low_pass_hz": 0.0}, "low_pass_hz"),
        ({"speed": 1.0}, "speed"),
    ],
)
def test_senseless_limits_are_refused(changes, named):
    with pytest.raises(ValidationError, match=named):
        GuardConfig.model_validate({**CONFIG.model_dump(), **changes})


def test_limits_must_fit_the_robot():
    robot = InstantRobot(4)
    with pytest.raises(UsageError, match=r"guard\.position_max_rad has no value for joint_3: name every joint"):
        GuardedRobot(robot, CONFIG, PERIOD_S, now_s=lambda: 0.0)
    with pytest.raises(UsageError, match=r"names joint_2, which this robot does not have: the nearest of its joints is joint_[01]"):
        GuardedRobot(InstantRobot(2), CONFIG, PERIOD_S, now_s=lambda: 0.0)
    pair = {"joints": ("x", "y"), "min_rad": 0, "max_rad": 1}
    coupled = GuardConfig.model_validate({**CONFIG.model_dump(), "position_max_rad": 1.0, "coupled": (pair,)})
    with pytest.raises(UsageError, match=r"guard\.coupled names x"):
        GuardedRobot(robot, coupled, PERIOD_S, now_s=lambda: 0.0)
    slow = CONFIG.model_copy(update={"acceleration_max_rad_s2": 1.0, "position_max_rad": 1.0})
    with pytest.raises(UsageError, match=r"joint_0 would brake from velocity_max_rad_s 10 for 10\.0 s"):
        GuardedRobot(robot, slow, PERIOD_S, now_s=lambda: 0.0)
    with pytest.raises(UsageError, match="period must be positive"):
        GuardedRobot(InstantRobot(3), CONFIG, 0.0, now_s=lambda: 0.0)


def test_a_robot_without_switch_is_cut_in_name_and_driven_again():
    rig = Rig()
    rig.tick()
    rig.guard.cut()
    assert (rig.guard.mode, rig.guard.armed) == (Mode.DISARMED, False)
    with pytest.raises(HeldError, match="DISARMED: arm it first"):
        rig.tick()
    rig.guard.engage()
    assert rig.guard.armed
    assert Reason.HOLD not in rig.tick().reasons


def test_torque_that_is_on_already_is_not_switched_again():
    drive = Torque()
    drive.arm()
    drive.error = MotorError("it was switched on twice")
    rig = Rig(drive=drive)
    assert rig.guard.mode is Mode.ACTIVE


# A power of two: sums of it are exact.
TICK_S = 1.0 / 128.0
RESTING = GuardConfig(**BOX, velocity_max_rad_s=2.0, acceleration_max_rad_s2=50.0, rest_rad=0.0)


class Recorder(SensedRobot):
    """Remembers what it was asked to do, and answers with what the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.off_by_rad = 0.0

    def read(self) -> RobotState:
        self.calls.append("read")
        return super().read()

    def write(self, command: Command) -> Command:
        done = super().write(command)
        return Command(done.position_rad + np.array([0.0, self.off_by_rad, 0.0]))

    def stop(self) -> None:
        self.calls.append("stop")
        super().stop()

    def close(self) -> None:
        self.calls.append("close")
        super().close()


def recorded(config: GuardConfig = CONFIG, drive: Torque | None = None, **more: object) -> tuple[GuardedRobot, Recorder, InstantClock]:
    robot = Recorder()
    clock = InstantClock(robot, TICK_S)
    guard = GuardedRobot(robot, config, TICK_S, now_s=clock.now_s, drive=drive, **more)
    guard.arm()
    guard.engage()
    robot.calls.clear()
    return guard, robot, clock


def test_a_robot_begins_without_torque_where_it_has_a_switch_and_where_it_has_none():
    for drive in (None, Torque()):
        guard = Rig(drive=drive, engaged=False).guard
        assert (guard.mode, guard.armed, guard.causes, guard.fault) == (Mode.BOOT, False, Cause.NONE, None)


def test_three_periods_are_not_late_and_anything_more_is():
    for waits, causes in ((3, Cause.NONE), (4, Cause.LATE)):
        guard, _, clock = recorded()
        guard.write(GOOD)
        for _ in range(waits):
            clock.wait()
        guard.write(GOOD)
        assert guard.causes is causes


def test_a_second_tick_at_one_time_is_the_first_one_and_counts_for_nothing():
    guard, robot, clock = recorded()
    guard.write(GOOD)
    clock.wait()
    first = guard.write(GOOD)
    for _ in range(9):
        again = guard.write(BAD)
        assert (again.position_rad is first.position_rad, again.reasons) == (True, first.reasons | Reason.LATE)
    assert guard.causes is Cause.NONE
    assert len(robot.written) == 2


def test_commands_are_joined_by_lines_where_the_limits_say_so_and_by_steps_in_a_routine():
    far = Command(frozen_array([0.04, 0.0, 0.0]))
    for interpolate, mode, path in (
        (True, Mode.ACTIVE, [0.01, 0.02, 0.03, 0.04]),
        (False, Mode.ACTIVE, [0.04] * 4),
        (True, Mode.RESETTING, [0.04] * 4),
    ):
        guard, robot, clock = recorded(CONFIG.model_copy(update={"interpolate": interpolate, "acceleration_max_rad_s2": 1e5}), ramp_ticks=4)
        guard.engage(mode)
        for _ in path:
            guard.write(far)
            clock.wait()
            guard.read()
        np.testing.assert_allclose([written[0] for written in robot.written], path)


def test_without_being_told_a_command_takes_one_tick():
    guard, robot, _ = recorded(CONFIG.model_copy(update={"acceleration_max_rad_s2": 1e5}))
    guard.write(GOOD)
    np.testing.assert_array_equal(robot.written[-1], GOOD.position_rad)


def test_heat_slows_a_joint_that_is_driven_and_not_one_that_settles():
    drive = Torque()
    guard, robot, clock = recorded(RESTING, drive)
    robot.joints = {"temperature_c": frozen_array([62.5, 20.0, 20.0])}
    path = []
    for _ in range(40):
        guard.read()
        path.append(guard.write(Command(frozen_array([0.5, 0.5, 0.5]))).position_rad)
        clock.wait()
    steps = np.diff(path, axis=0).max(axis=0) / TICK_S
    # Half of the way from 55 to 70 deg C is half of the speed.
    np.testing.assert_allclose(steps, [1.0, 2.0, 2.0])
    guard.trip(Cause.STOP_SETTLE)
    path = []
    for _ in range(10):
        guard.read()
        path.append(guard.write(GOOD).position_rad)
        clock.wait()
    assert guard.mode is Mode.SETTLE
    assert (np.diff(path, axis=0)[-1] / TICK_S < -1.5).any()
    assert np.diff(path, axis=0)[-1][0] / TICK_S < -1.5


def test_a_robot_with_a_rest_pose_is_driven_elsewhere_all_the_same():
    guard, _, clock = recorded(RESTING)
    for _ in range(60):
        guard.read()
        applied = guard.write(Command(frozen_array([0.3, 0.4, -0.5])))
        clock.wait()
    np.testing.assert_allclose(applied.position_rad, [0.3, 0.4, -0.5])


@pytest.mark.parametrize(
    ("pose", "mode"),
    [
        ([0.0199, -0.0199, 0.0], Mode.DISARMED),
        ([0.02, 0.0, 0.0], Mode.SETTLE),
        ([-0.0, 0.0, -0.02], Mode.SETTLE),
        ([0.5, 0.0, 0.0], Mode.SETTLE),
    ],
)
def test_a_robot_has_settled_where_every_joint_is_close_to_its_rest(pose, mode):
    guard, robot, _clock = recorded(RESTING, Torque())
    robot.joints = {"position_rad": frozen_array(pose)}
    guard.trip(Cause.STOP_SETTLE)
    guard.read()
    if mode is Mode.DISARMED:
        with pytest.raises(HeldError):
            guard.write(GOOD)
    else:
        assert Reason.HOLD in guard.write(GOOD).reasons
    assert guard.mode is mode


def test_a_rest_pose_is_a_place_and_not_its_mirror():
    guard, robot, _ = recorded(RESTING.model_copy(update={"rest_rad": 0.3}), Torque())
    robot.joints = {"position_rad": frozen_array([-0.3, -0.3, -0.3])}
    guard.trip(Cause.STOP_SETTLE)
    guard.read()
    guard.write(GOOD)
    assert guard.mode is Mode.SETTLE


def test_a_robot_without_a_rest_pose_lets_go_where_it_stands():
    drive = Torque()
    guard, _, _clock = recorded(drive=drive)
    guard.trip(Cause.STOP_SETTLE)
    with pytest.raises(HeldError):
        guard.write(GOOD)
    assert (guard.mode, drive.cuts) == (Mode.DISARMED, 1)


def test_nothing_that_is_asked_or_found_ends_settling_before_its_time():
    guard, robot, _clock = recorded(RESTING, Torque())
    robot.joints = {"position_rad": frozen_array([0.4, 0.4, 0.4])}
    guard.trip(Cause.STOP_SETTLE)
    guard.trip(Cause.ASKED)
    guard.clear()
    guard.stop()
    with pytest.raises(HeldError, match="SETTLE"):
        guard.engage()
    assert guard.mode is Mode.SETTLE


def test_a_settling_robot_names_every_stage_and_the_hold():
    guard, _robot, clock = recorded(RESTING, Torque())
    for _ in range(60):
        guard.read()
        guard.write(Command(frozen_array([0.5, 0.5, 0.5])))
        clock.wait()
    guard.trip(Cause.STOP_SETTLE)
    guard.read()
    assert guard.write(GOOD).reasons == Reason.HOLD | Reason.RATE


def test_an_idle_tick_holds_a_robot_that_nothing_stops_without_counting_it_a_stop():
    guard, robot, clock = recorded()
    guard.write(Command(frozen_array([0.5, 0.0, 0.0])))
    clock.wait()
    applied = guard.idle()
    assert (applied.mode, applied.reasons) == (Mode.ACTIVE, Reason.NONE)
    np.testing.assert_array_equal(robot.written[-1], applied.position_rad)
    for _ in range(9):
        clock.wait()
        guard.idle()
    assert guard.causes is Cause.NONE


def test_commands_count_only_while_they_are_followed():
    guard, _, clock = recorded()
    guard.engage()
    guard.stop()
    for _ in range(5):
        guard.write(BAD)
        clock.wait()
    assert guard.causes is Cause.ASKED


def test_rejections_before_an_engagement_do_not_count_after_it():
    guard, _, clock = recorded()
    for _ in range(2):
        for _ in range(2):
            guard.write(BAD)
            clock.wait()
        guard.engage()
    assert guard.causes is Cause.NONE


def test_a_guard_stops_its_robot_before_it_closes_it():
    guard, robot, _ = recorded()
    guard.close()
    assert robot.calls == ["stop", "close"]


def test_a_read_after_a_pause_stops_nothing_and_what_was_read_before_it_is_forgotten():
    guard, robot, _ = recorded()
    assert guard.refresh() is not None
    robot.calls.clear()
    guard.write(GOOD)
    # What was read is what the tick looks at.
    assert robot.calls == []
    robot.error = BusError("old data")
    with pytest.raises(BusError, match="old data"):
        guard.refresh()
    assert guard.mode is Mode.ACTIVE
    robot.error = None
    robot.tick(TICK_S)
    robot.calls.clear()
    guard.write(GOOD)
    assert robot.calls == ["read"]


def test_what_a_guard_says_it_has_read_is_what_the_robot_measured():
    guard, robot, _ = recorded()
    robot.joints = {"position_rad": frozen_array([0.1, 0.2, 0.3])}
    for read in (guard.refresh, guard.read):
        np.testing.assert_array_equal(read().joints.position_rad, [0.1, 0.2, 0.3])


def test_a_tick_that_nobody_read_for_reads_itself():
    guard, robot, _ = recorded()
    guard.read()
    guard.write(GOOD)
    robot.tick(TICK_S)
    robot.calls.clear()
    guard.write(GOOD)
    assert robot.calls == ["read"]


@pytest.mark.parametrize("way", ["read", "refresh"])
def test_what_was_read_before_a_read_that_failed_is_forgotten(way: str):
    guard, robot, _ = recorded()
    guard.read()
    robot.error = StaleError("old data")
    with pytest.raises(StaleError):
        getattr(guard, way)()
    robot.error = None
    robot.calls.clear()
    guard.write(GOOD)
    assert robot.calls == ["read"]


def test_a_robot_that_only_a_person_may_release_is_to_be_moved_by_nobody():
    rig = Rig()
    rig.guard.require_releasable()
    # What ends by itself forbids nothing.
    rig.guard.trip(Cause.ASKED)
    rig.guard.require_releasable()
    # It is looked for now, not at the next tick.
    rig.station.causes = Cause.STOP_CUT
    with pytest.raises(HeldError, match="emergency stop"):
        rig.guard.require_releasable()


def test_an_emergency_stop_that_nobody_has_looked_at_yet_keeps_torque_off():
    drive = Torque()
    rig = Rig(drive=drive, engaged=False)
    rig.station.causes = Cause.STOP_HOLD
    with pytest.raises(RobotError, match="not armed: stopped because the emergency stop was pressed"):
        rig.guard.arm()
    assert not drive.armed


def test_arming_ends_what_needs_no_person():
    rig = Rig(drive=Torque(), engaged=False)
    rig.guard.trip(Cause.BLOCKED)
    rig.guard.arm()
    assert (rig.guard.mode, rig.guard.causes) == (Mode.ARMED_HOLD, Cause.NONE)
    # Armed already: nothing is asked again.
    rig.guard.trip(Cause.BLOCKED)
    rig.guard.arm()
    assert rig.guard.causes is Cause.BLOCKED


def test_a_robot_is_held_where_it_stands_as_it_is_armed_and_not_where_it_stood_before():
    drive = Torque()
    guard, robot, clock = recorded(drive=drive)
    guard.write(GOOD)
    guard.cut()
    robot.joints = {"position_rad": frozen_array([0.3, 0.2, 0.1])}
    guard.arm()
    clock.wait()
    np.testing.assert_array_equal(guard.write(GOOD).position_rad, [0.3, 0.2, 0.1])


def test_a_cut_that_fails_is_tried_again_at_the_next_tick():
    class Deaf(Torque):
        deaf = True

        def cut(self) -> None:
            self.cuts += 1
            if self.deaf:
                raise BusError("motor 3 does not confirm")
            self.armed = False

    drive = Deaf()
    guard, robot, _clock = recorded(drive=drive)
    with pytest.raises(BusError, match="does not confirm"):
        guard.cut()
    assert guard.mode is Mode.CUT
    written = len(robot.written)
    drive.deaf = False
    with pytest.raises(HeldError):
        guard.write(GOOD)
    assert (guard.mode, drive.cuts, len(robot.written)) == (Mode.DISARMED, 2, written)


def test_a_fault_is_made_once_of_each_new_cause():
    guard, _, clock = recorded()
    guard.trip(Cause.DISK)
    first = guard.fault
    for _ in range(3):
        clock.wait()
        guard.write(GOOD)
        assert guard.fault is first
    guard.trip(Cause.DISK)
    assert guard.fault is first
    guard.trip(Cause.BUS)
    assert guard.fault is not first
    assert guard.fault is not None
    assert guard.fault.causes is Cause.DISK | Cause.BUS


def test_a_cause_that_stops_nothing_yet_makes_no_fault():
    rig = Rig(drive=Torque(), engaged=False)
    rig.guard.trip(Cause.DISK)
    assert (rig.guard.mode, rig.guard.causes, rig.guard.fault) == (Mode.DISARMED, Cause.DISK, None)


def test_what_the_robot_was_sent_may_differ_by_rounding_and_nobody_can_change_it():
    for off_by_rad, mode in ((1e-10, Mode.ACTIVE), (2e-9, Mode.CUT)):
        guard, robot, _ = recorded(drive=None)
        robot.off_by_rad = off_by_rad
        if mode is Mode.ACTIVE:
            guard.write(GOOD)
        else:
            with pytest.raises(HeldError, match="software error"):
                guard.write(GOOD)
        assert not robot.written[-1].flags.writeable


def test_a_difference_of_exactly_the_rounding_is_no_mismatch():
    guard, robot, _ = recorded()
    robot.off_by_rad = 1e-9
    guard.write(Command(frozen_array([0.05, 0.0, 0.0])))
    assert guard.causes is Cause.NONE


def test_an_error_in_a_write_holds_and_what_could_not_be_sent_was_not_emitted():
    guard, robot, clock = recorded()
    guard.write(GOOD)
    clock.wait()
    before = robot.written[-1]

    def fails(_command: Command) -> Command:
        raise BusError("silent")

    write, robot.write = robot.write, fails
    with pytest.raises(BusError, match="silent"):
        guard.write(Command(frozen_array([0.5, 0.5, 0.5])))
    assert (guard.mode, guard.causes) == (Mode.HOLD, Cause.BUS)
    robot.write = write
    clock.wait()
    guard.read()
    after = guard.write(GOOD).position_rad
    # The next emission brakes from the last that was sent.
    assert (np.abs(after - before) <= 10.0 * TICK_S).all()
    assert abs(after[1]) == 0.0


def test_the_play_of_the_gears_is_taken_for_the_bound_itself_and_no_more():
    # Bounds of 0, so that the distance to them is exact.
    low, high = {"joint_0": 0.0, "joint_1": -1.0, "joint_2": -1.0}, {"joint_0": 1.0, "joint_1": 1.0, "joint_2": 0.0}
    guard, robot, _ = recorded(CONFIG.model_copy(update={"position_min_rad": low, "position_max_rad": high}))
    robot.joints = {"position_rad": frozen_array([-0.006, 0.5, 0.006])}
    guard.engage()
    np.testing.assert_array_equal(guard.idle().position_rad, [0.0, 0.5, 0.0])
    beyond = math.nextafter(0.006, 1.0)
    for outside in ([-beyond, 0.5, 0.0], [0.0, 0.5, beyond]):
        robot.joints = {"position_rad": frozen_array(outside)}
        with pytest.raises(HeldError, match=r"stays there: joint_[02] stands at"):
            guard.engage()


def test_the_play_is_a_distance_to_the_bound_wherever_that_is():
    guard, robot, _ = recorded()
    robot.joints = {"position_rad": frozen_array([-1.005, 0.505, 2.005])}
    guard.engage()
    np.testing.assert_array_equal(guard.idle().position_rad, [-1.0, 0.5, 2.0])


def test_torque_that_nobody_armed_is_neither_followed_nor_switched():
    drive = Torque()
    rig = Rig(drive=drive, engaged=False)
    drive.armed = True
    with pytest.raises(HeldError, match="DISARMED"):
        rig.tick()
    assert (drive.armed, drive.cuts) == (True, 0)


def test_a_robot_that_was_ended_for_good_is_cut_once():
    drive = Torque()
    rig = Rig(drive=drive)
    rig.guard.trip(Cause.STOP_TERMINATE)
    for _ in range(3):
        with pytest.raises(HeldError, match="TERMINATED"):
            rig.tick()
        rig.clock.wait()
    assert (drive.armed, drive.cuts) == (False, 1)


@pytest.mark.parametrize("braking", [20.0, math.nextafter(20.0, 0.0)])
def test_the_longest_stop_is_of_five_hundred_ticks(braking):
    config = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=100.0, acceleration_max_rad_s2=braking)
    period_s = 0.01
    assert (100.0 / (20.0 * period_s)) == 500.0
    if braking == 20.0:
        GuardedRobot(InstantRobot(3), config, period_s, now_s=lambda: 0.0)
    else:
        with pytest.raises(UsageError, match=r"joint_0 would brake from velocity_max_rad_s 100 for 5\.0 s"):
            GuardedRobot(InstantRobot(3), config, period_s, now_s=lambda: 0.0)


def test_the_joint_with_the_longest_stop_is_the_one_that_is_named():
    speeds = {"joint_0": 1.0, "joint_1": 90.0, "joint_2": 80.0}
    config = GuardConfig(position_min_rad=-1.0, position_max_rad=1.0, velocity_max_rad_s=speeds, acceleration_max_rad_s2=10.0)
    with pytest.raises(UsageError, match=r"joint_1 would brake from velocity_max_rad_s 90 for 9\.0 s"):
        GuardedRobot(InstantRobot(3), config, 0.01, now_s=lambda: 0.0)


def test_a_robot_without_torque_hears_of_the_outside_when_it_is_asked_to():
    rig = Rig(drive=Torque(), engaged=False)
    rig.station.causes = Cause.STOP_HOLD
    rig.guard.poll()
    assert rig.guard.causes is Cause.STOP_HOLD


def test_a_robot_that_was_put_elsewhere_between_two_drives_has_not_jumped():
    rig = Rig(GuardConfig(position_min_rad=-3.0, position_max_rad=3.0, velocity_max_rad_s=10.0, acceleration_max_rad_s2=500.0))
    rig.robot._target = rig.robot._position = frozen_array([-2.0, 0.0, 0.0])
    rig.guard.engage()
    rig.tick((-2.0, 0.0, 0.0))
    rig.robot._target = rig.robot._position = frozen_array([2.0, 0.0, 0.0])
    rig.guard.engage()
    assert rig.tick((2.0, 0.0, 0.0)).mode is Mode.ACTIVE
    assert rig.guard.causes == Cause.NONE
