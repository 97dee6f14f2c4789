"""Laws of a claw's description as the guard gets it."""

from __future__ import annotations

import numpy as np
import pytest

from fetlock.guarding import fingers_of, guarded, read_limits, require_able
from fetlock.machines import HardwareConfig
from robot.description import load_description
from robot.errors import UsageError
from safety import GuardConfig
from tests.fakes import InstantRobot
from tests.safety.claw import FINGERS, MARGIN_M, poses

CLAW = HardwareConfig(description="claw", port="none")


def test_the_claw_has_the_fingers_of_the_published_scene_and_other_robots_none() -> None:
    fingers = fingers_of(load_description("claw"))
    assert fingers is not None
    drawn = poses(100)
    np.testing.assert_allclose(fingers.distances(drawn), FINGERS.distances(drawn), rtol=0.0, atol=1e-7)
    assert fingers_of(load_description("kitty")) is None


def test_home_and_rest_of_the_claw_are_outside_of_its_margin() -> None:
    description = load_description("claw")
    config = GuardConfig.model_validate(read_limits("claw"))
    assert config.collision_margin_m == MARGIN_M
    fingers, limits = fingers_of(description), config.limits(description.joint_names)
    assert fingers is not None
    assert limits.rest_rad is not None
    stands = [[joint.home_rad for joint in description.joints], [joint.rest_rad for joint in description.joints], limits.rest_rad]
    assert fingers.distances(np.array(stands)).min() > 10.0 * MARGIN_M


def test_the_guard_of_a_claw_keeps_its_fingers_apart() -> None:
    config = GuardConfig.model_validate(read_limits("claw"))
    robot = InstantRobot(9)
    robot.joint_names = load_description("claw").joint_names
    guard = guarded(robot, CLAW, config, bus_hz=100.0, control_hz=10.0, now_s=lambda: robot.time_s)
    assert guard._emitter._separation is not None
    assert guard._emitter._separation.margin_m == MARGIN_M


def test_a_margin_for_a_robot_without_fingers_is_refused_where_its_limits_are_read() -> None:
    config = GuardConfig.model_validate({**read_limits("kitty"), "collision_margin_m": 0.01})
    with pytest.raises(UsageError, match="no fingers to keep apart") as caught:
        require_able(HardwareConfig(port="none"), config, load_description("kitty").joint_names, "run.yaml")
    assert "\n" not in str(caught.value)
