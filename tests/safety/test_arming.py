"""Laws of arming: one check that fails keeps torque off, at its very bound, and each says so."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from robot import ImuState, JointState, RobotState, frozen_array
from robot.types import TrackedPose
from safety.arming import PLAY_RAD, arming_complaints
from safety.capability import Capability
from safety.limits import GuardConfig

NAMES = ("a", "b")
CONFIG = GuardConfig(
    position_min_rad=-1.0,
    position_max_rad=1.0,
    routine_position_min_rad=-2.0,
    routine_position_max_rad=2.0,
    velocity_max_rad_s=10.0,
    acceleration_max_rad_s2=100.0,
    temperature_arm_c=50.0,
    voltage_min_v=10.0,
    sensor_age_max_s=0.2,
)
ABLE = Capability(*(frozen_array([bound, bound]) for bound in (-2.0, 2.0, 10.0, 3.0, 70.0)))
ZERO = frozen_array([0.0, 0.0])


def imu(age_s: float) -> ImuState:
    return ImuState(frozen_array(np.eye(3)), frozen_array(np.zeros(3)), age_s)


def tracked(age_s: float) -> TrackedPose:
    return TrackedPose(ZERO, ZERO, age_s)


def complaints(
    capability: Capability | None = ABLE, config: GuardConfig = CONFIG, sensors: dict[str, object] | None = None, **joints: object
) -> list[str]:
    """What keeps a robot from being armed that is at its limits of everything else."""
    measured = JointState(0.0, ZERO, ZERO, ZERO, temperature_c=frozen_array([49.9, math.nan]), hardware_error=(0, 0))
    state = RobotState(replace(measured, **joints), imu=imu(0.2), tracked_base=tracked(0.2), voltage_v=10.0)
    return arming_complaints(replace(state, **(sensors or {})), config, config.limits(NAMES, routine=True), NAMES, capability)


def above(value: float) -> float:
    return math.nextafter(value, math.inf)


def below(value: float) -> float:
    return math.nextafter(value, -math.inf)


def test_a_robot_at_the_bound_of_everything_may_be_armed():
    assert complaints() == []


def test_a_robot_that_says_nothing_of_itself_may_be_armed():
    assert complaints(None, sensors={"imu": None, "tracked_base": None, "voltage_v": None}, temperature_c=None, hardware_error=None) == []
    assert complaints(config=CONFIG.model_copy(update={"voltage_min_v": None}), sensors={"voltage_v": 0.0}) == []


@pytest.mark.parametrize(
    ("joints", "sensors", "said"),
    [
        ({"temperature_c": frozen_array([20.0, 50.0])}, {}, "b has 50 deg C: wait until it is below 50"),
        ({"hardware_error": (1, 0)}, {}, "a reports hardware error 0x01"),
        ({"position_rad": frozen_array([math.nan, 0.0])}, {}, "a stands at nan rad, outside of -2 to 2"),
        ({}, {"voltage_v": below(10.0)}, "the supply has 10.0 V, less than voltage_min_v 10: charge"),
        ({}, {"imu": imu(above(0.2))}, "the IMU's reading is 0.20 s old, more than 0.2"),
        ({}, {"imu": imu(math.nan)}, "the IMU's reading is nan s old"),
        ({}, {"tracked_base": tracked(above(0.2))}, "the tracker's reading is 0.20 s old"),
    ],
)
def test_one_failing_check_is_the_one_complaint(joints, sensors, said):
    (complaint,) = complaints(sensors=sensors, **joints)
    assert said in complaint


def test_a_joint_may_stand_beyond_the_widest_limit_by_the_play_of_its_gears():
    # 15 arcmin of the gears and a pulse of a 12-bit register.
    assert round(math.radians(0.25) + 2.0 * math.pi / 4096, 3) == PLAY_RAD
    for side in (-1.0, 1.0):
        edge = side * (2.0 + PLAY_RAD)
        assert complaints(position_rad=frozen_array([edge, 0.0])) == []
        (complaint,) = complaints(position_rad=frozen_array([0.0, math.nextafter(edge, side * math.inf)]))
        assert "b stands at" in complaint


def test_all_failing_checks_are_named_at_once():
    low = replace(ABLE, velocity_max_rad_s=frozen_array([9.0, 11.0]))
    bad = {"temperature_c": frozen_array([60.0, 60.0]), "hardware_error": (0, 2), "position_rad": frozen_array([3.0, 0.0])}
    said = complaints(low, sensors={"imu": imu(1.0), "tracked_base": tracked(1.0), "voltage_v": 9.0}, **bad)
    assert len(said) == 8


@pytest.mark.parametrize(
    ("bound", "narrower", "said"),
    [
        ("position_min_rad", above(-2.0), "b: the lowest position, rad -2 is wider than the motor's own -2"),
        ("position_max_rad", below(2.0), "b: the highest position, rad 2 is wider"),
        ("velocity_max_rad_s", below(10.0), "b: velocity_max_rad_s 10 is wider"),
        ("temperature_max_c", below(70.0), "b: temperature_max_c 70 is wider"),
        ("current_max_a", below(3.0), "b: current_max_a 3 is wider"),
    ],
)
def test_a_limit_may_be_the_motors_own_and_not_a_bit_wider(bound, narrower, said):
    watched = CONFIG.model_copy(update={"current_max_a": 3.0})
    assert ABLE.complaints(watched, NAMES) == []
    (own, _) = getattr(ABLE, bound)
    (complaint,) = replace(ABLE, **{bound: frozen_array([own, narrower])}).complaints(watched, NAMES)
    assert said in complaint


def test_a_current_that_nobody_watches_is_not_compared():
    assert replace(ABLE, current_max_a=ZERO).complaints(CONFIG, NAMES) == []
