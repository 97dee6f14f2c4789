"""Steps that robots on legs share: cool down, stand up."""

from __future__ import annotations

from robot.types import FloatArray, RobotState
from safety.resets.moves import Moves, Pace, move_to, until
from safety.resets.righting import Right
from safety.resets.routines import ResetStep
from safety.resets.upright import STILL, UPRIGHT_COSINE, is_still, stands, tilt_cosine

# A motor that is warm enough to be slowed cools to where it may be armed in some minutes: it is looked at for so long in each attempt, s.
_COOL_S = 300.0
# A step ends when the robot is still, or after this long, s.
_STILL_S = 1.0


def standing(right: Right, home_rad: FloatArray, pace: Pace, tolerance_rad: float, period_s: float) -> ResetStep:
    """Stand at home. A robot that is upright goes there directly, once; any other, and one that this did not help, is righted first.

    Args:
        right: Rights a fallen robot of this kind.
        home_rad: Shape (n,), rad.
        pace: Of the way home.
        tolerance_rad: Per joint, for a robot that stands.
        period_s: Bus period, s.
    """

    def moves(number: int, state: RobotState, start_rad: FloatArray) -> Moves:
        if number > 0 or tilt_cosine(state) < UPRIGHT_COSINE:
            start_rad, _ = yield from right(number, state, start_rad, period_s)
        yield from move_to(start_rad, home_rad, pace, period_s)
        return (yield from until(home_rad, lambda after: is_still(after, STILL), _STILL_S, period_s))

    def done(state: RobotState) -> bool:
        return stands(state, home_rad, tolerance_rad)

    return ResetStep("stand up", moves, done, ask="put the robot on its feet")


def cooling(rest_rad: FloatArray, below_c: float, pace: Pace, period_s: float) -> ResetStep:
    """Rest where motors carry little until all of them are cool; done at once where none is warm, or temperatures are not measured.

    Args:
        rest_rad: Shape (n,), rad.
        below_c: deg C.
        pace: Of the way to the rest pose.
        period_s: Bus period, s.
    """

    def cool(state: RobotState) -> bool:
        heat = state.joints.temperature_c
        # A temperature that has not been asked for yet is NaN.
        return heat is None or not bool((heat >= below_c).any())

    def moves(_number: int, _state: RobotState, start_rad: FloatArray) -> Moves:
        yield from move_to(start_rad, rest_rad, pace, period_s)
        return (yield from until(rest_rad, cool, _COOL_S, period_s))

    return ResetStep("cool down", moves, cool, attempts=2, ask="let the motors cool")
