"""Laws of the motion server and its client, on a time that the test moves: the newest command, silence, errors, requests, bus ticks."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot import BusError, ClosedError, Command, CommandError, RobotError, RobotState, StaleError, UsageError, command, frozen_array
from robot.clock import RealTimeClock, TickStatistics
from safety import Cause, GuardConfig, GuardedRobot, Machine, Mode, MotionClock, MotionLink, MotionLoop, Reason, RemoteMotion, Silence
from safety.motion_records import Request, command_dtype
from safety.tick_records import pack_tick, state_of
from sim import MinitaurConfig, MinitaurSimulation, simulate_minitaur
from tests.safety.served import PERIOD_S, ErringRobot, Served, Torque, serving, serving_instant

pytestmark = pytest.mark.realtime

FAR = command([0.9, 0.9, 0.9], 3)


@pytest.fixture
def instant() -> Iterator[tuple[Served, ErringRobot]]:
    with serving_instant() as made:
        yield made


def publish(link: MotionLink, epoch: int, sequence: int, target: float, stamp_s: float) -> None:
    record = np.zeros(1, command_dtype(3))
    record["epoch"], record["sequence"], record["stamp_s"], record["request"] = epoch, sequence, stamp_s, Request.MOVE
    record["target_rad"] = target
    link.command.publish(record)


# Fewer ticks than the newest command stays in force, 20: what follows then is silence's part.
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.floats(-0.5, 0.5)), max_size=18))
@settings(max_examples=50)
def test_old_duplicated_and_reordered_commands_never_move_the_robot(commands):
    """The oracle takes a command if its epoch is the owner's and its sequence larger than every one before; none is silent for long."""
    with serving_instant() as (served, robot):
        served.link.words.set("epoch", 2)
        newest, effective = 0, None
        for epoch, sequence, target in commands:
            publish(served.link, epoch, sequence, target, served.now_s)
            if epoch == 2 and sequence > newest:
                newest, effective = sequence, target
            served.ticks(1)
            row = served.link.ticks.read(served.link.ticks.head - 1, 1)[0]
            assert int(row["command"]) == newest
            if effective is None:
                np.testing.assert_array_equal(robot.written[-1], np.zeros(3))
            else:
                np.testing.assert_array_equal(row["target_rad"], np.full(3, effective))


def test_a_command_that_waited_too_long_is_no_command(instant):
    served, robot = instant
    served.link.words.set("epoch", 1)
    publish(served.link, 1, 1, 0.5, served.now_s - 0.05)
    served.ticks(3)
    np.testing.assert_array_equal(robot.written, np.zeros((len(robot.written), 3)))
    assert served.machine.robot.mode is Mode.ACTIVE


def test_a_new_owner_ends_what_the_old_one_asked_for(instant):
    served, robot = instant
    first = served.client()
    first.send(FAR)
    served.ticks(2)
    first._link.close()
    kept = robot.written[-1]
    second = served.client()
    served.ticks(2)
    np.testing.assert_array_equal(robot.written[-1], kept)
    assert (kept < 0.9).all()
    assert not second.write(FAR).reasons & Reason.HOLD


def test_silence_freezes_then_holds_until_a_release(instant):
    served, robot = instant
    client = served.client()
    client.send(FAR)
    served.ticks(3)
    moved = robot.written[-1]
    assert (moved < 0.9).all()
    served.ticks(8)
    frozen = robot.written[-1]
    assert (frozen - moved <= 0.3 + 1e-12).all()
    assert served.machine.robot.mode is Mode.ACTIVE
    served.ticks(5)
    np.testing.assert_array_equal(robot.written[-1], frozen)
    served.ticks(10)
    assert served.machine.robot.mode is Mode.HOLD
    assert client.write(FAR).reasons & Reason.HOLD
    client.release()
    assert not client.write(FAR).reasons & Reason.HOLD


def test_a_client_that_keeps_writing_is_never_frozen(instant):
    served, _ = instant
    client = served.client()
    clock = MotionClock(client)
    for _ in range(100):
        assert not client.write(command(np.zeros(3), 3)).reasons & Reason.HOLD
        clock.wait()


