"""Laws of the claw's tasks: what they see, what is rewarded, and that a hidden valve is hidden."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot import CameraFrame, JointState, RobotState, StaleError, frozen_array
from robot.types import TrackedAngle
from safety.motion import BusTick
from safety.types import AppliedCommand, Reason
from training.tasks import ClawScrewConfig, ClawTurnConfig, ClawTurnPixelsConfig, SeeingTask, TurnTask

PERIOD_S = 0.1
TURN = TurnTask(ClawTurnConfig(), PERIOD_S)
angles = st.floats(-20.0, 20.0)
actions = st.lists(st.floats(-1.0, 1.0), min_size=9, max_size=9).map(np.array)


def state(valve_rad: float | None = 0.0, joints: float = 0.0, rate: float = 0.0, frame: CameraFrame | None = None) -> RobotState:
    row = frozen_array(np.full(9, joints))
    turned = None if valve_rad is None else TrackedAngle(valve_rad, 0.0, 0.0)
    return RobotState(JointState(5.0, row, frozen_array(np.full(9, rate)), frozen_array(np.zeros(9))), tracked_object=turned, frame=frame)


def finish(task, memory, end: RobotState, action: np.ndarray | None = None, reasons: Reason = Reason.NONE):
    wanted = np.zeros(9) if action is None else action
    target = task.target(wanted, memory)
    tick = BusTick(0.01, end, target, AppliedCommand(target.position_rad, reasons))
    return task.finish(wanted, memory, [tick], end)


@given(angles, st.integers(0, 2**32 - 1))
def test_goals_cover_the_circle_and_the_error_is_the_short_way_round(valve_rad, seed):
    _, memory = TURN.start(state(valve_rad), np.random.default_rng(seed))
    assert abs(memory.goal_rad) <= math.pi
    error = TURN.error_rad(state(valve_rad), memory)
    assert abs(error) <= math.pi
    assert math.cos(valve_rad + error - memory.goal_rad) == pytest.approx(1.0)


@given(angles, angles)
def test_nearer_is_better_and_there_is_measured(valve_rad, other_rad):
    _, memory = TURN.start(state(valve_rad), np.random.default_rng(0))
    ends = sorted((valve_rad, other_rad), key=lambda angle: abs(TURN.error_rad(state(angle), memory)))
    near, far = (finish(TURN, memory, state(angle)).outcome for angle in ends)
    assert near.reward >= far.reward - 1e-12
    for angle, outcome in zip(ends, (near, far), strict=True):
        assert outcome.measure == (abs(TURN.error_rad(state(angle), memory)) < 0.1)
        assert not outcome.terminated


def test_fast_joints_cost_and_slow_ones_do_not():
    _, memory = TURN.start(state(), np.random.default_rng(0))
    still, slow, fast = (finish(TURN, memory, state(rate=rate)).outcome.reward for rate in (0.0, 0.4, -2.0))
    assert still == slow
    assert still - fast == pytest.approx(0.02 * 2.0)


@given(actions)
def test_what_the_guard_let_through_is_the_action_that_leads_there(action):
    _, memory = TURN.start(state(), np.random.default_rng(0))
    target = TURN.target(action, memory)
    step = finish(TURN, memory, state(), action, Reason.RATE)
    np.testing.assert_allclose(step.applied_action, action, atol=1e-9)
    np.testing.assert_allclose(TURN.target(action, memory).position_rad, target.position_rad)
    np.testing.assert_allclose(step.memory.pose, finish(TURN, memory, state(), action).memory.pose, atol=1e-12)


@given(angles, angles)
def test_a_hidden_valve_is_in_no_element_of_the_observation(one_rad, other_rad):
    hidden = TurnTask(ClawTurnPixelsConfig(), PERIOD_S)
    one, other = (hidden.start(state(angle), np.random.default_rng(4)) for angle in (one_rad, other_rad))
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1].goal_rad == other[1].goal_rad
    ends = [finish(hidden, memory, state(angle)) for (_, memory), angle in zip((one, other), (one_rad, other_rad), strict=True)]
    np.testing.assert_array_equal(ends[0].observation, ends[1].observation)
    assert len(one[0]) == len(hidden.observation_names)


def test_the_goal_of_the_screw_goes_ahead():
    screw = TurnTask(ClawScrewConfig(goal_rad_s=0.5), PERIOD_S)
    _, memory = screw.start(state(1.3), np.random.default_rng(0))
    for _ in range(10):
        memory = finish(screw, memory, state(1.3)).memory
    assert screw.error_rad(state(1.3), memory) == pytest.approx(0.5)
    assert screw.error_rad(state(1.8), memory) == pytest.approx(0.0, abs=1e-12)


def test_a_robot_whose_valve_nobody_measures_is_refused():
    with pytest.raises(StaleError, match="needs its angle"):
        finish(TURN, TURN.start(state(), np.random.default_rng(0))[1], state(None))


@given(st.floats(0.0, 3.0))
def test_who_sees_knows_how_old_the_picture_is(age_s):
    seeing = SeeingTask(TURN, PERIOD_S)
    frame = CameraFrame(5.0 - age_s, np.zeros((4, 4, 3), np.uint8))
    observation, memory = seeing.start(state(frame=frame), np.random.default_rng(0))
    assert seeing.observation_names[-1] == "frame age"
    assert observation[-1] == pytest.approx(min(10.0, age_s / PERIOD_S), abs=1e-4)
    np.testing.assert_array_equal(observation[:-1], TURN.start(state(), np.random.default_rng(0))[0])
    assert finish(seeing, memory, state(frame=frame)).observation[-1] == observation[-1]
    with pytest.raises(StaleError, match="set camera"):
        seeing.start(state(), np.random.default_rng(0))
