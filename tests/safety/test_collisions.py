"""Laws of fingers that are kept apart: by the pure functions, and through the guard."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot import Command, UsageError, frozen_array
from safety import INTERVENTIONS, Cause, GuardConfig, GuardedRobot, HeldError, Mode, Reason
from safety.collisions import PLAY_M, SLACK_M, Gaps, Separation, separation, stopping_way
from safety.filters import FilterMemory, brake, seeded, stopping_speed
from safety.modes import SETTLE_S
from tests.fakes import InstantClock, InstantRobot
from tests.safety.claw import CAPSULES, FINGERS, HIGHEST, HOME, LOWEST, MARGIN_M, MIDDLE_M, SIDE_M, STROKE, gap, poses

H = 0.01
NAMES = [f"joint_{joint}" for joint in range(9)]
LIMITS = {
    "position_min_rad": dict(zip(NAMES, LOWEST, strict=True)),
    "position_max_rad": dict(zip(NAMES, HIGHEST, strict=True)),
    "rest_rad": dict(zip(NAMES, HOME, strict=True)),
}
CONFIG = GuardConfig(**LIMITS, velocity_max_rad_s=4.0, acceleration_max_rad_s2=400.0, collision_margin_m=MARGIN_M)
# Brakes for a tenth of a second.
LAZY = CONFIG.model_copy(update={"acceleration_max_rad_s2": 40.0})
# Two fingers that meet in the middle, on their way inwards.
MEETING = np.array([0.0, 0.75, 0.55] * 3)
APART = Separation(FINGERS, MARGIN_M)
BRAKING = np.full(9, 40.0)


class Rig:
    """A guarded claw that stands where it was told to be a tick before."""

    def __init__(self, config: GuardConfig = CONFIG, start: np.ndarray = HOME, mode: Mode | None = Mode.ACTIVE) -> None:
        self.robot = InstantRobot(9)
        self.stand(start)
        self.clock = InstantClock(self.robot, H)
        self.guard = GuardedRobot(self.robot, config, H, now_s=self.clock.now_s, fingers=FINGERS)
        self.guard.arm()
        if mode is not None:
            self.guard.engage(mode)

    def stand(self, pose: np.ndarray) -> None:
        self.robot._target = self.robot._position = frozen_array(pose)

    def tick(self, target: np.ndarray, ticks: int = 1):
        for _ in range(ticks):
            applied = self.guard.write(Command(frozen_array(target)))
            self.clock.wait()
            self.guard.read()
        return applied


def reach(pair: tuple[int, int], way_rad: np.ndarray) -> float:
    """Return how much nearer two fingers may come while their joints go so far: each joint's way times the longest lever about its axis."""
    tip = max(part.to_m for part in CAPSULES)
    levers = np.array([SIDE_M + MIDDLE_M + tip, MIDDLE_M + tip, tip])
    return float(sum(levers @ np.abs(way_rad.reshape(3, 3)[finger]) for finger in pair))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_fingers_come_no_nearer_than_the_ways_of_their_joints(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pose, way = poses(1, seed)[0], rng.uniform(-0.3, 0.3, 9)
    before, after = FINGERS.distances(np.stack((pose, pose + way)))
    for pair, one, two in zip(((0, 1), (0, 2), (1, 2)), before, after, strict=True):
        # Fingers whose axes cross are measured from the other side.
        if two > -0.02:
            assert abs(two - one) <= reach(pair, way) + 1e-9


@given(st.floats(-20.0, 20.0), st.floats(20.0, 500.0), st.sampled_from([0.001, 0.01, 0.02]))
def test_the_way_to_a_stop_is_that_of_braking_tick_by_tick(speed: float, braking: float, h: float) -> None:
    limits = GuardConfig(position_min_rad=-1e6, position_max_rad=1e6, velocity_max_rad_s=20.0, acceleration_max_rad_s2=braking).limits(
        ("a",)
    )
    memory = seeded(np.zeros(1))._replace(velocity_rad_s=np.array([speed]))
    for _ in range(int(20.0 / (braking * h)) + 2):
        _, memory, _ = brake(memory, limits, h)
    assert memory.velocity_rad_s[0] == 0.0
    way = stopping_way(np.array([speed]), np.array([braking]), h)[0]
    assert way == pytest.approx(memory.applied_rad[0], rel=1e-6, abs=1e-9)
    # The inverse of the speed that can be stopped in it and in the step itself.
    assert stopping_speed(np.array([abs(way) + abs(speed) * h]), np.array([braking]), h)[0] == pytest.approx(abs(speed), rel=1e-6, abs=1e-9)


def emitted(pose: np.ndarray, velocity: np.ndarray | float = 0.0) -> FilterMemory:
    return seeded(pose)._replace(velocity_rad_s=np.broadcast_to(velocity, 9))


def judged(memory: FilterMemory, gaps: Gaps, measured: np.ndarray | None = HOME) -> tuple[bool, bool]:
    """Return whether targets, and whether measurements, are too near."""
    verdict = APART.judge(memory, BRAKING, H, measured, gaps)
    return not verdict.apart, verdict.pushed


def near(memory: FilterMemory, gaps: Gaps) -> bool:
    too_near, pushed = judged(memory, gaps)
    assert not pushed
    return too_near


def on_the_way(least_m: float, start: np.ndarray = HOME, end: np.ndarray = MEETING) -> np.ndarray:
    """Return the last pose of a straight line at which fingers are at least so far apart, to 1e-9 of the way."""
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if gap(start + middle * (end - start)) >= least_m else (low, middle)
    return start + low * (end - start)


def test_targets_may_come_as_near_as_the_margin_and_measurements_as_half_of_it_and_the_play() -> None:
    gaps = APART.begun(HOME, HOME)
    np.testing.assert_array_equal(gaps, [[MARGIN_M] * 3, [0.5 * MARGIN_M] * 3])
    assert gap(MEETING) < 0.0
    slack, half = MARGIN_M - SLACK_M, 0.5 * MARGIN_M - PLAY_M
    edge, beyond, played, pushed = (on_the_way(least) for least in (slack, slack - 2e-6, half, half - 2e-6))
    for targets, measured, verdict in (
        (edge, HOME, (False, False)),
        (edge, played, (False, False)),
        (edge, None, (False, False)),
        (beyond, HOME, (True, False)),
        (beyond, None, (True, False)),
        (edge, pushed, (False, True)),
        (beyond, pushed, (True, True)),
    ):
        assert judged(emitted(targets), gaps, measured) == verdict


def test_a_single_pair_of_fingers_is_enough() -> None:
    # The first two lean towards each other, the thumb is at home.
    pair = np.concatenate([[-0.45, 0.3, 0.0, 0.45, 0.3, 0.0], HOME[6:]])
    alone = np.concatenate([pair[:3], HOME[3:]])
    near_m, *far_m = FINGERS.distances(pair[None])[0]
    assert near_m < 0.0
    assert min(far_m) > MARGIN_M
    assert gap(alone) > MARGIN_M
    gaps = APART.begun(HOME, HOME)
    assert judged(emitted(pair), gaps) == (True, False)
    assert judged(emitted(HOME), gaps, pair) == (False, True)
    assert judged(emitted(alone), gaps, alone) == (False, False)


def test_the_bounds_belong_to_what_is_allowed() -> None:
    def least(distance_m: np.ndarray, slack_m: float) -> np.ndarray:
        """Return what is `slack_m` more than each distance, to the last bit of the difference."""
        found = distance_m + slack_m
        for _ in range(4):
            found = np.where(found - slack_m > distance_m, np.nextafter(found, -1.0), found)
        np.testing.assert_array_equal(found - slack_m, distance_m)
        return found

    # As `judge` computes them, all poses at once.
    targets, _, measured = FINGERS.distances(np.stack((HOME, HOME, STROKE)))
    gaps = Gaps(least(targets, SLACK_M), least(measured, PLAY_M))
    assert judged(emitted(HOME), gaps, STROKE) == (False, False)
    assert judged(emitted(HOME), gaps._replace(target_m=np.nextafter(gaps.target_m, 1.0) + 1e-15), STROKE) == (True, False)
    assert judged(emitted(HOME), gaps._replace(measured_m=np.nextafter(gaps.measured_m, 1.0) + 1e-15), STROKE) == (False, True)


def test_where_an_emission_would_end_counts_as_much_as_where_it_is() -> None:
    gaps, pose = APART.begun(HOME, HOME), on_the_way(0.01)
    inwards = np.array([0.0, 4.0, 0.0] * 3)
    assert gap(pose + stopping_way(inwards, BRAKING, H)) < MARGIN_M
    assert near(emitted(pose, inwards), gaps)
    assert not near(emitted(pose, -inwards), gaps)
    assert not near(emitted(pose), gaps)


def test_what_is_no_number_is_too_near() -> None:
    gaps, nowhere = APART.begun(HOME, HOME), np.full(9, math.nan)
    assert judged(emitted(HOME), gaps, nowhere) == (False, True)
    assert judged(emitted(nowhere), gaps) == (True, False)


def test_fingers_inside_of_the_margin_may_part_and_then_not_come_back() -> None:
    inside, wider = on_the_way(-0.004), on_the_way(0.002)
    gaps = APART.begun(inside, HOME)
    np.testing.assert_allclose(gaps.target_m, -0.004, atol=1e-6)
    np.testing.assert_array_equal(gaps.measured_m, np.full(3, 0.5 * MARGIN_M))
    assert not near(emitted(inside), gaps)
    nearer = APART.judge(emitted(on_the_way(-0.004 - 2.0 * SLACK_M)), BRAKING, H, HOME, gaps)
    assert not nearer.apart
    # What is not sent counts for nothing.
    np.testing.assert_array_equal(nearer.gaps.target_m, gaps.target_m)
    apart, _, parted = APART.judge(emitted(wider), BRAKING, H, HOME, gaps)
    assert apart
    np.testing.assert_allclose(parted.target_m, 0.002, atol=1e-6)
    assert near(emitted(inside), parted)
    # Beyond the margin there is nothing to keep.
    free = APART.judge(emitted(HOME), BRAKING, H, HOME, parted).gaps
    np.testing.assert_array_equal(free.target_m, np.full(3, MARGIN_M))
    # What was reached in passing is kept only if a stop from there keeps it.
    passing = APART.judge(emitted(wider, np.array([0.0, 4.0, 0.0] * 3)), BRAKING, H, HOME, gaps).gaps
    np.testing.assert_array_equal(passing.target_m, gaps.target_m)


def test_measurements_are_remembered_apart_from_targets() -> None:
    inside, wider = on_the_way(-0.004), on_the_way(0.002)
    gaps = APART.begun(HOME, inside)
    np.testing.assert_allclose(gaps.measured_m, -0.004, atol=1e-6)
    _, pushed, parted = APART.judge(emitted(HOME), BRAKING, H, wider, gaps)
    assert not pushed
    np.testing.assert_allclose(parted.measured_m, 0.002, atol=1e-6)
    again = APART.judge(emitted(HOME), BRAKING, H, inside, parted)
    assert again.pushed
    for verdict in (again, APART.judge(emitted(HOME), BRAKING, H, None, parted)):
        np.testing.assert_array_equal(verdict.gaps.measured_m, parted.measured_m)
    # Beyond half of the margin there is nothing to keep.
    free = APART.judge(emitted(HOME), BRAKING, H, HOME, parted).gaps
    np.testing.assert_array_equal(free.measured_m, np.full(3, 0.5 * MARGIN_M))


@pytest.mark.parametrize("config", [CONFIG, LAZY])
def test_whatever_is_asked_applied_targets_stay_apart(config: GuardConfig) -> None:
    rng, rig = np.random.default_rng(0), Rig(config)
    limits = config.limits(NAMES)
    # While it brakes a joint goes no further than this, and a way between two poses dips below them by half of what its length allows.
    braking = reach((0, 1), stopping_way(limits.velocity_max_rad_s, limits.braking_rad_s2, H))
    target, stops, moved = HOME, 0, 0.0
    for tick in range(1500):
        if tick % 20 == 0:
            target = rng.uniform(LOWEST, HIGHEST)
        before = rig.robot.written[-1] if rig.robot.written else HOME
        applied = rig.tick(target)
        assert applied.mode is Mode.ACTIVE
        moved += np.abs(applied.position_rad - before).sum()
        least_m = MARGIN_M - SLACK_M
        if Reason.APART in applied.reasons:
            stops += 1
            least_m -= 0.5 * braking
        assert gap(applied.position_rad) >= least_m
    assert stops > 5
    # Most of these commands are out of reach; still the claw goes from one to the next.
    assert moved > 100.0


def test_a_claw_whose_fingers_would_meet_brakes_stands_and_goes_on_when_it_is_asked_to_part_them() -> None:
    rig = Rig()
    while Reason.APART not in (applied := rig.tick(MEETING)).reasons:
        assert applied.mode is Mode.ACTIVE
    standing = rig.tick(MEETING, 20)
    assert standing.mode is Mode.ACTIVE
    assert Reason.APART in standing.reasons
    assert standing.reasons & INTERVENTIONS
    assert gap(standing.position_rad) >= MARGIN_M - SLACK_M
    np.testing.assert_array_equal(standing.position_rad, rig.tick(MEETING).position_rad)
    parting = rig.tick(HOME, 3)
    assert Reason.APART not in parting.reasons
    assert gap(parting.position_rad) > gap(standing.position_rad)
    assert rig.guard.causes is Cause.NONE


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.RESETTING, Mode.TELEOP])
def test_fingers_inside_of_the_margin_part_in_every_driven_mode_and_come_no_nearer(mode: Mode) -> None:
    inside = on_the_way(0.001)
    rig = Rig(start=inside, mode=mode)
    assert rig.tick(HOME, 60).mode is mode
    assert gap(rig.robot.written[-1]) > 0.02
    rig = Rig(start=inside, mode=mode)
    applied = rig.tick(MEETING, 60)
    assert (applied.mode, Reason.APART in applied.reasons) == (mode, True)
    assert gap(applied.position_rad) >= 0.001 - 2.0 * SLACK_M


