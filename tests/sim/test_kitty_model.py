"""Laws of the kitty's body: masses, axes, limits, armature, and what an episode changes of it."""

from __future__ import annotations

import math

import numpy as np
import pybullet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sim import KittyConfig, KittyPhysics, ServoRandomisationConfig
from sim.kitty.model import ARMATURE_KG_M2, HIP_M, SHANK_M, SHOULDERS_M, THIGH_M, foot_depth_m
from sim.servo_episode import draw_episode
from tests.sim.kitty_gaits import DESCRIPTION

RANDOM = KittyConfig(randomise=ServoRandomisationConfig(enabled=True))
LEGS = ("front_right", "front_left", "back_left", "back_right")


@pytest.fixture(scope="module")
def physics():
    made = KittyPhysics(KittyConfig(), DESCRIPTION)
    yield made
    made.close()


def foot(physics: KittyPhysics, leg: int, pose: tuple[float, float, float]) -> np.ndarray:
    """Lowest point of the foot's sphere in the torso's frame at a pose of one leg, m."""
    client, body = physics.world.client, physics.world.body
    pybullet.resetBasePositionAndOrientation(body, (0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1.0), physicsClientId=client)
    for joint in range(12):
        pybullet.resetJointState(body, joint, pose[joint % 3] if joint // 3 == leg else 0.0, physicsClientId=client)
    state = pybullet.getLinkState(body, physics.feet[LEGS[leg]][0], computeForwardKinematics=1, physicsClientId=client)
    rotation = np.array(pybullet.getMatrixFromQuaternion(state[5])).reshape(3, 3)
    return np.array(state[4]) + rotation @ [0.0, 0.0, -SHANK_M] - [0.0, 0.0, 1.0]


def test_it_weighs_what_its_parts_do_and_its_straight_leg_is_292_mm(physics: KittyPhysics) -> None:
    assert sum(link.mass_kg for link in physics.links) == pytest.approx(0.73 + 4 * (0.118 + 0.118 + 0.040))
    assert sum((HIP_M, THIGH_M, SHANK_M)) == pytest.approx(0.292)
    for leg, name in enumerate(LEGS):
        np.testing.assert_allclose(foot(physics, leg, (0.0, 0.0, 0.0)), np.array(SHOULDERS_M[name]) - [0.0, 0.0, 0.292], atol=1e-6)


def test_joints_have_the_names_and_limits_of_the_description(physics: KittyPhysics) -> None:
    for number, joint in enumerate(DESCRIPTION.joints):
        info = pybullet.getJointInfo(physics.world.body, number, physicsClientId=physics.world.client)
        assert info[1].decode() == joint.name
        assert (info[8], info[9]) == pytest.approx((joint.lower_rad, joint.upper_rad))


@pytest.mark.parametrize("leg", range(4))
def test_a_positive_abduction_moves_a_foot_left_and_positive_hip_and_knee_move_it_backwards(physics: KittyPhysics, leg: int) -> None:
    straight = foot(physics, leg, (0.0, 0.0, 0.0))
    assert foot(physics, leg, (0.2, 0.0, 0.0))[1] > straight[1] + 0.05
    assert foot(physics, leg, (0.0, 0.2, 0.0))[0] < straight[0] - 0.03
    assert foot(physics, leg, (0.0, 0.0, 0.2))[0] < straight[0] - 0.015


@given(st.floats(-0.5, 0.5), st.floats(-1.5, 1.5), st.floats(-2.5, 1.5), st.integers(0, 3))
def test_the_depth_of_a_foot_is_that_of_the_chain(physics: KittyPhysics, abduction: float, hip: float, knee: float, leg: int) -> None:
    assert foot(physics, leg, (abduction, hip, knee))[2] == pytest.approx(-foot_depth_m(abduction, hip, knee), abs=1e-5)


def test_the_armature_is_on_the_joints_axis_alone_and_is_never_scaled() -> None:
    made = KittyPhysics(RANDOM, DESCRIPTION)
    for seed in range(3):
        made.reset(np.random.default_rng(seed))
        episode = made.episode
        for nominal in made.links:
            mass, friction, inertia, *_ = pybullet.getDynamicsInfo(made.world.body, nominal.link, physicsClientId=made.world.client)
            scale = episode.base_mass_scale if nominal.link == -1 else episode.leg_mass_scale
            assert mass == pytest.approx(nominal.mass_kg * scale)
            own = np.array(nominal.inertia_kg_m2) * scale * episode.inertia_scale
            axis = 0 if nominal.link % 3 == 0 else 1
            expected = own if nominal.link == -1 else own + ARMATURE_KG_M2 * (np.arange(3) == axis)
            np.testing.assert_allclose(inertia, expected, rtol=1e-9)
            if (nominal.link,) in made.feet.values():
                assert friction == pytest.approx(episode.foot_friction)
    made.close()


@given(st.integers(0, 2**32 - 1))
def test_every_draw_is_within_its_range_and_follows_from_the_seed(seed: int) -> None:
    episode = draw_episode(RANDOM, DESCRIPTION, np.random.default_rng(seed))
    ranges, motors = RANDOM.randomise, episode.motors
    for low, high, *values in (
        (*ranges.mass_scale, episode.base_mass_scale, episode.leg_mass_scale),
        (*ranges.inertia_scale, episode.inertia_scale),
        (*ranges.motor_strength_scale, *motors.strength),
        (*ranges.supply_v, motors.supply_v),
        (*ranges.control_latency_s, motors.control_latency_s),
        (*ranges.sensing_latency_s, motors.sensing_latency_s),
        (*ranges.foot_friction, episode.foot_friction),
        (*ranges.joint_friction_nm, episode.joint_friction_nm),
    ):
        assert all(low <= value <= high for value in values)
    for start, joint in zip(motors.start_rad, DESCRIPTION.joints, strict=True):
        assert abs(start - joint.home_rad) <= RANDOM.start_pose_noise_rad
        assert joint.lower_rad <= start <= joint.upper_rad
    assert episode == draw_episode(RANDOM, DESCRIPTION, np.random.default_rng(seed))


def test_a_physics_step_lasts_what_the_rate_says_and_gravity_pulls(physics: KittyPhysics) -> None:
    physics.reset(np.random.default_rng(0))
    client, body = physics.world.client, physics.world.body
    pybullet.resetBasePositionAndOrientation(body, (0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0), physicsClientId=client)
    for _ in range(100):
        physics.step([0.0] * 12)
    assert physics.step_s == pytest.approx(0.001)
    assert physics.body().velocity_world_m_s[2] == pytest.approx(-9.80665 * 0.1, rel=0.01)
    assert math.isclose(physics.upright(), 1.0, abs_tol=0.01)


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        KittyConfig.model_validate({"battery_v": 12.0})
