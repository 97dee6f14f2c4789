"""Laws of the environment, the walking task and the replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from robot import CameraFrame, ImuState, RobotState, StaleError, TrackedPose, UsageError, frozen_array
from robot.errors import CameraError
from safety import INTERVENTIONS, ArenaConfig, Cause, GuardConfig, Mode, Reason
from tests.fakes import InstantRobot
from tests.training.records import Stream, step_records, walking_streams
from tests.training.walking import walking_env
from training.collector import Collector
from training.records import frame_dtype
from training.replay import Replay
from training.tasks import WalkConfig, WalkTask

RNG = np.random.default_rng(0)
TASK = WalkTask(WalkConfig(), 0.02)
actions = st.lists(st.floats(-1.0, 1.0, width=32), min_size=8, max_size=8)


def state(motors: object = 2.0, roll: float = 0.0, pitch: float = 0.0, yaw: float = 0.0, position: object = (0.0, 0.0, 0.2)) -> RobotState:
    env = walking_env()
    env.reset(seed=0)
    joints = env.motion.robot.read().joints
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    rotation = (
        np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
        @ np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
        @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    )
    moved = type(joints)(0.0, frozen_array(np.broadcast_to(motors, 8)), joints.velocity_rad_s, joints.age_s, joints.torque_nm)
    return RobotState(
        moved,
        ImuState(frozen_array(rotation), frozen_array([0.5, -0.5, 1.0]), 0.0),
        TrackedPose(frozen_array(position), frozen_array(np.zeros(3)), 0.0),
    )


def test_gymnasium_accepts_the_environment():
    check_env(walking_env(), skip_render_check=True)


@given(st.integers(0, 100), st.lists(actions, min_size=1, max_size=5))
@settings(max_examples=15)
def test_one_seed_gives_one_episode(seed, moves):
    def play() -> list[object]:
        env = walking_env()
        seen: list[object] = [env.reset(seed=seed)[0].tobytes()]
        for move in moves:
            observation, reward, *_ = env.step(np.array(move, np.float32))
            seen += [observation.tobytes(), reward]
        return seen

    assert play() == play()


def test_a_heading_that_is_turned_to_the_left_makes_the_robot_stray_to_the_right():
    straight, turned = walking_env(), walking_env()
    for env in (straight, turned):
        env.reset(seed=0)
    turned.turn(0.3)
    for _ in range(3):
        along, off = straight.advance(np.zeros(8, np.float32)).observation, turned.advance(np.zeros(8, np.float32)).observation
        yaw = straight.task.observation_names.index("yaw")
        assert off[yaw] - along[yaw] == pytest.approx(-0.3, abs=1e-6)


def test_only_an_episode_has_a_heading():
    with pytest.raises(UsageError, match="before reset"):
        walking_env().turn(0.1)


@given(actions)
def test_the_legs_map_and_its_inverse_are_exact(action):
    _, memory = TASK.start(state(), RNG)
    motors = TASK.target(np.array(action), memory).position_rad
    legs = TASK.legs.legs(motors)
    np.testing.assert_allclose(legs, 0.5 * np.array(action) + 0.5 * memory.legs, atol=1e-12)
    np.testing.assert_allclose(TASK.legs.joints_rad(legs), motors, atol=1e-12)


def test_extension_moves_both_motors_of_a_leg_together_and_swing_apart_by_the_sides_sign():
    extension = TASK.legs.joints_rad(np.array([0, 0, 0, 0, 1.0, 0, 0, 0]))
    np.testing.assert_allclose(extension[:2] - 2.0, TASK.config.extension_scale_rad)
    np.testing.assert_allclose(extension[2:], 2.0)
    swing = TASK.legs.joints_rad(np.array([1.0, 0, 1.0, 0, 0, 0, 0, 0]))
    np.testing.assert_allclose(swing[[0, 1, 4, 5]] - 2.0, TASK.config.swing_scale_rad * np.array([-1.0, 1.0, 1.0, -1.0]))


@given(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4), st.floats(-3.0, 3.0))
def test_angles_are_read_back_from_the_rotation_and_yaw_counts_from_the_start(roll, pitch, yaw):
    observation, memory = TASK.start(state(roll=roll, pitch=pitch, yaw=yaw), RNG)
    np.testing.assert_allclose(observation[8:14], [roll, pitch, 0.1, -0.1, 0.0, 0.2], atol=1e-5)
    turned = TASK._frame(state(yaw=yaw + 0.5), memory.heading_rad)
    assert turned[12] == pytest.approx(0.5, abs=1e-6)


@given(st.floats(-3.0, 3.0), st.floats(-2.0, 2.0))
def test_speed_is_measured_along_the_heading_of_the_start(yaw, speed):
    env = walking_env()
    env.reset(seed=0)
    _, memory = TASK.start(state(yaw=yaw), RNG)
    _, ticks = env.motion.advance(TASK.target(np.zeros(8), memory), env.motion.robot.read())
    ahead = 0.02 * speed * np.array([np.cos(yaw), np.sin(yaw), 0.0]) + [0.0, 0.0, 0.2]
    outcome = TASK.finish(np.zeros(8), memory, ticks, state(yaw=yaw, position=ahead)).outcome
    assert outcome.measure == pytest.approx(speed, abs=1e-9)
    capped = 2.0 * float(np.clip(speed, -TASK.config.speed_cap_m_s, TASK.config.speed_cap_m_s))
    assert outcome.reward <= capped + 1e-9


@pytest.mark.parametrize(("tilt", "height", "fallen"), [(0.0, 0.2, False), (0.5, 0.2, False), (0.6, 0.2, True), (0.0, 0.09, True)])
def test_a_fall_is_a_tilt_or_a_low_base(tilt, height, fallen):
    assert TASK.fallen(state(roll=tilt, position=(0.0, 0.0, height))) is fallen
    assert TASK.fallen(state(pitch=tilt, position=(0.0, 0.0, height))) is fallen


def test_a_robot_without_the_sensors_of_the_task_is_refused():
    whole = state()
    with pytest.raises(StaleError, match="IMU"):
        TASK.start(RobotState(whole.joints, None, whole.tracked_base), RNG)
    with pytest.raises(StaleError, match="tracked base"):
        TASK.start(RobotState(whole.joints, whole.imu, None), RNG)


def test_a_time_limit_truncates_and_does_not_terminate():
    env = walking_env(limit=3)
    env.reset(seed=0)
    ends = [env.step(np.zeros(8, np.float32))[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


class Drifting(InstantRobot):
    """Is carried along x at 1 m/s; may fall, be lost by its tracker, or both."""

    height_m, tracked = 0.2, True

    def read(self) -> RobotState:
        state = super().read()
        place = TrackedPose(frozen_array([self.time_s, 0.0, self.height_m]), frozen_array([1.0, 0.0, 0.0]), 0.0)
        return replace(state, tracked_base=place if self.tracked else None)


def test_leaving_the_arena_truncates_and_does_not_terminate_and_the_value_goes_on():
    env = walking_env(arena=ArenaConfig(center_m=(-0.45, 0.0), radius_m=0.5), robot=Drifting(8, 2.0))

    steps, bus = walking_streams()
    collector = Collector(env, None, steps, bus, seed=0, index=0, episode=0)
    results = [collector.collect(explore=True) for _ in range(3)]
    # After 0.02, 0.04 and 0.06 m: the last one is outside.
    assert [(step.terminated, step.truncated, step.mode) for step in results] == [
        (False, False, Mode.ACTIVE),
        (False, False, Mode.ACTIVE),
        (False, True, Mode.ACTIVE),
    ]
    assert collector.between_episodes
    replay = Replay(36, 8, 8)
    assert replay.extend(steps.array) == 3
    batch = replay.sample(32, 1, torch.Generator().manual_seed(0))[0]
    # Nothing is cut off from what comes after it.
    assert not batch.terminated.any()


def test_a_fall_outside_of_the_arena_is_a_fall_and_a_lost_robot_is_an_error():
    robot = Drifting(8, 2.0)
    env = walking_env(arena=ArenaConfig(center_m=(-0.5, 0.0), radius_m=0.5), robot=robot)
    env.reset(seed=0)
    robot.height_m = 0.05
    fallen = env.advance(np.zeros(8, np.float32))
    assert (fallen.terminated, fallen.truncated) == (True, False)
    env.reset(seed=0)
    robot.tracked = False
    with pytest.raises(StaleError, match="tracked base"):
        env.advance(np.zeros(8, np.float32))


def test_stepping_before_reset_is_an_error_that_says_so():
    with pytest.raises(UsageError, match="call reset first"):
        walking_env().advance(np.zeros(8, np.float32))


def test_actions_that_are_not_finite_are_rejected_and_then_held_and_the_episode_is_cut():
    env = walking_env()
    env.reset(seed=0)
    bad = np.full(8, np.nan, np.float32)
    first, second = env.advance(bad), env.advance(bad)
    assert Reason.NOT_FINITE in first.reasons
    assert (first.truncated, first.mode) == (False, Mode.ACTIVE)
    assert (second.truncated, second.terminated, second.mode) == (True, False, Mode.HOLD)
    assert np.isfinite(first.observation).all()
    assert np.isfinite(first.applied_action).all()
    env.reset(seed=1)
    assert env.advance(np.zeros(8, np.float32)).mode is Mode.ACTIVE


def test_what_the_guard_changed_is_what_the_observation_says_was_applied():
    slow = GuardConfig(position_min_rad=0.9, position_max_rad=3.1, velocity_max_rad_s=5.0, acceleration_max_rad_s2=1e5)
    env = walking_env(guard=slow)
    env.reset(seed=0)
    result = env.advance(np.ones(8, np.float32))
    assert result.reasons & INTERVENTIONS
    emitted = result.ticks[-1].applied.position_rad
    np.testing.assert_allclose(TASK.legs.joints_rad(result.observation[28:].astype(float)), emitted, atol=1e-5)
    assert (np.abs(result.applied_action) < 1.0).any()


class Idle:
    """A policy that was never given weights: random actions are taken."""

    def load(self, vector: np.ndarray) -> None:
        raise NotImplementedError

    def act(self, observation: np.ndarray, noise: np.ndarray | None, image: np.ndarray | None = None) -> np.ndarray:
        raise NotImplementedError


def test_every_transition_has_its_place_its_flags_and_its_bus_ticks():
    class Still:
        backend = "numpy"

        def load(self, vector: np.ndarray) -> None: ...

        def act(self, observation: np.ndarray, noise: np.ndarray | None, image: np.ndarray | None = None) -> np.ndarray:
            return np.zeros(8, np.float32)

    steps, bus = walking_streams()
    collector = Collector(walking_env(limit=7), Still(), steps, bus, seed=3, index=2, episode=5)
    collector.adopt(11, np.zeros(1, np.float32))
    for i in range(20):
        collector.collect(explore=i < 4)
    records, ticks = steps.array, bus.array
    np.testing.assert_array_equal(records["sequence"], np.arange(20))
    np.testing.assert_array_equal(records["step"], np.arange(20) % 7)
    np.testing.assert_array_equal(records["episode"], 5 + np.arange(20) // 7)
    np.testing.assert_array_equal(records["truncated"], np.arange(20) % 7 == 6)
    np.testing.assert_array_equal(records["policy_version"], np.where(np.arange(20) < 4, 0, 11))
    np.testing.assert_array_equal(records["bus_first"], 2 * np.arange(20))
    np.testing.assert_array_equal(records["bus_last"], 2 * np.arange(20) + 1)
    np.testing.assert_array_equal(ticks["sequence"], np.arange(40))
    assert (records["collector"] == 2).all()
    inside = np.flatnonzero(records["truncated"][:-1] == 0)
    np.testing.assert_array_equal(records["next_observation"][inside], records["observation"][inside + 1])
    np.testing.assert_array_equal(ticks["position_rad"][1::2], ticks["emission_rad"][0::2])
    again, other = walking_streams()
    repeat = Collector(walking_env(limit=7), Still(), again, other, seed=3, index=2, episode=6)
    repeat.adopt(11, np.zeros(1, np.float32))
    for _ in range(7):
        repeat.collect(explore=False)
    assert again.array["observation"].tobytes() == records["observation"][7:14].tobytes()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(8, 50))
@settings(max_examples=40)
def test_the_replay_holds_the_newest_transitions_whole(chunks, capacity):
    replay = Replay(5, 2, capacity)
    total = sum(chunks)
    everything = step_records(0, total)
    start = 0
    for count in chunks:
        assert replay.extend(everything[start : start + count]) == min(count, capacity)
        start += count
    assert replay.size == min(total, capacity)
    at_once = Replay(5, 2, capacity)
    at_once.extend(everything)
    # As a learner rebuilds it from the log: a number drawn means the same transition.
    drawn, again = (one.sample(8, 1, torch.Generator().manual_seed(0))[0] for one in (replay, at_once))
    # Nothing is seen here.
    assert not any(column is not None for batch in (drawn, again) for column in batch[5:])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(drawn[:5], again[:5], strict=True))
    newest = everything[-replay.size :]
    batch = replay.sample(64, 1, torch.Generator().manual_seed(0))[0]
    for i in range(64):
        row = np.flatnonzero(newest["reward"].astype(np.float32) == float(batch.reward[i]))
        assert len(row) == 1
        record = newest[row[0]]
        np.testing.assert_array_equal(batch.observation[i].numpy(), record["observation"])
        np.testing.assert_array_equal(batch.action[i].numpy(), record["action"])
        np.testing.assert_array_equal(batch.next_observation[i].numpy(), record["next_observation"])


def test_ticks_in_hold_and_rejected_actions_are_never_trained_on_and_a_time_limit_is_no_termination():
    records = step_records(0, 10)
    records["mode"][2] = Mode.HOLD
    records["action"][5, 1] = np.nan
    records["truncated"][7] = 1
    records["terminated"][9] = 1
    replay = Replay(5, 2, 100)
    assert replay.extend(records) == 8
    batch = replay.sample(400, 1, torch.Generator().manual_seed(0))[0]
    assert torch.isfinite(batch.action).all()
    terminal = {float(r) for r, t in zip(batch.reward, batch.terminated, strict=True) if t}
    assert terminal == {float(np.float32(records["reward"][9]))}


def test_an_empty_replay_cannot_be_sampled():
    with pytest.raises(UsageError, match="empty"):
        Replay(5, 2, 10).sample(4, 1, torch.Generator())


def test_what_hard_stages_change_costs_and_what_they_let_pass_does_not():
    free, priced = (walking_env(intervention_weight=weight) for weight in (0.0, 0.5))
    for env in (free, priced):
        env.reset(seed=0)
    gentle = np.full(8, 0.02, np.float32)
    assert free.advance(gentle).reward == priced.advance(gentle).reward
    slow = GuardConfig(position_min_rad=0.9, position_max_rad=3.1, velocity_max_rad_s=2.0, acceleration_max_rad_s2=1e5)
    rewards = []
    for weight in (0.0, 0.5):
        env = walking_env(guard=slow, intervention_weight=weight)
        env.reset(seed=0)
        result = env.advance(np.ones(8, np.float32))
        rewards.append(result.reward)
        change = np.square(result.applied_action - 1.0).mean()
    assert change > 0.01
    assert rewards[0] - rewards[1] == pytest.approx(0.5 * change)


class Numbered:
    """Implements Camera with pictures that count; a broken one gives none."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self.taken, self.broken, self._clock_s = 0, False, clock_s

    def capture(self) -> CameraFrame:
        if self.broken:
            raise StaleError("no picture for 0.2 s")
        self.taken += 1
        return CameraFrame(self._clock_s(), np.full((4, 6, 3), self.taken, np.uint8))

    def close(self) -> None:
        self.broken = True


