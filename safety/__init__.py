"""What may move: limits, the filter chain, the guard through which every command passes, and its service to other processes."""

from safety.arena import ArenaConfig
from safety.capability import Capability
from safety.client import MotionClient
from safety.estop import StopBoard
from safety.faults import Fault, HeldError
from safety.guard import GuardedRobot
from safety.limits import GuardConfig
from safety.machine import Machine, Silence
from safety.modes import Ask
from safety.motion import BusTick, Motion, MotionLoop
from safety.motion_link import MotionLink, sweep_dead
from safety.remote import MotionClock, RemoteMotion
from safety.service import MotionServer
from safety.station import BoardWatch
from safety.types import INTERVENTIONS, AppliedCommand, Cause, Mode, Reason

__all__ = [
    "INTERVENTIONS",
    "AppliedCommand",
    "ArenaConfig",
    "Ask",
    "BoardWatch",
    "BusTick",
    "Capability",
    "Cause",
    "Fault",
    "GuardConfig",
    "GuardedRobot",
    "HeldError",
    "Machine",
    "Mode",
    "Motion",
    "MotionClient",
    "MotionClock",
    "MotionLink",
    "MotionLoop",
    "MotionServer",
    "Reason",
    "RemoteMotion",
    "Silence",
    "StopBoard",
    "sweep_dead",
]
