"""Laws of limits as data: what is accepted at its very bound and refused beyond it, and what a robot's arrays are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from robot import UsageError
from safety.limits import CoupledConfig, GuardConfig

BASE = {"position_min_rad": -1.0, "position_max_rad": 1.0, "velocity_max_rad_s": 10.0, "acceleration_max_rad_s2": 100.0}
NAMES = ("a", "b", "c")
POSITIVE = ("velocity_max_rad_s", "acceleration_max_rad_s2", "braking_rad_s2", "tracking_error_max_rad", "current_max_a")
FINITE = ("position_min_rad", "position_max_rad", "routine_position_min_rad", "routine_position_max_rad", "rest_rad")


def config(**changes: object) -> GuardConfig:
    return GuardConfig.model_validate({**BASE, **changes})


def refused(message: str, **changes: object) -> None:
    with pytest.raises(ValidationError, match=message):
        config(**changes)


@pytest.mark.parametrize("name", POSITIVE)
def test_what_must_be_positive_is_so_for_every_joint(name):
    # The smallest positive number; a braking above an acceleration is another matter.
    assert getattr(config(braking_rad_s2=5e-324, **{name: 5e-324} if name != "braking_rad_s2" else {}), name) == 5e-324
    for value in (0.0, -1.0, math.inf, math.nan):
        for given in (value, {"a": 1.0, "b": value}):
            refused(f"{name}[^$]*must be positive and finite: got {value}", **{name: given})


@pytest.mark.parametrize("name", FINITE)
def test_what_must_be_finite_is_so_for_every_joint(name):
    for value in (math.inf, -math.inf, math.nan):
        for given in (value, {"a": 0.0, "b": value}):
            refused(f"{name}[^$]*must be finite numbers: got {value}", **{name: given})


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("low_pass_hz", 5e-324, math.inf),
        ("tracking_time_s", 5e-324, 5.0),
        ("encoder_still_s", 5e-324, 2.0),
        ("encoder_still_rad", 5e-324, 1.0),
        ("tilt_max_rad", 5e-324, math.pi),
        ("collision_margin_m", 5e-324, 0.1),
        ("voltage_min_v", 5e-324, math.inf),
        ("sensor_age_max_s", 5e-324, 10.0),
        ("current_time_s", 5e-324, 60.0),
        ("camera_age_max_s", 5e-324, math.inf),
        ("camera_frozen_s", 5e-324, math.inf),
    ],
)
def test_single_numbers_have_bounds(name, lowest, highest):
    assert getattr(config(**{name: lowest}), name) == lowest
    assert getattr(config(**{name: highest}), name) == highest
    refused(name, **{name: 0.0})
    if highest < math.inf:
        refused(name, **{name: math.nextafter(highest, math.inf)})


def test_temperatures_rise_and_have_bounds():
    def temperatures(arm: float, derate: float, most: float) -> dict[str, float]:
        return {"temperature_arm_c": arm, "temperature_derate_c": derate, "temperature_max_c": most}

    config(**temperatures(20.0, 20.0, 100.0))
    config(**temperatures(99.0, 99.0, 100.0))
    config(**temperatures(20.0, 20.0, math.nextafter(20.0, 21.0)))
    for arm, derate, most in ((50.1, 50.0, 70.0), (50.0, 70.0, 70.0), (50.0, 71.0, 70.0)):
        refused(f"temperatures rise from temperature_arm_c {arm} over temperature_derate_c {derate} ", **temperatures(arm, derate, most))
    for name, value in (("arm", 19.9), ("derate", 19.9), ("max", 19.9), ("arm", 100.1), ("derate", 100.1), ("max", 100.1)):
        refused(f"temperature_{name}_c\n  Input should be (greater|less) than or equal to (20|100)", **{f"temperature_{name}_c": value})


def test_what_nobody_sets_is_what_the_manual_says():
    made = config()
    assert (made.temperature_arm_c, made.temperature_derate_c, made.temperature_max_c) == (50.0, 55.0, 70.0)
    given = ("tracking_time_s", "encoder_still_s", "encoder_still_rad", "current_time_s", "sensor_age_max_s", "interpolate", "coupled")
    assert tuple(getattr(made, name) for name in given) == (0.1, 0.1, 0.06, 2.0, 0.2, True, ())
    absent = set(GuardConfig.model_fields) - set(BASE) - set(given)
    assert {name for name in absent if getattr(made, name) is not None} == {f"temperature_{name}_c" for name in ("arm", "derate", "max")}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_min_rad": 1.0}, "Value error, position_min_rad 1.0 must be below position_max_rad 1.0"),
        ({"position_min_rad": {"a": 0.0, "b": 1.0}}, "Value error, b: position_min_rad 1.0 must be below position_max_rad 1.0"),
        ({"position_max_rad": {"a": 0.0, "b": -1.0}}, "Value error, b: position_min_rad -1.0 must be below position_max_rad -1.0"),
        ({"braking_rad_s2": 100.1}, "braking_rad_s2 100.1 must not be above acceleration_max_rad_s2 100.0"),
        (
            {"routine_position_min_rad": -0.9, "routine_position_max_rad": 1.0},
            "routine_position_min_rad -0.9 must not be above position_min",
        ),
        (
            {"routine_position_min_rad": -1.0, "routine_position_max_rad": 0.9},
            "position_max_rad 1.0 must not be above routine_position_max",
        ),
        ({"routine_position_max_rad": 2.0}, "are given together"),
        ({"routine_position_min_rad": -2.0}, "are given together"),
        ({"rest_rad": -1.1}, "Value error, position_min_rad -1.0 must not be above rest_rad -1.1"),
        ({"rest_rad": 1.1}, "Value error, rest_rad 1.1 must not be above position_max_rad 1.0"),
        (
            {"routine_position_min_rad": -2.0, "routine_position_max_rad": 2.0, "rest_rad": -2.1},
            "Value error, routine_position_min_rad -2.0 must not be above rest_rad -2.1",
        ),
        (
            {"routine_position_min_rad": -2.0, "routine_position_max_rad": 2.0, "rest_rad": 2.1},
            "Value error, rest_rad 2.1 must not be above routine_position_max_rad 2.0",
        ),
        ({"position_min_rad": {"a": -1.0, "b": 3.0}, "position_max_rad": {"a": 1.0, "b": 2.0}}, "b: position_min_rad 3.0 must be below"),
    ],
)
def test_limits_that_contradict_each_other_are_refused_by_joint(changes, message):
    refused(message, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"braking_rad_s2": 100.0},
        {"routine_position_min_rad": -1.0, "routine_position_max_rad": 1.0},
        {"routine_position_min_rad": -2.0, "routine_position_max_rad": 2.0, "rest_rad": -2.0},
        {"routine_position_min_rad": -2.0, "routine_position_max_rad": 2.0, "rest_rad": 2.0},
        {"rest_rad": -1.0},
        {"rest_rad": 1.0},
        # Joints that only one of the two names are compared with nothing: the robot will refuse them.
        {"position_min_rad": {"a": -1.0, "b": 5.0}, "position_max_rad": {"a": 1.0, "c": 0.0}},
    ],
)
def test_limits_may_touch_each_other(changes):
    config(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"min_rad": 1.0, "max_rad": 1.0},
        {"min_rad": 2.0, "max_rad": 1.0},
        {"min_rad": -math.inf, "max_rad": 1.0},
        {"min_rad": 0.0, "max_rad": math.inf},
        {"min_rad": math.nan, "max_rad": 1.0},
    ],
)
def test_a_coupled_pair_has_two_finite_bounds_in_order(changes):
    with pytest.raises(ValidationError, match="must be below max_rad"):
        CoupledConfig.model_validate({"joints": ("a", "b"), **changes})


@pytest.mark.parametrize("changes", [{"weights": (0.0, 2.0)}, {"weights": (2.0, 0.0)}, {"joints": ("b", "b")}])
def test_a_coupled_pair_is_of_two_joints_that_count(changes):
    with pytest.raises(ValidationError, match="two different joints with weights other than 0"):
        CoupledConfig.model_validate({"joints": ("a", "b"), "min_rad": 0.0, "max_rad": 1.0, **changes})


def test_a_coupled_pair_sums_its_joints_unless_told():
    assert CoupledConfig(joints=("a", "b"), min_rad=0.0, max_rad=1.0).weights == (1.0, 1.0)


def test_the_rows_of_a_robot_are_in_the_order_of_its_joints():
    pairs = (
        CoupledConfig(joints=("c", "a"), weights=(2.0, -1.0), min_rad=-0.5, max_rad=0.25),
        CoupledConfig(joints=("a", "b"), min_rad=-1.0, max_rad=1.5),
    )
    per_joint = {"c": 3.0, "a": 1.0, "b": 2.0}
    made = config(
        position_max_rad=per_joint,
        routine_position_min_rad=-3.0,
        routine_position_max_rad=4.0,
        velocity_max_rad_s={"b": 6.0, "a": 5.0, "c": 7.0},
        braking_rad_s2=50.0,
        coupled=pairs,
        low_pass_hz=4.0,
        tracking_error_max_rad=0.5,
        current_max_a=2.0,
        rest_rad=0.5,
    )
    limits = made.limits(NAMES, pulse_rad=0.001)
    rows = {
        "position_min_rad": [-1.0] * 3,
        "position_max_rad": [1.0, 2.0, 3.0],
        "velocity_max_rad_s": [5.0, 6.0, 7.0],
        "acceleration_max_rad_s2": [100.0] * 3,
        "braking_rad_s2": [50.0] * 3,
        "coupled_weights": [[-1.0, 0.0, 2.0], [1.0, 1.0, 0.0]],
        "coupled_min_rad": [-0.5, -1.0],
        "coupled_max_rad": [0.25, 1.5],
        "tracking_error_max_rad": [0.5] * 3,
        "current_max_a": [2.0] * 3,
        "rest_rad": [0.5] * 3,
    }
    for name, row in rows.items():
        np.testing.assert_array_equal(getattr(limits, name), row)
        assert not getattr(limits, name).flags.writeable
    assert (limits.low_pass_hz, limits.pulse_rad) == (4.0, 0.001)
    wide = made.limits(NAMES, routine=True)
    np.testing.assert_array_equal(wide.position_min_rad, [-3.0] * 3)
    np.testing.assert_array_equal(wide.position_max_rad, [4.0] * 3)
    assert wide.pulse_rad is None


def test_what_is_not_watched_is_never_too_much():
    limits = config().limits(NAMES, routine=True)
    for row in (limits.tracking_error_max_rad, limits.current_max_a):
        np.testing.assert_array_equal(row, [math.inf] * 3)
    np.testing.assert_array_equal(limits.position_min_rad, [-1.0] * 3)
    np.testing.assert_array_equal(limits.position_max_rad, [1.0] * 3)
    np.testing.assert_array_equal(limits.braking_rad_s2, [100.0] * 3)
    assert limits.coupled_weights.shape == (0, 3)
    assert (limits.low_pass_hz, limits.rest_rad, limits.pulse_rad) == (math.inf, None, None)


def test_every_joint_is_named_and_no_other():
    with pytest.raises(UsageError, match=r"guard\.velocity_max_rad_s has no value for b, c: name every joint"):
        config(velocity_max_rad_s={"a": 1.0}).limits(NAMES)
    # The nearest is named even where nothing is near.
    unknown = {"a": 1.0, "b": 1.0, "knee": 1.0, "zzz": 1.0}
    with pytest.raises(UsageError, match=r"guard\.velocity_max_rad_s names knee, which .* the nearest of its joints is keen"):
        config(velocity_max_rad_s=unknown).limits(("a", "b", "keen"))
    with pytest.raises(UsageError, match=r"names zzz, .* nearest of its joints is [abc]$"):
        config(velocity_max_rad_s={"a": 1.0, "zzz": 1.0}).limits(NAMES)
    pair = CoupledConfig(joints=("a", "x"), min_rad=0.0, max_rad=1.0)
    with pytest.raises(UsageError, match=r"guard\.coupled names x, which this robot does not have: its joints are a, b, c"):
        config(coupled=(pair,)).limits(NAMES)
