"""Laws of scripted gaits: they repeat, they stand still without a command, and every robot's limits hold them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetlock.guarding import read_limits
from robot.description import load_description
from safety import GuardConfig
from safety.resets import KITTY_GAIT, MINITAUR_GAIT, SERVO_MINITAUR_GAIT, Gait
from sim.model import JOINT_NAMES

PERIOD_S = 0.01
# Name of the limits, gait, joints, home.
ROBOTS = [
    ("kitty", KITTY_GAIT, load_description("kitty").joint_names, np.array([joint.home_rad for joint in load_description("kitty").joints])),
    # The whole range of start poses that the simulation takes.
    ("minitaur", MINITAUR_GAIT, JOINT_NAMES, np.full(8, 1.2)),
    ("minitaur", MINITAUR_GAIT, JOINT_NAMES, np.full(8, 2.3)),
    ("minitaur_dynamixel", SERVO_MINITAUR_GAIT, JOINT_NAMES, np.full(8, 2.0)),
]
GAITS = [KITTY_GAIT, MINITAUR_GAIT, SERVO_MINITAUR_GAIT]
COMMANDS = [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (0.5, 0.5), (-0.5, 0.5), (0.7, -0.3), (0.0, 0.3)]
# Left and right legs, in each robot's order of legs.
MIRRORED = {12: [1, 0, 3, 2], 8: [2, 3, 0, 1]}


@pytest.mark.parametrize(("name", "gait", "joints", "home"), ROBOTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_targets_keep_to_the_limits_of_routines(name: str, gait: Gait, joints: tuple[str, ...], home: object, command: object) -> None:
    limits = GuardConfig.model_validate(read_limits(name)).limits(joints, routine=True)
    forward, turn = command
    # As commands rise: in half a second, from standing.
    sizes = np.minimum(1.0, 2.0 * PERIOD_S * np.arange(700))
    path = home + np.array([gait.offsets_rad(tick * PERIOD_S, size * forward, size * turn) for tick, size in enumerate(sizes)])
    assert (path >= limits.position_min_rad).all()
    assert (path <= limits.position_max_rad).all()
    sums = path @ limits.coupled_weights.T
    assert (sums >= limits.coupled_min_rad).all()
    assert (sums <= limits.coupled_max_rad).all()
    velocity = np.diff(path, axis=0, prepend=home[None]) / PERIOD_S
    assert (np.abs(velocity) <= limits.velocity_max_rad_s).all()
    assert (np.abs(np.diff(velocity, axis=0, prepend=0.0)) <= limits.acceleration_max_rad_s2 * PERIOD_S).all()


@pytest.mark.parametrize("gait", GAITS)
@given(st.floats(0.0, 100.0), st.floats(-1.0, 1.0))
def test_patterns_repeat_and_no_command_stands_still(gait: Gait, time_s: float, command: float) -> None:
    for pattern in (gait.walk, gait.turn):
        later = pattern.legs_rad(time_s + 1.0 / pattern.frequency_hz, command)
        np.testing.assert_allclose(later, pattern.legs_rad(time_s, command), atol=1e-9)
    assert not gait.offsets_rad(time_s, 0.0, 0.0).any()


@pytest.mark.parametrize("gait", GAITS)
@given(st.floats(0.0, 10.0), st.floats(-1.0, 1.0))
def test_a_turn_to_the_right_is_one_to_the_left_in_a_mirror(gait: Gait, time_s: float, command: float) -> None:
    # Half a cycle later where a trot begins with the other diagonal.
    order = MIRRORED[len(gait.offsets_rad(0.0, 0.0, 0.0))]
    shift_s = 0.0 if gait.turn.phase_rad[0] == gait.turn.phase_rad[order[0]] else 0.5 / gait.turn.frequency_hz
    swing, lift, aside = gait.turn.legs_rad(time_s + shift_s, command)
    mirrored = np.stack((swing, lift, -aside))[:, order]
    np.testing.assert_allclose(gait.turn.legs_rad(time_s, -command), mirrored, atol=1e-9)


@pytest.mark.parametrize("gait", GAITS)
def test_feet_push_on_the_floor_and_come_back_in_the_air(gait: Gait) -> None:
    times = np.linspace(0.0, 1.0 / gait.walk.frequency_hz, 400, endpoint=False)
    for command in (1.0, -1.0):
        legs = np.array([gait.walk.legs_rad(time_s, command) for time_s in times])
        speed = np.diff(legs[:, 0], axis=0) * command
        air = legs[:, 1] > 1e-9
        assert (speed[air[1:] & air[:-1]] < 0.0).all()
        assert (speed[~air[1:] & ~air[:-1]] > 0.0).all()
        assert air.any(axis=0).all()


def test_the_five_bars_swing_backwards_and_shorten() -> None:
    swing = MINITAUR_GAIT.joints_rad(np.array([[0.1, 0.2, 0.3, 0.4], [0.0] * 4, [0.0] * 4]))
    np.testing.assert_allclose(swing, [-0.1, 0.1, -0.2, 0.2, 0.3, -0.3, 0.4, -0.4])
    lift = MINITAUR_GAIT.joints_rad(np.array([[0.0] * 4, [0.1, 0.0, 0.0, 0.0], [0.0] * 4]))
    np.testing.assert_allclose(lift, [-0.1, -0.1, 0, 0, 0, 0, 0, 0])


def test_the_kittys_foot_rises_straight_and_goes_aside() -> None:
    joints = KITTY_GAIT.joints_rad(np.array([[0.3, 0.0, 0.0, 0.0], [0.1, 0.0, 0.0, 0.0], [0.2, 0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(joints, [0.2, 0.4, -0.2, *[0.0] * 9], atol=1e-12)
