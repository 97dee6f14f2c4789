"""Laws of the arena: how far, in which direction, and how much way there is to its border."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from robot import ImuState, RobotState, StaleError, TrackedPose, frozen_array
from safety import ArenaConfig
from tests.fakes import InstantRobot

ANGLES = st.floats(-math.pi, math.pi)
ARENA = ArenaConfig(center_m=(2.0, -1.0), radius_m=1.5)


def seen(x: float, y: float, yaw_rad: float) -> RobotState:
    """A robot at a place of the tracker's world, m, with a heading, rad."""
    cosine, sine = math.cos(yaw_rad), math.sin(yaw_rad)
    rotation = frozen_array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    zeros = frozen_array(np.zeros(3))
    return replace(
        InstantRobot().read(), imu=ImuState(rotation, zeros, 0.0), tracked_base=TrackedPose(frozen_array([x, y, 0.2]), zeros, 0.0)
    )


def at(distance_m: float, where_rad: float, yaw_rad: float) -> RobotState:
    return seen(2.0 + distance_m * math.cos(where_rad), -1.0 + distance_m * math.sin(where_rad), yaw_rad)


@given(st.floats(0.0, 5.0), ANGLES, ANGLES)
def test_the_distance_does_not_depend_on_where_the_robot_faces(distance, where, yaw):
    assert ARENA.distance_m(at(distance, where, yaw)) == pytest.approx(distance, abs=1e-12)


@pytest.mark.parametrize(("x", "left"), [(3.4999, False), (3.5, False), (3.5001, True), (0.4999, True)])
def test_a_robot_on_the_border_is_inside(x, left):
    assert ARENA.left_by(seen(x, -1.0, 1.0)) is left


@given(st.floats(0.1, 5.0), ANGLES, ANGLES)
def test_who_turns_by_the_bearing_faces_the_centre(distance, where, yaw):
    bearing = ARENA.bearing_rad(at(distance, where, yaw))
    assert abs(bearing) <= math.pi
    assert ARENA.bearing_rad(at(distance, where, yaw + bearing)) == pytest.approx(0.0, abs=1e-9)


def test_a_centre_on_the_left_is_a_positive_bearing():
    assert ARENA.bearing_rad(seen(2.0, -2.0, 0.0)) == pytest.approx(math.pi / 2.0)
    assert ARENA.bearing_rad(seen(2.0, 0.0, 0.0)) == pytest.approx(-math.pi / 2.0)


@given(st.floats(0.0, 1.4), ANGLES, ANGLES)
def test_who_goes_the_way_ahead_is_on_the_border(distance, where, yaw):
    way = ARENA.way_ahead_m(at(distance, where, yaw))
    x, y, _ = at(distance, where, yaw).tracked_base.position_world_m
    assert ARENA.distance_m(seen(x + way * math.cos(yaw), y + way * math.sin(yaw), yaw)) == pytest.approx(1.5)


@pytest.mark.parametrize("yaw", [0.0, math.pi / 2.0, math.pi])
def test_there_is_no_way_from_outside(yaw):
    assert ARENA.way_ahead_m(at(1.6, 0.0, yaw)) == 0.0


def test_from_the_very_border_the_way_leads_through_the_centre():
    assert ARENA.way_ahead_m(seen(3.5, -1.0, math.pi)) == pytest.approx(3.0)
    assert ARENA.way_ahead_m(seen(3.5, -1.0, math.pi / 2.0)) == pytest.approx(0.0, abs=1e-9)


def test_a_robot_without_the_senses_is_refused():
    whole = seen(0.0, 0.0, 0.0)
    with pytest.raises(StaleError, match="needs a tracked base"):
        ARENA.left_by(replace(whole, tracked_base=None))
    with pytest.raises(StaleError, match="needs an IMU"):
        ARENA.bearing_rad(replace(whole, imu=None))


@pytest.mark.parametrize("radius_m", [-1.0, 0.0, 0.49, 1000.1, math.nan, math.inf])
def test_a_radius_holds_a_robot(radius_m):
    with pytest.raises(ValidationError, match="radius_m"):
        ArenaConfig(radius_m=radius_m)
    assert (ArenaConfig(radius_m=0.5).center_m, ArenaConfig(radius_m=1000.0).radius_m) == ((0.0, 0.0), 1000.0)