def test_a_client_of_a_robot_whose_torque_is_off_hears_so_and_arms_it():
    drive = Torque()
    with serving_instant(drive) as (served, robot):
        client = served.client()
        with pytest.raises(RobotError, match="torque is off"):
            client.write(FAR)
        assert not client.armed
        drive.error = RobotError("motor 3 reports overload")
        with pytest.raises(RobotError, match="arm failed: motor 3 reports overload"):
            client.arm()
        drive.error = None
        client.arm()
        assert client.armed
        np.testing.assert_array_equal(robot.written[-1], np.zeros(3))
        client.write(FAR)
        np.testing.assert_array_equal(robot.written[-1], np.full(3, 0.1))
        client.cut()
        assert not client.armed


def test_a_robot_without_torque_switch_says_so(instant):
    served, _ = instant
    with pytest.raises(RobotError, match="cannot be switched"):
        served.client().arm()


@pytest.mark.parametrize("kind", ["read_error", "write_error"])
def test_an_error_of_the_robot_stops_it_is_published_and_survived(instant, kind):
    served, robot = instant
    client = served.client()
    client.write(FAR)
    setattr(robot, kind, RobotError("motor 7 is silent"))
    if kind == "read_error":
        with pytest.raises(StaleError, match="cannot use its robot: RobotError: motor 7 is silent"):
            client.write(FAR)
    else:
        assert client.write(FAR).reasons & Reason.HOLD
    assert served.machine.robot.mode is Mode.HOLD
    setattr(robot, kind, None)
    kept = robot.written[-1]
    served.ticks(2)
    np.testing.assert_array_equal(robot.written[-1], kept)
    client.read()
    status = served.link.status.read()
    assert status["errors"][0] >= 1
    assert client.write(FAR).reasons & Reason.HOLD
    client.release()
    assert not client.write(FAR).reasons & Reason.HOLD


def test_anyone_may_stop_and_only_the_owner_moves(instant):
    served, robot = instant
    client = served.client()
    client.write(FAR)
    other = MotionLink.attach(served.link.name)
    assert other.ask_stop(served.now_s, served.sleep, 0.1)
    assert served.machine.robot.mode is Mode.HOLD
    kept = robot.written[-1]
    assert client.write(FAR).reasons & Reason.HOLD
    np.testing.assert_array_equal(robot.written[-1], kept)
    other.close()


def test_a_second_client_is_refused_by_the_name_of_the_first_and_admitted_after_it(instant):
    served, _ = instant
    first = served.client()
    with pytest.raises(RobotError, match=r"driven by process \d+: end that one first"):
        served.client()
    first.close()
    served.client().release()


def test_the_state_read_after_a_release_is_from_after_it(instant):
    served, robot = instant
    client = served.client()
    before = client.read().joints.position_rad
    client.release(seed=1)
    after = client.read().joints.position_rad
    assert (after != before).all()
    np.testing.assert_array_equal(after, robot.read().joints.position_rad)


def test_a_silent_server_is_stale_within_a_bound_and_says_what_ails_it(instant):
    served, _ = instant
    client = served.client()
    client.read()
    served.running = False
    served.now_s += 1.0
    with pytest.raises(StaleError, match=r"\(process \d+\) has published nothing"):
        client.read()
    served.server.halt("ValueError: a bug")
    with pytest.raises(StaleError, match="has ended: ValueError: a bug"):
        client.write(FAR)


def test_a_command_of_another_shape_is_refused_before_it_is_sent(instant):
    served, _ = instant
    with pytest.raises(CommandError, match="3 joints"):
        served.client().send(Command(frozen_array([0.0])))


def test_a_closing_client_stops_the_robot_and_the_server_lives(instant):
    served, _ = instant
    client = served.client()
    client.write(FAR)
    client.close()
    client.close()
    assert served.machine.robot.mode is Mode.HOLD
    with pytest.raises(ClosedError):
        client.read()
    assert not served.server.closing


def test_a_request_to_end_is_acknowledged_and_ends_the_loop(instant):
    served, robot = instant
    client = served.client()
    client.shut_down()
    assert served.server.closing
    served.server.close()
    with pytest.raises(ClosedError):
        robot.read()
    served.running = False
    served.now_s += 1.0
    with pytest.raises(StaleError, match="has ended: it was asked to end"):
        client.read()


