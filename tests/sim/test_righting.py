"""Fallen robots get up by themselves, behind their guard. A thousand falls of each are `./run bench righting`."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.righting import Patient, fall_and_rise, main, wilson
from fetlock.guarding import guarded
from robot.errors import UsageError
from safety import GuardedRobot
from safety.resets import run_routine, tilt_cosine
from safety.types import INTERVENTIONS
from sim import DynamixelMinitaurConfig

FALLS = 6
# The servos are too slow to throw the Minitaur off its side, on which few falls end (docs/robots.md).
ON_ITS_SIDE = 0.3


def test_robots_get_up_from_whatever_side_they_lie_on(patient: Patient) -> None:
    outcomes = [fall_and_rise(patient, np.random.default_rng([77, number])) for number in range(FALLS)]
    stuck = [outcome for outcome in outcomes if not outcome.stands]
    if isinstance(patient.robot, DynamixelMinitaurConfig):
        assert all(abs(outcome.cosine) < ON_ITS_SIDE for outcome in stuck)
        assert len(stuck) <= 1
    else:
        assert stuck == []
    stood = [outcome for outcome in outcomes if outcome.stands]
    assert any(outcome.start_up[2] < -0.9 for outcome in stood)
    assert all(outcome.cosine >= 0.99 and outcome.seconds < 30.0 for outcome in stood)


def guard_of(patient: Patient) -> GuardedRobot:
    robot, clock = patient.simulation.robot, patient.simulation.clock
    guard = guarded(robot, patient.robot, patient.guard, bus_hz=100.0, control_hz=100.0, now_s=clock.now_s)
    guard.arm()
    return guard


def test_the_guard_changes_little_and_the_robot_stands_as_after_a_reset(patient: Patient) -> None:
    robot, clock = patient.simulation.robot, patient.simulation.clock
    robot.reset(np.random.default_rng(0))
    standing = robot.read().tracked_base
    robot.drop(np.random.default_rng([77, 1]))
    guard = guard_of(patient)
    report = run_routine(patient.steps, guard, clock)
    assert report.attempts[-1].success
    changed = sum(bool(tick.reasons & INTERVENTIONS) for tick in report.ticks)
    # A joint that stands at the end of its travel goes inwards slowly.
    assert changed < 0.2 * len(report.ticks)
    stood = guard.read().tracked_base
    assert standing is not None
    assert stood is not None
    # Start poses are drawn around home.
    assert stood.position_world_m[2] == pytest.approx(standing.position_world_m[2], abs=0.02)
    assert tilt_cosine(guard.read()) > 0.99


def test_a_robot_that_stands_stays_where_it_is(patient: Patient) -> None:
    robot, clock = patient.simulation.robot, patient.simulation.clock
    robot.reset(np.random.default_rng(0))
    assert run_routine(patient.steps, guard_of(patient), clock).attempts == []


def test_the_benchmark_reports_every_robot() -> None:
    report = main(["--count", "1", "--robot", "minitaur", "--seed", "1", "--randomised"])
    assert report.seeds == (1,)
    assert report.details["randomised"] is True
    assert isinstance(report.details["minitaur"], dict)
    assert report.details["minitaur"]["falls"] == 1
    with pytest.raises(UsageError, match="--count"):
        main(["--count", "0"])


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(0, 10, 0.0, 0.27753), (10, 10, 0.72247, 1.0), (990, 1000, 0.98168, 0.99456)]
)
def test_wilsons_interval(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=2e-5)
