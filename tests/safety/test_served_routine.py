"""Laws of reset routines beside the guard: they run at the bus rate, say how they ended, and need a client that lives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from robot import BusError, Command, MotorError, RobotError, StaleError, command, frozen_array
from safety import Cause, Mode
from safety.modes import needs_person
from safety.motion_link import MotionLink
from safety.motion_records import Outcome, Request
from safety.resets import Pace, ResetStep, hold, move_to
from safety.served_routine import ServedRoutine
from tests.safety.served import PERIOD_S, ErringRobot, Served, Torque, instant_machine, serving

pytestmark = pytest.mark.realtime

PACE = Pace(velocity_rad_s=5.0, acceleration_rad_s2=50.0, jerk_rad_s3=5000.0)
HOME = frozen_array([0.5, -0.5, 0.2])


def at_home(state: object) -> bool:
    return bool(np.abs(state.joints.position_rad - HOME).max() < 1e-3)


GO = ResetStep("go home", lambda _number, _state, start: move_to(start, HOME, PACE, PERIOD_S), at_home)
STUBBORN = ResetStep("turn over", lambda _number, _state, start: hold(start, 0.05, PERIOD_S), lambda _: False, attempts=2)
LONG = ResetStep("wait", lambda _number, _state, start: hold(start, 5.0, PERIOD_S), lambda _: False)


@contextmanager
def served(*steps: ResetStep, drive: Torque | None = None) -> Iterator[tuple[Served, ErringRobot]]:
    robot = ErringRobot()
    with serving(replace(instant_machine(robot, drive), steps=(lambda _: steps) if steps else None)) as made:
        yield made, robot


def modes(made: Served, first: int) -> list[Mode]:
    ring = made.link.ticks
    return [Mode(int(ring.read(number, 1)[0]["mode"])) for number in range(first, ring.head)]


def at(made: Served, seconds: float, act: Callable[[], object]) -> None:
    """Do something at a tick of the server, some time from now."""
    due_s, before = made.now_s + seconds, made.server.tick
    done: list[int] = []

    def tick() -> None:
        if made.now_s >= due_s and not done:
            done.append(1)
            act()
        before()

    made.server.tick = tick


def test_a_routine_runs_at_the_bus_rate_and_then_its_client_drives():
    with served(GO) as (made, robot):
        client = made.client()
        first = made.link.ticks.head
        end = client.reset()
        assert end.outcome is Outcome.DONE
        assert end.history.startswith("go home, attempt 1: done after")
        seen = modes(made, first)
        begun = seen.index(Mode.RESETTING)
        driven = seen[begun : seen.index(Mode.ACTIVE, begun)]
        assert set(driven) == {Mode.RESETTING}
        assert len(driven) > 20
        assert at_home(client.read())
        path = np.array(robot.written)
        assert (np.abs(np.diff(path, axis=0)) <= 10.0 * PERIOD_S + 1e-9).all()
        assert client.write(Command(HOME)).mode is Mode.ACTIVE
        assert client.reset().history == "nothing was needed"


def test_torque_that_is_off_comes_on_for_a_routine():
    drive = Torque()
    with served(GO, drive=drive) as (made, _):
        assert made.client().reset().outcome is Outcome.DONE
        assert drive.armed


def test_what_a_client_commands_meanwhile_moves_nothing():
    with served(GO) as (made, robot):
        client = made.client()
        at(made, 0.1, lambda: client.send(command(np.full(3, -0.9), 3)))
        assert client.reset().outcome is Outcome.DONE
        made.ticks(3)
        assert (np.array(robot.written)[:, 0] >= -1e-9).all()


def test_a_routine_that_has_used_up_its_attempts_needs_an_operator_and_says_so():
    with served(STUBBORN) as (made, _):
        client = made.client()
        end = client.reset()
        assert end.outcome is Outcome.OPERATOR
        assert "turn over, attempt 1: failed" in end.history
        assert "turn over, attempt 2: failed" in end.history
        assert client.causes == Cause.RESET_FAILED
        assert needs_person(client.causes)
        assert made.machine.robot.mode is Mode.HOLD
        with pytest.raises(RobotError, match="used up its attempts"):
            client.engage()
        client.clear()
        assert client.causes == Cause.NONE


@pytest.mark.parametrize(("error", "outcome"), [(BusError("silent"), Outcome.FAILED), (MotorError("limp"), Outcome.OPERATOR)])
@pytest.mark.parametrize("where", ["read_error", "write_error"])
def test_a_robot_that_fails_in_a_routine_ends_it_and_holds(error: RobotError, outcome: Outcome, where: str):
    with served(LONG) as (made, robot):
        client = made.client()
        at(made, 0.2, lambda: setattr(robot, where, error))
        end = client.reset()
        assert end.outcome is outcome
        assert str(error) in end.history
        setattr(robot, where, None)
        made.ticks(3)
        assert made.machine.robot.mode is Mode.HOLD


def test_a_stop_ends_a_routine_and_the_robot_holds():
    with served(LONG) as (made, _):
        client = made.client()
        at(made, 0.2, lambda: made.link.words.set("stop_s", made.now_s))
        end = client.reset()
        assert (end.outcome, end.history) == (Outcome.STOPPED, "stopped: somebody stopped the robot")
        made.ticks(2)
        assert (made.machine.robot.mode, made.machine.robot.causes) == (Mode.HOLD, Cause.ASKED)
        client.release()
        assert made.machine.robot.mode is Mode.ACTIVE


def test_a_routine_that_is_ended_is_over_whoever_still_holds_it():
    robot = ErringRobot()
    one = ServedRoutine(replace(instant_machine(robot, None), steps=lambda _: (LONG,)))
    one.begin(np.random.default_rng(0))
    assert one.tick() is not None
    held = one._running
    one.stop("somebody asked for it")
    assert held is not None
    assert held.gi_frame is None
    assert (one.outcome, one.running) == (Outcome.STOPPED, False)


def test_another_request_ends_a_routine():
    with served(LONG) as (made, _):
        client = made.client()
        client._ask(Request.RESET)
        made.ticks(10)
        assert made.machine.robot.mode is Mode.RESETTING
        client.engage()
        status = made.link.status.read()
        assert Outcome(int(status["outcome"][0])) is Outcome.STOPPED
        assert made.machine.robot.mode is Mode.ACTIVE


def test_a_client_that_goes_leaves_a_robot_that_holds():
    with served(LONG) as (made, _):
        client = made.client()
        client._ask(Request.RESET)
        made.ticks(10)
        client._link.close()
        assert not made.link.owned
        made.ticks(2)
        assert (made.machine.robot.mode, made.machine.robot.causes) == (Mode.HOLD, Cause.SILENT)
        again = made.client()
        assert made.link.owned
        again.release()
        assert made.machine.robot.mode is Mode.ACTIVE


def test_a_new_client_ends_what_the_old_one_asked_for():
    with served(LONG) as (made, _):
        client = made.client()
        client._ask(Request.RESET)
        made.ticks(10)
        client._link.close()
        made.client()
        made.ticks(2)
        status = made.link.status.read()
        assert bytes(status["history"][0]) == b"stopped: another client has come"
        assert made.machine.robot.mode is not Mode.ACTIVE


def test_a_robot_without_a_routine_says_so():
    with served() as (made, _), pytest.raises(RobotError, match="reset failed: this robot has no reset routine"):
        made.client().reset()


def test_what_holds_the_robot_when_the_routine_is_over_is_its_end():
    with served(GO) as (made, robot):
        client = made.client()
        guard = made.machine.robot
        before = guard.engage
        refused: list[Mode] = []

        def engage(mode: Mode = Mode.ACTIVE) -> None:
            if mode is Mode.ACTIVE:
                refused.append(mode)
                guard.trip(Cause.STOP_HOLD)
            before(mode)

        guard.engage = engage
        end = client.reset()
        assert refused
        assert end.outcome is Outcome.OPERATOR
        assert "emergency stop" in end.history
        status = made.link.status.read()
        assert (int(status["errors"][0]), b"emergency stop" in bytes(status["error"][0])) == (1, True)
        assert robot.written


def test_a_server_that_falls_silent_in_a_routine_is_stale():
    with served(LONG) as (made, _):
        client = made.client()
        at(made, 0.2, lambda: setattr(made, "running", False))
        with pytest.raises(StaleError, match="reset routine"):
            client.reset()


def test_a_killed_owner_is_no_owner():
    with served(GO) as (made, _):
        code = (
            "from safety.motion_link import MotionLink\n"
            f"link = MotionLink.attach({made.link.name!r})\nprint(link.command.lock(), flush=True)\ninput()"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
            assert owner.stdout is not None
            assert owner.stdout.readline() == "True\n"
            assert MotionLink.attach(made.link.name).owned
            owner.kill()
            owner.wait()
        assert not made.link.owned