def test_each_step_has_the_frame_that_was_taken_with_its_observation():
    robot = InstantRobot(8, 2.0)
    camera = Numbered(lambda: robot.time_s)
    env = walking_env(limit=3, robot=robot, eye=camera)
    (steps, bus), frames = walking_streams(), Stream(frame_dtype(4, 6))
    collector = Collector(env, Idle(), steps, bus, seed=0, index=0, episode=4, frames=frames)
    for _ in range(5):
        collector.collect(explore=True)
    seen = frames.array
    # Three observations that a step went on from, and the last of the episode; then the next one's first two.
    np.testing.assert_array_equal(seen["sequence"], [0, 1, 2, 3, 3, 4])
    np.testing.assert_array_equal(seen["episode"], [4, 4, 4, 4, 5, 5])
    np.testing.assert_array_equal(seen["stamp_s"][[0, 1, 2, 4, 5]], steps.array["stamp_s"])
    np.testing.assert_array_equal(seen["image"][:, 0, 0, 0], [1, 2, 3, 4, 5, 6])
    assert (seen["image"] == seen["image"][:, :1, :1, :1]).all()
    env.close()
    assert camera.broken


def test_a_camera_that_gives_no_picture_stops_the_robot_and_cuts_the_episode_off():
    robot = InstantRobot(8, 2.0)
    camera = Numbered(lambda: robot.time_s)
    env = walking_env(robot=robot, eye=camera)
    (steps, bus), frames = walking_streams(), Stream(frame_dtype(4, 6))
    collector = Collector(env, Idle(), steps, bus, seed=0, index=0, episode=0, frames=frames)
    collector.collect(explore=True)
    camera.broken = True
    assert collector.collect(explore=True) is None
    assert (env.motion.robot.mode, env.motion.robot.causes) == (Mode.HOLD, Cause.CAMERA)
    assert collector.between_episodes
    camera.broken = False
    collector.collect(explore=True)
    assert env.motion.robot.mode is Mode.ACTIVE
    np.testing.assert_array_equal(frames.array["sequence"], [0, 1])
    np.testing.assert_array_equal(frames.array["episode"], steps.array["episode"])


