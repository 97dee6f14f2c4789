"""A scripted trot in the actions of a walking task: what a person drives, and what a policy can be shown.

Diagonal pairs of legs swing in turn (the trot as a virtual biped: Raibert 1986, Legged Robots That Balance). It is blind, with no
feedback; the guard filters it as it filters a policy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policy.layout import Vector
from robot.errors import UsageError

# Phase of each leg, in turns.
_PHASES = {"front_left": 0.0, "back_right": 0.0, "front_right": 0.5, "back_left": 0.5}
_LEFT = ("front_left", "back_left")


@dataclass(frozen=True, slots=True)
class Twist:
    """Where a person wants to go, in shares of what the gait can do, [-1, 1]: forward, and turning to the left.

    Attributes:
        forward: 1 is as fast as it goes forward.
        turn: 1 is turning left as fast as it goes.
    """

    forward: float = 0.0
    turn: float = 0.0


@dataclass(frozen=True, slots=True)
class Trot:
    """A gait of one kind of leg, in action units.

    Attributes:
        stride: Name of the action that moves a foot along the body.
        lift: Name of the action that raises it.
        amplitude: Of the stride at a full twist; its sign moves the robot forward.
        height: Of the lift in the middle of the swing, at any twist; its sign raises the foot.
        frequency_hz: Cycles a second.
    """

    stride: str
    lift: str
    amplitude: float
    height: float
    frequency_hz: float


# Chosen among 64 each by trial in simulation. Forward: the kitty 0.34 m/s, the Minitaur 0.5; to the left: 1.5 rad/s and less than 0.1, for
# its legs move in one plane.
_TROTS = (
    Trot("hip", "knee", 0.8, 1.0, 2.5),
    Trot("swing", "extension", -0.8, -1.0, 2.5),
)


class Walker:
    """Steps a trot with every policy tick.

    Args:
        action_names: Of the task.
        period_s: Policy tick, s.

    Raises:
        UsageError: If no gait is known for such actions.
    """

    def __init__(self, action_names: Sequence[str], period_s: float) -> None:
        known = next((one for one in _TROTS if {f"{one.stride} {leg}" for leg in _PHASES} <= set(action_names)), None)
        if known is None:
            raise UsageError(
                f"no gait is known for actions {', '.join(action_names)}: walkers by swing and extension, or hip and knee, have one"
            )
        self._trot = known
        self._size = len(action_names)
        self._places = [
            (action_names.index(f"{known.stride} {leg}"), action_names.index(f"{known.lift} {leg}"), phase, 1.0 if leg in _LEFT else -1.0)
            for leg, phase in _PHASES.items()
        ]
        self._step = known.frequency_hz * period_s
        self._phase = 0.0

    def act(self, twist: Twist) -> Vector:
        """Return the action of the next policy tick, shape (a,), [-1, 1]; all 0, which stands, where nobody wants to go anywhere."""
        action = np.zeros(self._size, np.float32)
        if not (twist.forward or twist.turn):
            self._phase = 0.0
            return action
        self._phase = (self._phase + self._step) % 1.0
        for stride, lift, phase, left in self._places:
            angle = 2.0 * math.pi * (self._phase + phase)
            # To the left: the right legs step further.
            share = min(1.0, max(-1.0, twist.forward - left * twist.turn))
            action[stride] = self._trot.amplitude * share * math.sin(angle)
            # In the air while it moves the way that the robot goes, be it back.
            action[lift] = self._trot.height * max(0.0, math.cos(angle))
        return action
