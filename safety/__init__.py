"""What may move: limits, the filter chain and the guard through which every command passes."""

from safety.guard import GuardedRobot
from safety.limits import GuardConfig
from safety.motion import BusTick, MotionLoop
from safety.types import INTERVENTIONS, AppliedCommand, Mode, Reason

__all__ = ["INTERVENTIONS", "AppliedCommand", "BusTick", "GuardConfig", "GuardedRobot", "Mode", "MotionLoop", "Reason"]
