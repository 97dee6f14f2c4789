"""Laws of what is emitted and of what is remembered, without a guard around it."""

from __future__ import annotations

import numpy as np

from robot import Command, JointState, RobotState, frozen_array
from safety import Cause, GuardConfig, Mode, Reason
from safety.emission import Emitter
from safety.fingers import Fingers
from tests.safety.claw import FINGERS, HIGHEST, HOME, LOWEST, MARGIN_M, gap

H = 0.01
NAMES = ["a", "b"]
CONFIG = GuardConfig(position_min_rad=-0.5, position_max_rad=0.5, velocity_max_rad_s=5.0, acceleration_max_rad_s2=500.0)
BAD = Command(frozen_array([np.nan, 0.0]))
# Two fingers nearer to each other than the margin.
TANGLED = np.array([0.0, 0.25, 0.05] * 3)


def emitter(names: list[str] = NAMES, fingers: Fingers | None = None, **limits: object) -> Emitter:
    config = CONFIG.model_copy(update=limits)
    return Emitter(names, GuardConfig(**config.model_dump()), H, ramp_ticks=1, pulse_rad=None, fingers=fingers)


def at(position_rad: object, current_a: float | None = None, stamp_s: float = 0.0) -> RobotState:
    position = np.broadcast_to(np.asarray(position_rad, float), (2,)) if np.ndim(position_rad) == 0 else np.asarray(position_rad)
    current = None if current_a is None else np.full(len(position), current_a)
    return RobotState(JointState(stamp_s, frozen_array(position), np.zeros_like(position), np.zeros_like(position), current_a=current))


def drive(one: Emitter, target_rad: object, mode: Mode = Mode.ACTIVE, ticks: int = 1) -> np.ndarray:
    """Emit and keep; the robot stands where it was told to be, or at the middle before that."""
    for _ in range(ticks):
        emission = one.emit(at(np.asarray(target_rad, float)), mode, Command(frozen_array(target_rad)))
        one.keep(emission)
    return emission.target_rad


def test_a_jump_is_one_unless_what_was_seen_is_forgotten() -> None:
    for forgets in (False, True):
        one = emitter()
        one.begin(np.zeros(2), Mode.ACTIVE)
        assert one.watch(at(0.0), Mode.ACTIVE, None) == Cause.NONE
        if forgets:
            one.watch_anew()
        assert (Cause.JUMPED in one.watch(at(4.0, stamp_s=H), Mode.ACTIVE, None)) is not forgets


def test_heat_is_not_forgotten() -> None:
    one = emitter(current_max_a=1.0)
    one.begin(np.zeros(2), Mode.ACTIVE)
    for _ in range(2000):
        one.watch(at(0.0, current_a=2.0), Mode.ACTIVE, None)
    one.watch_anew()
    one.begin(np.zeros(2), Mode.ACTIVE)
    one.watch(at(0.0, current_a=0.0), Mode.ACTIVE, None)
    emission = one.emit(at(0.0), Mode.ACTIVE, Command(frozen_array([0.3, -0.3])))
    assert Reason.DERATED in emission.reasons
    assert np.abs(emission.target_rad).max() == 0.0


def test_three_unusable_commands_in_a_row_count_unless_they_were_forgotten() -> None:
    for forgets in (False, True):
        one = emitter()
        one.begin(np.zeros(2), Mode.ACTIVE)
        assert [one.watch(at(0.0), Mode.ACTIVE, BAD) for _ in range(2)] == [Cause.NONE] * 2
        if forgets:
            one.watch_anew()
        assert (one.watch(at(0.0), Mode.ACTIVE, BAD) == Cause.REJECTED) is not forgets


def test_a_robot_settles_at_a_rest_pose_outside_of_the_box_of_policies() -> None:
    one = emitter(routine_position_min_rad=-2.0, routine_position_max_rad=2.0, rest_rad=1.5)
    one.begin(np.zeros(2), Mode.ACTIVE)
    assert drive(one, [1.5, 1.5], ticks=200).max() == 0.5
    np.testing.assert_array_equal(drive(one, [0.0, 0.0], Mode.SETTLE, ticks=200), [1.5, 1.5])


def test_fingers_that_have_parted_do_not_come_back_nearer() -> None:
    names = [f"joint_{joint}" for joint in range(9)]
    limits = {
        "position_min_rad": dict(zip(names, LOWEST.tolist(), strict=True)),
        "position_max_rad": dict(zip(names, HIGHEST.tolist(), strict=True)),
        "collision_margin_m": MARGIN_M,
    }
    one = emitter(names, FINGERS, **limits)
    one.begin(TANGLED, Mode.ACTIVE)
    assert gap(TANGLED) < MARGIN_M < gap(HOME)
    drive(one, HOME, ticks=100)
    assert gap(drive(one, TANGLED, ticks=100)) >= MARGIN_M - 1e-6
