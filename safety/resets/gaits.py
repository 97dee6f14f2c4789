"""Gaits of reset routines, as pure functions of time and command: a robot on legs turns around, or walks a short way.

A gait has one pattern to walk and one to turn, which are superposed; each repeats with its own period and grows with its command. No
command is no motion: the robot stands. In a pattern a leg is lifted while it goes to one end of its stride, and pushes on the way back.

All numbers were found by search in simulation; docs/safety.md says what they reach. None was tried on a robot of metal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot.types import FloatArray, frozen_array

_NOTHING = (0.0, 0.0, 0.0, 0.0)
# Front left, back left, front right, back right: the Minitaur's order (docs/robots.md).
_FIVE_BAR_LEFT = np.array((1.0, 1.0, -1.0, -1.0))
_FIVE_BAR_TROT = (0.0, math.pi, math.pi, 0.0)
_FIVE_BAR_BOUND = (0.0, math.pi, 0.0, math.pi)
# Front right, front left, back left, back right: the kitty's order (configs/robots/kitty.yaml).
_KITTY_TROT = (0.0, math.pi, 0.0, math.pi)


@dataclass(frozen=True, slots=True)
class Pattern:
    """What four legs do again and again. At a command of c, |c| at most 1, everything is c or |c| times as much as told here.

    Attributes:
        frequency_hz: Cycles per second.
        phase_rad: Of each leg. Shape (4,).
        stride_rad: Of each leg, to either end; pushes backwards where it is positive. Shape (4,).
        lift_rad: In the middle of the way back.
        aside_rad: To the left while the leg pushes, of each leg that can, to either end. Shape (4,).
        lead_rad: The lift comes earlier by so much of the cycle.
        rise_rad: All legs are longer by this.
        sway_rad: All legs swing back and forth together by this, which moves the body over its front and its back feet in turn.
        sway_lead_rad: Part of the cycle by which they do so earlier.
    """

    frequency_hz: float
    phase_rad: tuple[float, float, float, float]
    stride_rad: tuple[float, float, float, float]
    lift_rad: float
    aside_rad: tuple[float, float, float, float] = _NOTHING
    lead_rad: float = 0.0
    rise_rad: float = 0.0
    sway_rad: float = 0.0
    sway_lead_rad: float = 0.0

    def legs_rad(self, time_s: float, command: float) -> FloatArray:
        """Return how far each leg is swung back, lifted and swung to the left. Shape (3, 4), rad.

        Args:
            time_s: Since any beginning of a cycle, s.
            command: [-1, 1].
        """
        size, now_rad = abs(command), 2.0 * math.pi * self.frequency_hz * time_s
        angle = now_rad + np.array(self.phase_rad)
        wave = -command * np.sin(angle)
        swing = wave * self.stride_rad + size * self.sway_rad * math.sin(now_rad + self.sway_lead_rad)
        # Squared, so that the velocity has no jump where a foot leaves the ground.
        lift = size * (self.lift_rad * np.maximum(0.0, np.cos(angle + self.lead_rad)) ** 2 - self.rise_rad)
        return np.stack((swing, lift, wave * self.aside_rad))


@dataclass(frozen=True, slots=True)
class Gait:
    """Walks and turns one kind of robot.

    Attributes:
        walk: Forwards at a command of 1, backwards at -1.
        turn: To the left at a command of 1, to the right at -1.
        joints_rad: From swing, lift and swing to the left of each leg, shape (3, 4), rad, to what is added to the joints. Shape (n,), rad.
    """

    walk: Pattern
    turn: Pattern
    joints_rad: Callable[[FloatArray], FloatArray]

    def offsets_rad(self, time_s: float, forward: float, turn: float) -> FloatArray:
        """Return what is added to the standing pose. Shape (n,), rad.

        Args:
            time_s: Since the gait began, s.
            forward: [-1, 1].
            turn: [-1, 1]; |forward| + |turn| is at most 1.
        """
        return frozen_array(self.joints_rad(self.walk.legs_rad(time_s, forward) + self.turn.legs_rad(time_s, turn)))


def _five_bars(legs_rad: FloatArray) -> FloatArray:
    """Swing and lift by the two motors of each leg, which swings in one plane alone."""
    swing, extension = _FIVE_BAR_LEFT * legs_rad[0], -legs_rad[1]
    return np.column_stack((extension - swing, extension + swing)).ravel()


def _kitty_legs(legs_rad: FloatArray) -> FloatArray:
    """Swing by the hip; lift by folding the knee twice as far as the hip, so that the foot stays below it."""
    swing, lift, aside = legs_rad
    return np.column_stack((aside, swing + lift, -2.0 * lift)).ravel()


# The kitty steps around its centre: the sides stride against each other, front and back legs step to different sides.
KITTY_GAIT = Gait(
    walk=Pattern(2.5, _KITTY_TROT, (0.25, 0.25, 0.25, 0.25), 0.15),
    turn=Pattern(2.5, _KITTY_TROT, (0.12, -0.12, -0.12, 0.12), 0.15, aside_rad=(-0.1, -0.1, 0.1, 0.1)),
    joints_rad=_kitty_legs,
)
# Five-bars cannot step aside: in a trot at this pose diagonal feet stick and the Minitaur does not turn at all (measured). In a bound it
# turns about its front and its back feet alternately, while the other pair is light and slips.
MINITAUR_GAIT = Gait(
    walk=Pattern(2.0, _FIVE_BAR_TROT, (0.4, 0.4, 0.4, 0.4), 0.3),
    turn=Pattern(4.5, _FIVE_BAR_BOUND, (0.43, 0.43, -0.43, -0.43), 0.74, lead_rad=0.43, rise_rad=0.2),
    joints_rad=_five_bars,
)
# The servos are too slow for a bound of that kind: the sway brings the weight over one pair of feet.
SERVO_MINITAUR_GAIT = Gait(
    walk=Pattern(1.25, _FIVE_BAR_TROT, (0.4, 0.4, 0.4, 0.4), 0.2),
    turn=Pattern(0.85, _FIVE_BAR_BOUND, (0.36, 0.36, -0.36, -0.36), 0.26, lead_rad=-0.94, sway_rad=0.43, sway_lead_rad=1.38),
    joints_rad=_five_bars,
)
