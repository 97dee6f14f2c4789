"""Laws of the one clock policy, on a time that the test moves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot.clock import PacedClock, RealTimeClock
from robot.errors import UsageError

pytestmark = pytest.mark.realtime

# Rounding of a time near 1e5 s (a machine up for a day) is 1.5e-11 s; a law holds to a nanosecond.
TOLERANCE_S = 1e-9

periods_s = st.sampled_from([1 / 500, 1 / 240, 1 / 100, 1 / 50, 1 / 20])
starts_s = st.floats(0.0, 1e5)
# How long the body of each tick takes, in periods: on time, late, and skipping several.
loads = st.lists(st.floats(0.0, 5.0), min_size=1, max_size=40)
# How far each sleep misses its end, in periods: kernels return early only on signals, late always.
oversleeps = st.floats(0.0, 0.9)


@dataclass
class FakeTime:
    now_s: float
    oversleep_s: float = 0.0
    sleeps_s: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.sleeps_s.append(duration_s)
        self.now_s += duration_s + self.oversleep_s

    def pass_s(self, duration_s: float) -> None:
        self.now_s += duration_s


def started(period_s: float, start_s: float, oversleep: float = 0.0) -> tuple[RealTimeClock, FakeTime]:
    fake = FakeTime(start_s, oversleep * period_s)
    clock = RealTimeClock(period_s, fake.read, fake.sleep)
    clock.start()
    return clock, fake


@given(periods_s, starts_s, loads, oversleeps)
def test_every_wake_up_lies_on_or_after_a_point_of_the_schedule(period_s: float, start_s: float, work: list[float], over: float) -> None:
    clock, fake = started(period_s, start_s, over)
    for load in work:
        fake.pass_s(load * period_s)
        clock.wait()
        statistics = clock.statistics
        deadline_s = start_s + (statistics.ticks + statistics.missed) * period_s
        assert fake.now_s - statistics.lateness_s == pytest.approx(deadline_s, rel=0, abs=TOLERANCE_S)
        assert statistics.lateness_s >= -TOLERANCE_S


@given(periods_s, starts_s, loads, oversleeps)
def test_ticks_and_missed_ticks_account_for_all_time(period_s: float, start_s: float, work: list[float], over: float) -> None:
    clock, fake = started(period_s, start_s, over)
    for load in work:
        fake.pass_s(load * period_s)
        clock.wait()
    counted_s = (clock.statistics.ticks + clock.statistics.missed) * period_s
    assert counted_s == pytest.approx(fake.now_s - clock.statistics.lateness_s - start_s, rel=0, abs=TOLERANCE_S)


@given(periods_s, starts_s, loads)
def test_missed_ticks_are_never_caught_up(period_s: float, start_s: float, work: list[float]) -> None:
    clock, fake = started(period_s, start_s)
    for load in work:
        fake.pass_s(load * period_s)
        clock.wait()
        assert clock.statistics.lateness_s < period_s + TOLERANCE_S
    # With no work left the next tick lies in the future: one late tick runs at once, a burst never.
    woke_s = fake.now_s
    clock.wait()
    clock.wait()
    assert fake.now_s - woke_s > period_s - TOLERANCE_S


@given(periods_s, starts_s, st.floats(0.0, 0.999), st.integers(1, 60))
def test_a_loop_in_time_misses_nothing_and_has_no_period_error(period_s: float, start_s: float, load: float, ticks: int) -> None:
    clock, fake = started(period_s, start_s)
    for _ in range(ticks):
        fake.pass_s(load * period_s)
        assert clock.wait() == pytest.approx((1.0 - load) * period_s, rel=0, abs=TOLERANCE_S)
    assert clock.statistics.missed == 0
    assert fake.now_s == pytest.approx(start_s + ticks * period_s, rel=0, abs=TOLERANCE_S)


def test_a_million_ticks_do_not_drift() -> None:
    period_s = 1 / 500
    clock, fake = started(period_s, 1e5)
    for _ in range(1_000_000):
        clock.wait()
    assert fake.now_s == pytest.approx(1e5 + 1_000_000 * period_s, rel=0, abs=TOLERANCE_S)


@given(periods_s, st.integers(1, 50), st.floats(0.01, 0.99))
def test_a_stall_skips_whole_ticks_and_reports_how_late_the_call_came(period_s: float, whole: int, part: float) -> None:
    clock, fake = started(period_s, 0.0)
    clock.wait()
    fake.pass_s((1 + whole + part) * period_s)
    assert clock.wait() == pytest.approx(-(whole + part) * period_s, rel=0, abs=TOLERANCE_S)
    assert clock.statistics.missed == whole


def test_less_than_a_period_late_is_late_and_not_missed() -> None:
    clock, fake = started(0.01, 0.0)
    fake.pass_s(0.0199)
    assert clock.wait() == pytest.approx(-0.0099)
    assert (clock.statistics.ticks, clock.statistics.missed) == (1, 0)
    assert fake.sleeps_s == []


def test_a_sleep_that_returns_early_is_continued() -> None:
    fake = FakeTime(0.0)
    ends = iter([0.25, 0.5])
    clock = RealTimeClock(0.01, fake.read, lambda duration_s: fake.sleep(duration_s * next(ends, 1.0)))
    clock.wait()
    assert fake.sleeps_s == pytest.approx([0.0025, 0.00375, 0.00375])
    assert clock.statistics.lateness_s >= 0.0


@given(periods_s, st.floats(0.0, 100.0))
def test_a_new_start_forgives_the_pause(period_s: float, pause_s: float) -> None:
    clock, fake = started(period_s, 0.0)
    clock.wait()
    fake.pass_s(pause_s)
    clock.start()
    restarted_s = fake.now_s
    clock.wait()
    assert clock.statistics.missed == 0
    assert fake.now_s == pytest.approx(restarted_s + period_s, rel=0, abs=TOLERANCE_S)


def test_the_first_wait_starts_the_schedule() -> None:
    fake = FakeTime(7.0)
    clock = RealTimeClock(0.01, fake.read, fake.sleep)
    assert clock.wait() == pytest.approx(0.01)
    assert fake.now_s == pytest.approx(7.01)


@pytest.mark.parametrize("period_s", [0.0, -0.01, math.nan, math.inf])
def test_a_period_must_be_positive_and_finite(period_s: float) -> None:
    with pytest.raises(UsageError, match="positive and finite"):
        RealTimeClock(period_s)


@dataclass
class SimulatedClock:
    """Advances by one period a wait, and costs the machine `cost_s` of real time."""

    period_s: float
    machine: FakeTime
    cost_s: float
    simulated_s: float = 0.0

    def now_s(self) -> float:
        return self.simulated_s

    def wait(self) -> float:
        self.simulated_s += self.period_s
        self.machine.pass_s(self.cost_s)
        return self.period_s


@given(periods_s, st.floats(0.0, 3.0), st.integers(1, 40))
def test_paced_time_is_simulated_time_whatever_the_machine_does(period_s: float, cost: float, ticks: int) -> None:
    machine = FakeTime(50.0)
    simulated = SimulatedClock(period_s, machine, cost * period_s)
    clock = PacedClock(simulated, RealTimeClock(period_s, machine.read, machine.sleep))
    clock.real.start()
    for _ in range(ticks):
        clock.wait()
    assert clock.now_s() == pytest.approx(ticks * period_s)
    assert clock.period_s == period_s
    assert machine.now_s - 50.0 >= ticks * period_s - TOLERANCE_S


def test_a_simulation_in_time_is_paced_to_real_time() -> None:
    machine = FakeTime(0.0)
    clock = PacedClock(SimulatedClock(0.01, machine, 0.004), RealTimeClock(0.01, machine.read, machine.sleep))
    clock.real.start()
    slacks_s = [clock.wait() for _ in range(100)]
    assert slacks_s == pytest.approx([0.006] * 100)
    assert machine.now_s == pytest.approx(clock.now_s())


def test_the_two_clocks_of_a_paced_loop_must_agree() -> None:
    machine = FakeTime(0.0)
    with pytest.raises(UsageError, match=r"0\.01 s and 0\.02 s"):
        PacedClock(SimulatedClock(0.01, machine, 0.0), RealTimeClock(0.02))