def test_senseless_times_names_and_rates_are_refused(instant):
    served, _ = instant
    with pytest.raises(UsageError, match="freeze before it holds"):
        Silence(0.2, 0.1)
    with pytest.raises(UsageError, match="cannot be called"):
        MotionLink.create("../other", 3)
    with pytest.raises(UsageError, match="runs already"):
        MotionLink.create(served.link.name, 3)
    with pytest.raises(StaleError, match="there is no motion process"):
        MotionLink.attach("nobody")
    client = served.client()
    with pytest.raises(UsageError, match="at least 2 bus ticks"):
        RemoteMotion(client, MotionClock(client), 1, TickStatistics())


def minitaur_machine(simulation: MinitaurSimulation) -> Machine:
    limits = GuardConfig(position_min_rad=0.9, position_max_rad=3.1, velocity_max_rad_s=5.0, acceleration_max_rad_s2=500.0, low_pass_hz=5.0)
    robot = GuardedRobot(simulation.robot, limits, PERIOD_S, now_s=simulation.clock.now_s, ramp_ticks=2)
    return Machine(robot, simulation.clock, RealTimeClock(PERIOD_S, lambda: 0.0), simulation.robot.reset)


def test_bus_ticks_over_the_process_are_gapless_and_those_of_a_loop_on_the_same_simulation():
    """Every bus tick is repeated by `MotionLoop` with the same target in a second simulation, and must leave the same record."""
    ours, theirs = (simulate_minitaur(MinitaurConfig(), 1.0 / PERIOD_S, seed=4) for _ in range(2))
    twin = minitaur_machine(theirs)
    loop = MotionLoop(twin.robot, twin.clock, 1)
    with serving(minitaur_machine(ours)) as served:
        client = served.client()
        timing = TickStatistics()
        motion = RemoteMotion(client, MotionClock(client), 2, timing)
        client.release(seed=7)
        state = client.read()
        twin.begin(np.random.default_rng(7))
        expected = twin.robot.read()
        records = []
        for step in range(12):
            begin = state
            state, ticks = motion.advance(command(np.full(8, 1.5 + 0.1 * step), 8), begin)
            assert len(ticks) == 2
            assert ticks[0].state.joints.stamp_s == begin.joints.stamp_s
            records += ticks
            # The policy itself takes a third of a bus period.
            served.sleep(PERIOD_S / 3)
        assert (motion.missed, motion.lost, timing.ticks, timing.missed) == (0, 0, 24, 0)
        stamps_s = [tick.state.joints.stamp_s for tick in records]
        np.testing.assert_allclose(np.diff(stamps_s), PERIOD_S, atol=1e-9)
        # The server holds the robot between the release and the first command, which is taken one tick after it was sent.
        for _ in range(3):
            if (expected.joints.position_rad == records[0].state.joints.position_rad).all():
                break
            twin.robot.idle()
            twin.clock.wait()
            expected = twin.robot.read()
        twin.robot.idle()
        twin.clock.wait()
        expected = twin.robot.read()
        for tick in records[1:]:
            expected_next, (repeated,) = loop.advance(tick.target, expected)
            assert pack_tick(tick) == pack_tick(repeated)
            expected = expected_next
        np.testing.assert_array_equal(state.joints.position_rad, expected.joints.position_rad)
    ours.robot.close()
    theirs.robot.close()


def test_a_late_policy_gets_all_its_bus_ticks_and_the_missed_policy_ticks_are_counted(instant):
    served, _ = instant
    client = served.client()
    motion = RemoteMotion(client, MotionClock(client), 2, TickStatistics())
    state: RobotState = client.read()
    stamps_s: list[float] = []
    for late_ticks in (0, 1, 2, 3, 7, 0):
        served.sleep(late_ticks * PERIOD_S)
        state, ticks = motion.advance(command(np.full(3, 0.01), 3), state)
        assert len(ticks) % 2 == 0
        np.testing.assert_array_equal(ticks[-1].target.position_rad, np.full(3, 0.01))
        stamps_s += [tick.state.joints.stamp_s for tick in ticks]
    np.testing.assert_allclose(np.diff(stamps_s), PERIOD_S, atol=1e-9)
    assert motion.missed == len(stamps_s) / 2 - 6 > 0


