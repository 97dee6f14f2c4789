"""Motions that bring a robot back to where an episode begins, as coroutines without a clock or a robot in them."""

from safety.resets.claw import CLAW_PACE, Turner, gathering, turning_object
from safety.resets.gaits import KITTY_GAIT, MINITAUR_GAIT, SERVO_MINITAUR_GAIT, Gait
from safety.resets.moves import Moves, Pace, hold, move_to, until
from safety.resets.righting import Right, Righting
from safety.resets.righting_kitty import KITTY_PACE, right_kitty
from safety.resets.righting_minitaur import MINITAUR_PACE, SERVO_MINITAUR_PACE, right_minitaur, right_servo_minitaur
from safety.resets.routines import MakeSteps, ResetFailedError, ResetReport, ResetStep, Routine, routine, run_routine
from safety.resets.steps import cooling, standing
from safety.resets.turning import returning
from safety.resets.upright import UPRIGHT_COSINE, Stillness, is_still, stands, tilt_cosine, up_in_base

__all__ = [
    "CLAW_PACE",
    "KITTY_GAIT",
    "KITTY_PACE",
    "MINITAUR_GAIT",
    "MINITAUR_PACE",
    "SERVO_MINITAUR_GAIT",
    "SERVO_MINITAUR_PACE",
    "UPRIGHT_COSINE",
    "Gait",
    "MakeSteps",
    "Moves",
    "Pace",
    "ResetFailedError",
    "ResetReport",
    "ResetStep",
    "Right",
    "Righting",
    "Routine",
    "Stillness",
    "Turner",
    "cooling",
    "gathering",
    "hold",
    "is_still",
    "move_to",
    "returning",
    "right_kitty",
    "right_minitaur",
    "right_servo_minitaur",
    "routine",
    "run_routine",
    "standing",
    "stands",
    "tilt_cosine",
    "turning_object",
    "until",
    "up_in_base",
]