def test_what_pushes_fingers_together_stops_them_though_their_targets_are_apart() -> None:
    rig = Rig(CONFIG.model_copy(update={"tracking_error_max_rad": None}))
    rig.tick(HOME)
    rig.stand(on_the_way(0.002))
    rig.guard.read()
    assert rig.guard.write(Command(frozen_array(HOME))).mode is Mode.ACTIVE
    rig.clock.wait()
    rig.stand(on_the_way(0.001))
    rig.guard.read()
    applied = rig.guard.write(Command(frozen_array(HOME)))
    assert applied.mode is Mode.HOLD
    assert Reason.HOLD in applied.reasons
    assert Reason.APART not in applied.reasons
    assert rig.guard.causes is Cause.COLLISION
    assert rig.guard.fault is not None
    # No person is needed.
    rig.guard.engage()
    assert rig.guard.causes is Cause.NONE
    assert rig.tick(HOME).mode is Mode.ACTIVE


def settling(start: np.ndarray, config: GuardConfig = CONFIG) -> Rig:
    rig = Rig(config, start, mode=None)
    rig.guard.trip(Cause.STOP_SETTLE)
    return rig


def test_a_claw_that_settles_parts_its_fingers_and_looks_at_targets_alone() -> None:
    rig = settling(on_the_way(0.001))
    rig.tick(HOME, 5)
    assert rig.guard.mode is Mode.SETTLE
    rig.stand(MEETING)
    rig.guard.read()
    applied = rig.tick(HOME)
    assert Cause.COLLISION not in rig.guard.causes
    assert applied.mode is Mode.SETTLE


