"""Laws of the draws, and that the world obeys them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pybullet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sim import MinitaurConfig, RandomisationConfig, simulate_minitaur
from sim.randomise import draw, nominal

RANDOM = MinitaurConfig(randomise=RandomisationConfig(enabled=True))
seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_every_draw_is_within_its_range_and_follows_from_the_seed(seed: int) -> None:
    parameters = draw(RANDOM, np.random.default_rng(seed))
    ranges = RANDOM.randomise
    for low, high, *values in (
        (*ranges.mass_scale, parameters.base_mass_scale, parameters.leg_mass_scale),
        (*ranges.inertia_scale, parameters.inertia_scale),
        (*ranges.motor_strength_scale, *parameters.motor_strength),
        (*ranges.gain_scale, parameters.gain_scale),
        (*ranges.viscous_damping, parameters.viscous_damping),
        (*ranges.control_latency_s, parameters.control_latency_s),
        (*ranges.sensing_latency_s, parameters.sensing_latency_s),
        (*ranges.foot_friction, parameters.foot_friction),
        (*ranges.battery_v, parameters.battery_v),
        (*ranges.joint_friction_nm, parameters.joint_friction_nm),
        (
            RANDOM.start_pose_rad - RANDOM.start_pose_noise_rad,
            RANDOM.start_pose_rad + RANDOM.start_pose_noise_rad,
            *parameters.start_pose_rad,
        ),
    ):
        assert all(low <= value <= high for value in values)
    assert parameters == draw(RANDOM, np.random.default_rng(seed))


def test_two_draws_differ_in_everything() -> None:
    rng = np.random.default_rng(0)
    first, second = draw(RANDOM, rng), draw(RANDOM, rng)
    assert all(getattr(first, field.name) != getattr(second, field.name) for field in fields(first))


@given(seeds)
def test_without_randomisation_only_the_start_pose_and_the_noise_are_drawn(seed: int) -> None:
    config = MinitaurConfig(battery_v=15.0, control_latency_s=0.01)
    drawn, named = draw(config, np.random.default_rng(seed)), nominal(config)
    differing = {field.name for field in fields(drawn) if getattr(drawn, field.name) != getattr(named, field.name)}
    assert differing == {"start_pose_rad", "noise_seed"}


def test_the_world_takes_the_drawn_masses_inertias_and_friction_and_the_next_reset_draws_from_the_nominal_ones() -> None:
    simulation = simulate_minitaur(RANDOM, 100.0)
    for seed in range(3):
        simulation.robot.reset(np.random.default_rng(seed))
        world, drawn = simulation.robot.world, simulation.robot.parameters
        total = 0.0
        for nominal_link in world.inertias:
            scale = drawn.base_mass_scale if nominal_link.link == -1 else drawn.leg_mass_scale
            mass, _, inertia, *_ = pybullet.getDynamicsInfo(world.body, nominal_link.link, physicsClientId=world.client)
            total += mass
            assert mass == pytest.approx(scale * nominal_link.mass_kg)
            np.testing.assert_allclose(inertia, np.array(nominal_link.inertia_kg_m2) * scale * drawn.inertia_scale, rtol=1e-12)
        assert total == pytest.approx(3.2 * drawn.base_mass_scale + 2.8 * drawn.leg_mass_scale)
        for foot in world.knees:
            assert pybullet.getDynamicsInfo(world.body, foot, physicsClientId=world.client)[1] == pytest.approx(drawn.foot_friction)
        assert simulation.robot.read().voltage_v == drawn.battery_v
    simulation.robot.close()


@pytest.mark.parametrize("bounds", [(0.5, 0.4), (-0.1, 1.0), (0.0, float("inf")), (float("nan"), 1.0)])
def test_a_range_is_ordered_finite_and_not_negative(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="low <= high"):
        RandomisationConfig(mass_scale=bounds)


def test_unknown_keys_and_start_poses_outside_the_travel_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        MinitaurConfig.model_validate({"batery_v": 16.0})
    with pytest.raises(ValidationError, match="stay within"):
        MinitaurConfig(start_pose_rad=2.3, start_pose_noise_rad=0.3)
    with pytest.raises(ValidationError, match="lava"):
        MinitaurConfig.model_validate({"ground": {"kind": "lava"}})