def test_a_camera_that_gives_no_picture_begins_no_episode():
    robot = InstantRobot(8, 2.0)
    camera = Numbered(lambda: robot.time_s)
    env = walking_env(robot=robot, eye=camera)
    env.reset(seed=0)
    assert env.frame.image[0, 0, 0] == 1
    assert env.advance(np.zeros(8, np.float32)).frame is env.frame
    assert env.frame.image[0, 0, 0] == 2
    camera.broken = True
    with pytest.raises(CameraError, match="no picture for"):
        env.reset(seed=0)


def test_a_robot_whose_log_cannot_be_written_is_held_and_its_episode_cut_off():
    env = walking_env()
    steps, bus = walking_streams()
    collector = Collector(env, Idle(), steps, bus, seed=0, index=0, episode=0)
    collector.hold(Cause.DISK)
    assert env.motion.robot.causes == Cause.NONE
    collector.collect(explore=True)
    for _ in range(3):
        collector.hold(Cause.DISK)
        assert (env.motion.robot.mode, env.motion.robot.causes) == (Mode.HOLD, Cause.DISK)
        assert collector.between_episodes
    assert (collector.episode, len(steps)) == (1, 1)
    collector.collect(explore=True)
    assert env.motion.robot.mode is Mode.ACTIVE
