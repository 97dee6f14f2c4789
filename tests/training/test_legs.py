"""Laws of the leg maps and of the walking task on the kitty's legs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import ImuState, JointState, RobotState, TrackedPose, command, frozen_array
from robot.description import load_description
from safety import BusTick
from training.tasks import JointOffsets, KittyWalkConfig, SwingExtension, WalkTask

MAPS = {"five-bars": SwingExtension(0.5, 2.0, 0.3), "joints": JointOffsets((0.1, 0.75, -1.5), (0.2, 0.4, 0.5))}
RNG = np.random.default_rng(0)
TASK = WalkTask(KittyWalkConfig(torque_nm_per_a=1.3), 0.04)
DESCRIPTION = load_description("kitty")


def state(offset: float = 0.0, rate: float = 0.0, current: float = 0.0, torque: float | None = None) -> RobotState:
    full = [frozen_array(np.full(12, value)) for value in (rate, current, 0.0)]
    return RobotState(
        JointState(
            0.0,
            frozen_array(TASK.legs.centre_rad + offset),
            full[0],
            full[2],
            None if torque is None else frozen_array(np.full(12, torque)),
            full[1],
        ),
        ImuState(frozen_array(np.eye(3)), frozen_array(np.zeros(3)), 0.0),
        TrackedPose(frozen_array([0.0, 0.0, 0.24]), frozen_array(np.zeros(3)), 0.0),
    )


@pytest.mark.parametrize("name", MAPS)
@given(data=st.data())
def test_a_map_and_its_inverse_are_exact_and_zero_is_the_centre(name: str, data: st.DataObject) -> None:
    legs = MAPS[name]
    actions = len(legs.action_names)
    shape = np.array(data.draw(st.lists(st.floats(-1.0, 1.0), min_size=actions, max_size=actions)))
    joints = legs.joints_rad(shape)
    assert joints.shape == (len(legs.joint_names),)
    np.testing.assert_allclose(legs.legs(joints), shape, atol=1e-12)
    np.testing.assert_array_equal(legs.joints_rad(np.zeros(actions)), legs.centre_rad)


def test_offsets_are_those_of_the_descriptions_joints_and_abduction_opens_all_legs() -> None:
    legs = MAPS["joints"]
    assert legs.joint_names == tuple(" ".join(name.rsplit("_", 1)[::-1]) for name in DESCRIPTION.joint_names)
    opened = legs.joints_rad(np.tile([1.0, 0.0, 0.0], 4)) - legs.centre_rad
    left = ["left" in name for name in DESCRIPTION.joint_names[::3]]
    np.testing.assert_allclose(opened[::3], np.where(left, 0.2, -0.2))
    assert not opened[1::3].any()
    assert not opened[2::3].any()
    np.testing.assert_allclose(legs.joints_rad(np.ones(12))[1::3] - 0.75, 0.4)


def test_the_default_centre_is_the_home_pose_of_the_description() -> None:
    home = [joint.home_rad for joint in DESCRIPTION.joints]
    np.testing.assert_array_equal(KittyWalkConfig().legs.centre_rad, home)


def test_the_layout_names_every_element_once() -> None:
    observation, memory = TASK.start(state(), RNG)
    assert observation.shape == (len(TASK.observation_names),) == (48,)
    assert len(set(TASK.observation_names)) == 48
    assert TASK.target(np.zeros(12), memory).position_rad.shape == (12,) == (len(TASK.action_names),)
    np.testing.assert_array_equal(observation[:12], 0.0)
    np.testing.assert_allclose(TASK.start(state(offset=0.1), RNG)[0][:12], 0.1, atol=1e-7)


@given(st.floats(-8.0, 8.0), st.floats(-2.0, 2.0))
def test_power_is_that_of_the_current_where_no_torque_is_measured_and_of_the_torque_where_it_is(rate: float, current: float) -> None:
    def reward(end: RobotState) -> float:
        begin = state()
        _, memory = TASK.start(begin, RNG)
        held = command(TASK.legs.centre_rad, 12)
        return TASK.finish(np.zeros(12), memory, [BusTick(0.01, begin, held, held)], end).outcome.reward

    weight, still = TASK.config.power_weight_per_w, reward(state())
    assert still - reward(state(rate=rate, current=current)) == pytest.approx(weight * 12 * 1.3 * abs(current * rate), abs=1e-9)
    assert still - reward(state(rate=rate, current=current, torque=0.5)) == pytest.approx(weight * 12 * 0.5 * abs(rate), abs=1e-9)