def test_bus_ticks_that_the_ring_has_lost_are_counted(instant):
    served, _ = instant
    client = served.client()
    motion = RemoteMotion(client, MotionClock(client), 2, TickStatistics())
    state, _ = motion.advance(FAR, client.read())
    first = client.head
    served.ticks(3000)
    _, ticks = motion.advance(FAR, state)
    assert motion.lost > 0
    assert motion.lost + len(ticks) == client.position - (first - 1)


def test_a_waiting_clock_skips_and_counts_what_passed(instant):
    served, _ = instant
    client = served.client()
    clock = MotionClock(client)
    client.read()
    first = client.position
    assert clock.wait() > 0.0
    assert client.position == first + 1
    served.ticks(5)
    assert clock.wait() < 0.0
    assert client.position == first + 6
    assert clock.missed == 4
    assert state_of(client.rows(client.position, client.position + 1)[0][0]).joints.stamp_s == client.read().joints.stamp_s


def test_a_loop_runs_until_it_is_told_and_serves_a_request_on_the_way(instant):
    served, robot = instant
    looks = iter([True, True, True, False])
    served.server.run(lambda: next(looks))
    assert robot.time_s == pytest.approx(3 * PERIOD_S)
    assert served.link.ticks.head == 3
    client = served.client()
    client.shut_down()
    served.server.run(lambda: pytest.fail("a server that is closing asks nobody"))


def test_a_client_chooses_who_drives_and_says_for_the_operator_that_a_stop_is_over(instant):
    served, _ = instant
    client = served.client()
    guard = served.machine.robot
    client.engage(Mode.RESETTING)
    assert guard.mode is Mode.RESETTING
    # The process survives what a client gets wrong.
    with pytest.raises(RobotError, match=r"engage failed: a robot is driven in mode"):
        client.engage(Mode.HOLD)
    with pytest.raises(RobotError, match="engage failed: 99 is not a valid Mode"):
        client._ask(Request.ENGAGE, 99)
    guard.trip(Cause.RESET_FAILED)
    with pytest.raises(RobotError, match=r"release failed: .*reset routine"):
        client.release()
    client.clear()
    assert guard.causes == Cause.NONE
    client.engage()
    assert guard.mode is Mode.ACTIVE


def test_a_client_says_what_it_has_found_and_no_more(instant):
    served, _ = instant
    client = served.client()
    guard = served.machine.robot
    for cause in (Cause.CAMERA, Cause.DISK):
        client.trip(cause)
        assert guard.causes == cause
        client.write(FAR)
        assert guard.mode is Mode.HOLD
        client.release()
        assert guard.causes == Cause.NONE
    # What the server knows better, or nobody has named, is a stop that was asked for.
    for cause in (Cause.BUS, Cause.CAMERA | Cause.STOP_TERMINATE, Cause.NONE):
        client.trip(cause)
        assert guard.causes == Cause.ASKED
        client.release()
    for seed in (0, int(Cause.STOP_TERMINATE), int(Cause.CAMERA | Cause.BUS), 2**40):
        with pytest.raises(RobotError, match=r"trip failed: a client finds .*CAMERA"):
            client._ask(Request.TRIP, seed)
    assert guard.causes == Cause.NONE


def test_a_trip_never_raises(instant):
    served, _ = instant
    client = served.client()
    served.running = False
    client.trip(Cause.CAMERA)
    served.running = True
    served.ticks(2)
    # The request and the stop that followed it, when nobody answered.
    assert served.machine.robot.causes == Cause.CAMERA | Cause.ASKED
    client.close()
    client.trip(Cause.CAMERA)


def test_a_request_of_another_version_is_refused_and_moves_nothing(instant):
    served, _ = instant
    client = served.client()
    before = client.write(command(np.zeros(3), 3)).position_rad
    with pytest.raises(RobotError, match="knows no request 99"):
        served.server._execute(99, 0)
    served.ticks(3)
    np.testing.assert_array_equal(client.read().joints.position_rad, before)


