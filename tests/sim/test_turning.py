"""Robots on legs turn around at the border of their arena, behind their guard. A hundred starts of each are `./run bench arena`."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.arena import main, turn_around
from benchmarks.righting import Patient, admit
from fetlock.guarding import guarded
from fetlock.resets import gait_of, home_of, routine_for
from robot.errors import UsageError
from robot.types import Command
from safety import ArenaConfig, GuardedRobot, Mode
from safety.resets import run_routine, tilt_cosine
from safety.resets.turning import walk
from safety.types import INTERVENTIONS


def stand(patient: Patient) -> GuardedRobot:
    robot, clock = patient.simulation.robot, patient.simulation.clock
    robot.reset(np.random.default_rng(5))
    guard = guarded(robot, patient.robot, patient.guard, bus_hz=100.0, control_hz=100.0, now_s=clock.now_s)
    guard.arm()
    return guard


def arena_to_the(side: float, radius_m: float = 1.5, share: float = 1.0) -> ArenaConfig:
    """An arena whose centre is at a bearing of a robot that faces along x, which stands at a share of its radius."""
    return ArenaConfig(center_m=(share * radius_m * math.cos(side), share * radius_m * math.sin(side)), radius_m=radius_m)


@pytest.mark.parametrize("side", [2.5, -2.5])
def test_a_robot_at_the_border_turns_to_the_centre_over_either_side(patient: Patient, side: float) -> None:
    guard, arena = stand(patient), arena_to_the(side)
    report = run_routine(routine_for(patient.robot, patient.guard, 0.01, arena)(np.random.default_rng(0)), guard, patient.simulation.clock)
    end = guard.read()
    assert report.operator_calls == 0
    assert report.attempts[-1].step == "return to the arena"
    assert arena.distance_m(end) <= 0.9 * arena.radius_m
    assert abs(arena.bearing_rad(end)) < 0.3
    assert tilt_cosine(end) > 0.99
    # The shorter way round: the centre stays on its side until it is ahead.
    bearings = [arena.bearing_rad(tick.state) * math.copysign(1.0, side) for tick in report.ticks]
    assert min(bearings) > -0.4
    assert max(arena.distance_m(tick.state) for tick in report.ticks) < 1.25 * arena.radius_m
    assert {tick.mode for tick in report.ticks} == {Mode.RESETTING}
    changed = sum(bool(tick.reasons & INTERVENTIONS) for tick in report.ticks)
    # The servos draw more than half of their stall current while feet stick, and are slowed: in 37% of the ticks (measured).
    assert changed < 0.5 * len(report.ticks)


def test_a_robot_that_faces_in_stays_as_it_is(patient: Patient) -> None:
    guard = stand(patient)
    steps = routine_for(patient.robot, patient.guard, 0.01, arena_to_the(0.3, share=0.85))(np.random.default_rng(0))
    assert run_routine(steps, guard, patient.simulation.clock).attempts == []


@pytest.mark.parametrize("forward", [1.0, -1.0])
def test_the_gait_walks_ahead_and_back(patient: Patient, forward: float) -> None:
    guard, clock, home = stand(patient), patient.simulation.clock, home_of(patient.robot)
    guard.engage(Mode.RESETTING)
    state = guard.read()
    assert state.tracked_base is not None
    start = state.tracked_base.position_world_m
    motion = walk(gait_of(patient.robot), state.joints.position_rad, home, state, lambda _: (forward, 0.0), 4.0, 0.01)
    target = next(motion)
    for _ in range(400):
        guard.write(Command(target))
        clock.wait()
        target = motion.send(guard.read())
    after = guard.read()
    assert after.tracked_base is not None
    x, y, _ = after.tracked_base.position_world_m - start
    assert forward * x > 0.25
    assert abs(y) < 0.6 * abs(x)
    assert tilt_cosine(after) > 0.95


def test_the_benchmark_reports_every_robot() -> None:
    report = main(["--count", "1", "--robot", "kitty", "--seed", "1", "--randomised"])
    assert (report.seeds, report.ours) == ((1,), 1.0)
    assert isinstance(report.details["kitty"], dict)
    assert report.details["kitty"]["starts"] == 1
    for wrong in (["--count", "0"], ["--radius-m", "-1"]):
        with pytest.raises(UsageError, match=r"--radius-m 0\.5 to 1000"):
            main(wrong)


def test_a_kitty_whose_feet_stick_off_their_places_comes_home_stepping() -> None:
    patient = admit("kitty")
    # A joint stands 0.07 rad off home, and would not move if nothing was lifted.
    assert turn_around(patient, 1.5, np.random.default_rng([0, 35])).returned
    patient.simulation.robot.close()


def test_a_start_is_repeated_by_its_generator() -> None:
    patient = admit("minitaur")
    one, other = (turn_around(patient, 1.5, np.random.default_rng(2)) for _ in range(2))
    # Times are differences of a clock that goes on.
    assert one.seconds == pytest.approx(other.seconds)
    assert replace(one, seconds=0.0) == replace(other, seconds=0.0)
    patient.simulation.robot.close()
