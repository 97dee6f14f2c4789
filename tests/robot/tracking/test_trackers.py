"""The trackers over exact sightings: position, velocity and its delay, age, turns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from robot import StaleError
from robot.tracking import (
    BaseTagTracker,
    BaseTrackerConfig,
    FloorCalibration,
    Sighting,
    TagPlane,
    ValveTagTracker,
    ValveTrackerConfig,
    flat_tag,
)
from tests.robot.tracking.scene import overhead, seen, sight

FPS = 30.0
CAMERA = overhead()
PLANE = TagPlane(floor=FloorCalibration.of_camera(CAMERA), height_m=0.25, size_m=0.1)
NOTHING: Sighting = sight(0.0, {})


def config(**changes: object) -> BaseTrackerConfig:
    return BaseTrackerConfig.model_validate({"tag_id": 7, "plane": PLANE, **changes})


def at(stamp_s: float, x: float, y: float, yaw: float = 0.0, tag_id: int = 7) -> Sighting:
    return seen(CAMERA, stamp_s, flat_tag(tag_id, 0.1, (x, y, 0.25), yaw))


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-2.0, 2.0), st.floats(-2.0, 2.0), st.floats(-0.1, 0.1))
def test_steady_motion_is_followed_exactly(x: float, y: float, vx: float, vy: float, late_s: float) -> None:
    tracker = BaseTagTracker(config())
    stamps = [0.0, 0.03, 0.1, 0.13]  # frames get lost and come late
    for stamp_s in stamps:
        assert tracker.observe(at(stamp_s, x + vx * stamp_s, y + vy * stamp_s))
    seen_at = tracker.pose(stamps[-1] + abs(late_s)).pose
    np.testing.assert_allclose(seen_at.position_world_m, (x + vx * 0.13, y + vy * 0.13, 0.25), atol=1e-6)
    np.testing.assert_allclose(seen_at.velocity_world_m_s, (vx, vy, 0.0), atol=1e-5)
    assert seen_at.age_s == pytest.approx(abs(late_s))


@given(st.floats(-3.0, 3.0), st.floats(-0.5, 0.5), st.integers(3, 10))
def test_under_acceleration_the_velocity_is_that_of_the_middle_of_the_window(acceleration: float, v: float, images: int) -> None:
    window_s = (images - 1) / FPS
    tracker = BaseTagTracker(config(velocity_window_s=window_s + 1e-6))
    for k in range(15):
        t = k / FPS
        tracker.observe(at(t, -0.3 + v * t + 0.5 * acceleration * t * t, 0.0))
    velocity = tracker.pose(14 / FPS).pose.velocity_world_m_s
    assert velocity[0] == pytest.approx(v + acceleration * (14 / FPS - window_s / 2.0), abs=1e-4)


@given(st.floats(-math.pi, math.pi), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(-math.pi, math.pi))
def test_the_base_stands_where_the_tag_says(yaw: float, bx: float, by: float, base_yaw: float) -> None:
    tracker = BaseTagTracker(config(base_in_tag_m=(bx, by, -0.08), base_yaw_in_tag_rad=base_yaw))
    for k in range(3):
        tracker.observe(at(k / FPS, 0.1, -0.2, yaw))
    found = tracker.pose(0.1)
    base = (0.1 + math.cos(yaw) * bx - math.sin(yaw) * by, -0.2 + math.sin(yaw) * bx + math.cos(yaw) * by, 0.17)
    np.testing.assert_allclose(found.pose.position_world_m, base, atol=1e-6)
    assert abs(math.remainder(found.yaw_rad - yaw - base_yaw, 2.0 * math.pi)) < 1e-6


def test_an_occluded_tag_ages_and_then_is_stale_until_it_was_seen_three_times_again() -> None:
    tracker = BaseTagTracker(config(max_age_s=0.2))
    with pytest.raises(StaleError, match=r"tag 7 was never seen.*no image was observed"):
        tracker.pose(0.0)
    for k in range(6):
        tracker.observe(at(k / FPS, 0.0, 0.0))
    for k in range(6, 30):
        stamp_s = k / FPS
        assert not tracker.observe(at(stamp_s, 0.0, 0.0, tag_id=3))
        age_s = stamp_s - 5 / FPS
        if age_s <= 0.2:
            assert tracker.pose(stamp_s).pose.age_s == pytest.approx(age_s)
        else:
            with pytest.raises(StaleError, match=r"last seen .* s ago, at most max_age_s 0\.2 s.*shows tags \[3\]"):
                tracker.pose(stamp_s)
    for k, enough in ((30, False), (31, False), (32, True)):
        assert tracker.observe(at(k / FPS, 0.0, 0.0))
        if enough:
            tracker.pose(k / FPS)
        else:
            with pytest.raises(StaleError, match="a velocity takes 3"):
                tracker.pose(k / FPS)


def test_an_image_that_is_not_newer_changes_nothing() -> None:
    tracker = BaseTagTracker(config())
    for k in range(3):
        tracker.observe(at(k / FPS, 0.1 * k, 0.0))
    before = tracker.pose(0.1)
    assert not tracker.observe(at(2 / FPS, 9.0, 9.0))
    assert not tracker.observe(at(0.0, 9.0, 9.0))
    after = tracker.pose(0.1)
    np.testing.assert_array_equal(after.pose.position_world_m, before.pose.position_world_m)
    np.testing.assert_array_equal(after.pose.velocity_world_m_s, before.pose.velocity_world_m_s)


@pytest.mark.parametrize(("size_m", "taken"), [(0.079, False), (0.081, True), (0.119, True), (0.121, False)])
def test_a_tag_of_another_size_is_refused_with_both_sizes(size_m: float, taken: bool) -> None:
    tracker = BaseTagTracker(config())
    assert tracker.observe(seen(CAMERA, 0.0, flat_tag(7, size_m, (0.0, 0.0, 0.25)))) == taken
    if not taken:
        with pytest.raises(StaleError, match=rf"side of {size_m:.4f} m where size_m is 0\.1 m"):
            tracker.pose(0.0)


def valve(**changes: object) -> ValveTagTracker:
    return ValveTagTracker(ValveTrackerConfig.model_validate({"tag_id": 7, **changes}))


@given(st.lists(st.floats(-3.1, 3.1), min_size=1, max_size=60), st.floats(-math.pi, math.pi), st.floats(-math.pi + 1e-6, math.pi - 1e-6))
def test_turns_are_counted_in_both_directions(steps_rad: list[float], zero_rad: float, start_rad: float) -> None:
    tracker = valve(zero_yaw_rad=zero_rad, max_speed_rad_s=1.0)
    truth_rad = start_rad
    for k, step_rad in enumerate([0.0, 0.0, *steps_rad]):
        truth_rad += step_rad
        assert tracker.observe(at(k / FPS, 0.0, 0.0, zero_rad + truth_rad))
    assert tracker.angle((len(steps_rad) + 1) / FPS).angle_rad == pytest.approx(truth_rad, abs=1e-4)
    assert tracker.turns_certain


@given(st.floats(-30.0, 30.0), st.floats(0.0, 0.15))
def test_a_steady_turn_has_its_speed_and_its_age(speed_rad_s: float, late_s: float) -> None:
    tracker = valve()
    for k in range(20):
        tracker.observe(at(k / FPS, 0.0, 0.0, speed_rad_s * k / FPS))
    found = tracker.angle(19 / FPS + late_s)
    assert found.velocity_rad_s == pytest.approx(speed_rad_s, abs=1e-3)
    assert found.angle_rad == pytest.approx(speed_rad_s * 19 / FPS, abs=1e-4)
    assert found.age_s == pytest.approx(late_s)


def test_five_turns_and_back_end_at_zero() -> None:
    tracker = valve()
    there = np.linspace(0.0, 10.0 * math.pi, 101)
    for k, angle_rad in enumerate([0.0, 0.0, *there, *there[::-1]]):
        tracker.observe(at(k / FPS, 0.0, 0.0, angle_rad))
        assert k < 2 or tracker.angle(k / FPS).angle_rad == pytest.approx(angle_rad, abs=1e-4)


def test_zero_makes_the_present_angle_the_reference() -> None:
    tracker = valve()
    tracker.observe(at(0.0, 0.0, 0.0, 1.0))
    tracker.zero(0.0)
    tracker.observe(at(0.05, 0.0, 0.0, 1.1))
    tracker.observe(at(0.1, 0.0, 0.0, 1.25))
    assert tracker.angle(0.1).angle_rad == pytest.approx(0.25, abs=1e-6)


def test_a_valve_out_of_sight_for_half_a_turn_has_no_certain_turns_until_it_is_zeroed() -> None:
    tracker = valve(max_speed_rad_s=10.0, max_age_s=0.2, velocity_window_s=1.0)
    tracker.observe(at(0.0, 0.0, 0.0, 0.1))
    tracker.observe(NOTHING)
    with pytest.raises(StaleError, match=r"tag 7 was last seen 0\.300 s ago"):
        tracker.angle(0.3)
    with pytest.raises(StaleError):
        tracker.zero(0.3)
    tracker.observe(at(0.31, 0.0, 0.0, 0.2))
    assert tracker.turns_certain
    tracker.observe(at(0.63, 0.0, 0.0, 0.3))
    assert not tracker.turns_certain
    assert math.remainder(tracker.angle(0.63).angle_rad - 0.3, 2.0 * math.pi) == pytest.approx(0.0, abs=1e-6)
    tracker.zero(0.63)
    assert tracker.turns_certain


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"tag_id": 50}, "tag_id 50 is not in dictionary 4x4_50: choose 0 to 49"),
        ({"dictionary": "apriltag_36h11", "tag_id": 587}, "choose 0 to 586"),
        ({"plane": {**PLANE.model_dump(), "height_m": 1.5}}, r"height_m 1.5 of the tag must be below the camera's, 1\.500 m"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(document: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**document)