@pytest.mark.parametrize("cut", [True, False])
def test_a_server_that_ends_lets_go_if_it_is_asked_to(cut):
    drive = Torque()
    with serving_instant(drive) as (served, _):
        served.client().arm()
        served.server.close(cut=cut)
        assert drive.armed is not cut


def test_a_server_of_a_robot_without_switch_ends_all_the_same(instant):
    served, robot = instant
    served.server.close(cut=True)
    with pytest.raises(ClosedError):
        robot.read()


def test_the_first_complaint_after_a_pause_is_published_and_stops_nothing(instant):
    served, robot = instant
    robot.read_error = BusError("the camera has not been read for a while")
    served.server._resume()
    assert served.machine.robot.mode is Mode.ACTIVE
    status = served.link.status.read()
    assert (int(status["errors"][0]), bytes(status["error"][0])) == (1, b"BusError: the camera has not been read for a while")
    served.ticks(1)
    assert served.machine.robot.mode is Mode.HOLD


def test_garbage_is_collected_once_a_second_and_only_while_nothing_moves(instant, monkeypatch):
    served, _ = instant
    collected_s: list[float] = []
    monkeypatch.setattr(gc, "collect", lambda: collected_s.append(served.now_s))
    served.ticks(150)
    assert collected_s == []
    monkeypatch.setattr(gc, "isenabled", lambda: False)
    served.ticks(350)
    assert len(collected_s) == 4
    assert (np.diff(collected_s) > 1.0).all()
    client = served.client()
    clock = MotionClock(client)
    before = len(collected_s)
    for _ in range(200):
        client.write(command(np.zeros(3), 3))
        clock.wait()
    assert len(collected_s) <= before + 1


def test_a_command_that_the_server_never_takes_is_an_error(instant):
    served, _ = instant
    client = served.client()
    # Another owner has come, and the server heeds that one.
    served.link.words.set("epoch", 77)
    with pytest.raises(StaleError, match="did not take command 1 within 4 ticks"):
        client.write(FAR)
    motion = RemoteMotion(client, MotionClock(client), 2, TickStatistics())
    with pytest.raises(StaleError, match="did not take command 2 within 4 policy ticks"):
        motion.advance(FAR, client.read())


def test_a_closed_client_stops_nothing(instant):
    served, _ = instant
    first = served.client()
    first.close()
    second = served.client()
    second.release()
    first.stop()
    served.ticks(2)
    assert served.machine.robot.mode is Mode.ACTIVE


def test_the_clock_of_a_client_is_the_robots(instant):
    served, robot = instant
    client = served.client()
    clock = MotionClock(client)
    assert clock.period_s == PERIOD_S
    clock.wait()
    at_s = clock.now_s()
    assert at_s == pytest.approx(robot.time_s, abs=1.01 * PERIOD_S)
    served.now_s += 0.004
    assert clock.now_s() - at_s == pytest.approx(0.004)
    assert RemoteMotion(client, clock, 3, TickStatistics()).policy_period_s == pytest.approx(3 * PERIOD_S)


def test_a_tick_that_has_left_the_ring_is_an_error(instant):
    served, _ = instant
    client = served.client()
    served.ticks(3000)
    with pytest.raises(StaleError, match=r"tick 0 of the motion process .* is gone: more than 2048 have passed"):
        client.await_tick(0)


def test_a_dead_server_is_called_dead(instant):
    served, _ = instant
    client = served.client()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    client.about = client._commands._about = replace(client.about, pid=process.pid)
    served.running = False
    with pytest.raises(StaleError, match="is dead: start it again; motors on a bus stop by their own watchdog"):
        client.release()
    served.now_s += 1.0
    with pytest.raises(StaleError, match="is dead"):
        client.read()


def test_a_server_that_does_not_answer_is_waited_for_and_then_named(instant):
    served, _ = instant
    client = served.client()
    served.running = False
    begun_s = served.now_s
    with pytest.raises(StaleError, match="has not answered to CLEAR"):
        client.clear()
    assert served.now_s - begun_s == pytest.approx(15.0, abs=PERIOD_S)
