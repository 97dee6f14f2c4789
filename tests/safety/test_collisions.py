"""Laws of fingers that are kept apart: by the pure functions, and through the guard."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot import Command, UsageError, frozen_array
from safety import Cause, GuardConfig, GuardedRobot, HeldError, Mode, Reason
from safety.collisions import PLAY_M, SLACK_M, Gaps, Separation, separation, stopping_way
from safety.filters import FilterMemory, brake, seeded, stopping_speed
from safety.modes import SETTLE_S
from tests.fakes import InstantClock, InstantRobot
from tests.safety.claw import CAPSULES, FINGERS, HIGHEST, HOME, LOWEST, MARGIN_M, MIDDLE_M, SIDE_M, gap, poses

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


def near(memory: FilterMemory, gaps: Gaps, measured: np.ndarray | None = None) -> bool:
    return APART.nearing(memory, BRAKING, H, measured, gaps)[0]


def on_the_way(least_m: float, start: np.ndarray = HOME, end: np.ndarray = MEETING) -> np.ndarray:
    """Return the last pose of a straight line at which fingers are at least so far apart, to 1e-9 of the way."""
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if gap(start + middle * (end - start)) >= least_m else (low, middle)
    return start + low * (end - start)


def test_targets_may_come_as_near_as_the_margin_and_measurements_nearer_by_the_play() -> None:
    gaps = APART.begun(HOME, HOME)
    np.testing.assert_array_equal(gaps, np.full((2, 3), MARGIN_M))
    assert gap(MEETING) < 0.0
    slack = MARGIN_M - SLACK_M
    edge, beyond, played = on_the_way(slack), on_the_way(slack - 2e-6), on_the_way(MARGIN_M - PLAY_M)
    for targets, measured in ((edge, HOME), (edge, beyond), (HOME, played), (edge, None)):
        assert not near(emitted(targets), gaps, measured)
    for targets, measured in ((beyond, HOME), (beyond, None), (HOME, on_the_way(MARGIN_M - PLAY_M - 2e-6))):
        assert near(emitted(targets), gaps, measured)


def test_where_an_emission_would_end_counts_as_much_as_where_it_is() -> None:
    gaps, pose = APART.begun(HOME, HOME), on_the_way(0.01)
    inwards = np.array([0.0, 4.0, 0.0] * 3)
    assert gap(pose + stopping_way(inwards, BRAKING, H)) < MARGIN_M
    assert near(emitted(pose, inwards), gaps, HOME)
    assert not near(emitted(pose, -inwards), gaps, HOME)
    assert not near(emitted(pose), gaps, HOME)


def test_what_is_no_number_is_too_near() -> None:
    gaps, nowhere = APART.begun(HOME, HOME), np.full(9, math.nan)
    assert near(emitted(HOME), gaps, nowhere)
    assert near(emitted(nowhere), gaps, HOME)


def test_fingers_inside_of_the_margin_may_part_and_then_not_come_back() -> None:
    inside, wider = on_the_way(-0.004), on_the_way(0.002)
    gaps = APART.begun(inside, HOME)
    np.testing.assert_allclose(gaps.target_m, -0.004, atol=1e-6)
    np.testing.assert_array_equal(gaps.measured_m, np.full(3, MARGIN_M))
    assert not near(emitted(inside), gaps, HOME)
    assert near(emitted(on_the_way(-0.004 - 2.0 * SLACK_M)), gaps, HOME)
    too_near, parted = APART.nearing(emitted(wider), BRAKING, H, HOME, gaps)
    assert not too_near
    np.testing.assert_allclose(parted.target_m, 0.002, atol=1e-6)
    assert near(emitted(inside), parted, HOME)
    # Beyond the margin there is nothing to keep.
    _, free = APART.nearing(emitted(HOME), BRAKING, H, HOME, parted)
    np.testing.assert_array_equal(free.target_m, np.full(3, MARGIN_M))
    # What was reached in passing is kept only if a stop from there keeps it.
    _, passing = APART.nearing(emitted(wider, np.array([0.0, 4.0, 0.0] * 3)), BRAKING, H, HOME, gaps)
    np.testing.assert_array_equal(passing.target_m, gaps.target_m)


def test_measurements_are_remembered_apart_from_targets() -> None:
    inside, wider = on_the_way(-0.004), on_the_way(0.002)
    gaps = APART.begun(HOME, inside)
    np.testing.assert_allclose(gaps.measured_m, -0.004, atol=1e-6)
    too_near, parted = APART.nearing(emitted(HOME), BRAKING, H, wider, gaps)
    assert not too_near
    np.testing.assert_allclose(parted.measured_m, 0.002, atol=1e-6)
    assert near(emitted(HOME), parted, inside)
    assert APART.nearing(emitted(HOME), BRAKING, H, None, parted)[1].measured_m is not None
    np.testing.assert_array_equal(APART.nearing(emitted(HOME), BRAKING, H, None, parted)[1].measured_m, parted.measured_m)


@pytest.mark.parametrize("config", [CONFIG, LAZY])
def test_whatever_is_asked_applied_targets_stay_apart(config: GuardConfig) -> None:
    rng, rig = np.random.default_rng(0), Rig(config)
    limits = config.limits(NAMES)
    # While it brakes a joint goes no further than this, and a way between two poses dips below them by half of what its length allows.
    braking = reach((0, 1), stopping_way(limits.velocity_max_rad_s, limits.braking_rad_s2, H))
    target, stops = HOME, 0
    for tick in range(1500):
        if tick % 20 == 0:
            target = rng.uniform(LOWEST, HIGHEST)
        applied = rig.tick(target)
        distance = gap(applied.position_rad)
        if applied.mode is Mode.HOLD:
            assert distance >= MARGIN_M - SLACK_M - 0.5 * braking
            still = rig.tick(target, 12)
            assert gap(still.position_rad) >= MARGIN_M - SLACK_M
            assert rig.guard.causes is Cause.COLLISION
            stops += 1
            rig.stand(HOME)
            rig.guard.engage()
        else:
            assert distance >= MARGIN_M - SLACK_M
    assert stops > 5


def test_a_claw_that_stops_for_its_fingers_says_so_in_the_tick_that_it_brakes() -> None:
    rig = Rig()
    while (applied := rig.tick(MEETING)).mode is Mode.ACTIVE:
        assert Reason.HOLD not in applied.reasons
    assert applied.mode is Mode.HOLD
    assert Reason.HOLD in applied.reasons
    assert rig.guard.causes is Cause.COLLISION
    assert rig.guard.fault is not None
    held = rig.tick(MEETING, 20)
    np.testing.assert_array_equal(held.position_rad, rig.robot.written[-1])
    np.testing.assert_array_equal(held.position_rad, applied.position_rad)
    # No person is needed.
    rig.guard.engage()
    assert rig.guard.causes is Cause.NONE
    assert rig.tick(HOME).mode is Mode.ACTIVE


@pytest.mark.parametrize("mode", [Mode.ACTIVE, Mode.RESETTING, Mode.TELEOP])
def test_fingers_inside_of_the_margin_part_in_every_driven_mode_and_come_no_nearer(mode: Mode) -> None:
    inside = on_the_way(0.001)
    rig = Rig(start=inside, mode=mode)
    assert rig.tick(HOME, 60).mode is mode
    assert gap(rig.robot.written[-1]) > 0.02
    rig = Rig(start=inside, mode=mode)
    applied = rig.tick(MEETING, 60)
    assert (applied.mode, rig.guard.causes) == (Mode.HOLD, Cause.COLLISION)
    assert gap(applied.position_rad) >= 0.001 - 2.0 * SLACK_M


def test_what_pushes_fingers_together_stops_them_though_their_targets_are_apart() -> None:
    rig = Rig(CONFIG.model_copy(update={"tracking_error_max_rad": None}))
    rig.tick(HOME)
    rig.stand(on_the_way(0.006))
    rig.guard.read()
    assert rig.guard.write(Command(frozen_array(HOME))).mode is Mode.ACTIVE
    rig.clock.wait()
    rig.stand(on_the_way(0.003))
    rig.guard.read()
    assert rig.guard.write(Command(frozen_array(HOME))).mode is Mode.HOLD
    assert rig.guard.causes is Cause.COLLISION


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
    assert Cause.COLLISION in rig.guard.causes
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
    assert free._separation is None


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