def test_a_claw_whose_fingers_are_in_each_others_way_settles_where_it_stands() -> None:
    blocked = CONFIG.model_copy(update={"rest_rad": dict(zip(NAMES, MEETING, strict=True))})
    rig = settling(HOME, blocked)
    for _ in range(round(SETTLE_S / H) - 2):
        applied = rig.tick(HOME)
        assert applied.mode is Mode.SETTLE
        assert gap(applied.position_rad) >= MARGIN_M - SLACK_M
    assert Reason.HOLD in applied.reasons
    with pytest.raises(HeldError):
        rig.tick(HOME, 5)
    assert not rig.guard.armed


def test_a_robot_that_only_holds_is_not_looked_at() -> None:
    rig = Rig(start=on_the_way(0.006), mode=None)
    rig.stand(MEETING)
    rig.guard.read()
    assert rig.tick(HOME).mode is Mode.ARMED_HOLD
    assert rig.guard.causes is Cause.NONE


def test_a_robot_without_a_margin_has_nothing_to_keep_apart() -> None:
    assert separation(None, None, 9) is None
    assert separation(None, FINGERS, 9) is None
    free = GuardedRobot(InstantRobot(9), CONFIG.model_copy(update={"collision_margin_m": None}), H, now_s=lambda: 0.0, fingers=FINGERS)
    assert free._emitter._separation is None


def test_a_margin_without_fingers_or_with_those_of_another_robot_is_refused() -> None:
    with pytest.raises(UsageError, match=r"collision_margin_m 0.005: this robot's description has no fingers .* or set it to null"):
        GuardedRobot(InstantRobot(9), CONFIG, H, now_s=lambda: 0.0)
    with pytest.raises(UsageError, match="the fingers have 9 joints, the robot 8"):
        separation(MARGIN_M, FINGERS, 8)
    made = separation(MARGIN_M, FINGERS, 9)
    assert made == Separation(FINGERS, MARGIN_M)


@pytest.mark.parametrize("margin_m", [-0.001, 0.0, 0.11, math.nan, math.inf])
def test_a_margin_is_positive_and_smaller_than_a_hand(margin_m: float) -> None:
    with pytest.raises(ValueError, match="collision_margin_m"):
        GuardConfig(**LIMITS, velocity_max_rad_s=4.0, acceleration_max_rad_s2=400.0, collision_margin_m=margin_m)
