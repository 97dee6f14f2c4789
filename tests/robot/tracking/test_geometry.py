"""Laws of planes, tags and cameras, without images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import UsageError
from robot.tracking import DrawnTag, FloorCalibration, flat_tag, looking_at, planar_tag
from robot.tracking.geometry import UNIT_CORNERS
from robot.types import frozen_array
from tests.robot.tracking.scene import PINHOLE, SIZE_PX, corners_of, overhead, turn

angles = st.floats(-math.pi, math.pi)
heights = st.floats(0.8, 2.5)


def wrapped(angle_rad: float) -> float:
    return abs(math.remainder(angle_rad, 2.0 * math.pi))


@given(st.floats(-5.0, 5.0), st.floats(-5.0, 5.0), angles, st.floats(0.01, 10.0))
def test_a_square_gives_back_its_centre_yaw_and_side(x: float, y: float, yaw: float, side: float) -> None:
    corners = frozen_array(UNIT_CORNERS * side @ turn((0, 0, 1), yaw)[:2, :2].T + (x, y))
    tag = planar_tag(corners)
    np.testing.assert_allclose(tag.centre, (x, y), atol=1e-9)
    assert wrapped(tag.yaw_rad - yaw) < 1e-9
    assert tag.side == pytest.approx(side)


@given(st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4), angles, angles)
def test_a_linear_foreshortening_adds_the_same_angle_at_every_yaw(entries: list[float], first: float, second: float) -> None:
    shortening = np.eye(2) + 0.4 * np.reshape(entries, (2, 2))
    yaws = [planar_tag(frozen_array(UNIT_CORNERS @ turn((0, 0, 1), yaw)[:2, :2].T @ shortening.T)).yaw_rad for yaw in (first, second)]
    assert wrapped(yaws[1] - yaws[0] - (second - first)) < 1e-9


@given(heights, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(0.0, 0.5))
def test_pixels_of_points_at_a_height_lead_back_to_them(
    camera_m: float, camera_x: float, camera_y: float, x: float, y: float, height_m: float
) -> None:
    camera = overhead(camera_m, camera_x, camera_y)
    back = FloorCalibration.of_camera(camera).to_world(camera.project([[x, y, height_m]]), height_m)
    np.testing.assert_allclose(back, [[x, y]], atol=1e-9)


@given(heights, st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(-0.05, 0.05))
def test_a_wrong_height_moves_a_point_outwards_by_the_stated_amount(camera_m: float, x: float, y: float, lift_m: float) -> None:
    camera, height_m = overhead(camera_m), 0.2
    shown = FloorCalibration.of_camera(camera).to_world(camera.project([[x, y, height_m + lift_m]]), height_m)
    d = math.hypot(x, y) / (camera_m - height_m - lift_m)
    assert np.hypot(*(shown[0] - (x, y))) == pytest.approx(abs(lift_m) * d, abs=1e-9)


@given(heights, st.floats(0.0, 0.7), angles, angles, st.floats(0.0, 0.35), angles)
def test_a_tilted_tag_is_off_by_no_more_than_stated(camera_m: float, d: float, where: float, yaw: float, tilt: float, axis: float) -> None:
    camera, height_m = overhead(camera_m), 0.25
    radius = d * (camera_m - height_m)
    rotation = frozen_array(turn((math.cos(axis), math.sin(axis), 0.0), tilt) @ turn((0, 0, 1), yaw))
    centre = frozen_array([radius * math.cos(where), radius * math.sin(where), height_m])
    tag = planar_tag(FloorCalibration.of_camera(camera).to_world(corners_of(camera, DrawnTag(0, 0.1, centre, rotation)), height_m))
    heading = math.atan2(rotation[1, 0], rotation[0, 0])
    assert wrapped(tag.yaw_rad - heading) <= 1.05 * (tilt * d / 2 + tilt**2 / 4) + 1e-9
    assert np.hypot(*(tag.centre - centre[:2])) < 0.005


@given(st.floats(0.3, 0.8), st.floats(0.0, 0.7), angles, angles)
def test_perspective_turns_a_valve_by_less_than_stated(distance_m: float, askew: float, first: float, second: float) -> None:
    position = (distance_m * math.sin(askew), 0.0, distance_m * math.cos(askew))
    camera = looking_at(PINHOLE, SIZE_PX, position, (0.0, 0.0, 0.0))
    yaws = [planar_tag(frozen_array(corners_of(camera, flat_tag(0, 0.05, (0, 0, 0), yaw)) * (1, -1))).yaw_rad for yaw in (first, second)]
    assert math.degrees(wrapped(yaws[1] - yaws[0] - (second - first))) < 0.04  # twice 0.02: two readings


def test_an_overhead_camera_has_x_to_the_right_and_y_upwards() -> None:
    centre, right, up = overhead().project([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]])
    np.testing.assert_allclose(centre, (639.5, 359.5), atol=1e-9)
    np.testing.assert_allclose(right - centre, (60.0, 0.0), atol=1e-9)
    np.testing.assert_allclose(up - centre, (0.0, -60.0), atol=1e-9)


def test_a_camera_that_looks_along_y_or_nowhere_is_refused() -> None:
    for target in ((0.0, 1.0, 1.0), (0.0, 0.0, 1.0)):
        with pytest.raises(UsageError, match="line of sight that is not along y"):
            looking_at(PINHOLE, SIZE_PX, (0.0, 0.0, 1.0), target)
