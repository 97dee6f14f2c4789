"""What keeps the fingers of a claw apart: pure functions of poses, and of how near each pair may come.

The law, with d the distance of a pair of fingers (`safety.fingers`) and m the margin: neither what is emitted, nor where that would end if
it were braked, is nearer than the smaller of m and the largest d since the robot was engaged. So fingers inside of the margin may part,
and may not come nearer. What is measured is held to half of m, but for the play of the gears. docs/safety.md derives what this means in
between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from robot.errors import UsageError
from robot.types import FloatArray
from safety.filters import FilterMemory
from safety.fingers import Fingers

# A fingertip 0.21 m from its side joint moves by this within the play of the gears, m (15 arcmin, e-manual): no approach.
PLAY_M = 0.001
# Of comparisons between targets, m: far above the rounding of sums of metres.
SLACK_M = 1e-6
# Share of the margin that is left to joints which overshoot their targets.
_MEASURED = 0.5


class Gaps(NamedTuple):
    """How near each of m pairs of fingers may come, shapes (m,), m.

    Attributes:
        target_m: As targets have it.
        measured_m: As measurements have it.
    """

    target_m: FloatArray
    measured_m: FloatArray


class Verdict(NamedTuple):
    """What is to be said of an emission, and of the measurement before it.

    Attributes:
        apart: It keeps fingers apart. Otherwise the robot brakes instead: its way to a stop was looked at.
        pushed: Fingers were measured too near to each other, whatever their targets are.
        gaps: For the next tick.
    """

    apart: bool
    pushed: bool
    gaps: Gaps


@dataclass(frozen=True, slots=True)
class Separation:
    """Fingers that are to be kept apart.

    Attributes:
        fingers: Of the robot.
        margin_m: Distance from which on they may move freely, m.
    """

    fingers: Fingers
    margin_m: float

    def begun(self, target_rad: FloatArray, measured_rad: FloatArray) -> Gaps:
        """Return what holds for a robot that begins with these targets and was measured there, shapes (n,), rad."""
        target, measured = self.fingers.distances(np.stack((target_rad, measured_rad)))
        return Gaps(np.minimum(self.margin_m, target), np.minimum(_MEASURED * self.margin_m, measured))

    def judge(self, emission: FilterMemory, braking_rad_s2: FloatArray, h: float, measured_rad: FloatArray | None, gaps: Gaps) -> Verdict:
        """Tell whether an emission, or what is measured, brings fingers too near to each other.

        Args:
            emission: The chain's memory after it.
            braking_rad_s2: Shape (n,).
            h: Length of a bus tick, s.
            measured_rad: Shape (n,), rad; None: only targets are looked at.
            gaps: Of the tick before.
        """
        place = emission.applied_rad
        end = place + stopping_way(emission.velocity_rad_s, braking_rad_s2, h)
        poses = (place, end) if measured_rad is None else (place, end, measured_rad)
        distances = self.fingers.distances(np.stack(poses))
        target = distances[:2].min(axis=0)
        measured = gaps.measured_m if measured_rad is None else distances[2]
        # A distance that is not a number is none.
        apart = bool((target >= gaps.target_m - SLACK_M).all())
        pushed = not (measured >= gaps.measured_m - PLAY_M).all()
        # Let what has parted not come back nearer.
        target_m = np.maximum(gaps.target_m, np.minimum(self.margin_m, target)) if apart else gaps.target_m
        measured_m = gaps.measured_m if pushed else np.maximum(gaps.measured_m, np.minimum(_MEASURED * self.margin_m, measured))
        return Verdict(apart, pushed, Gaps(target_m, measured_m))


def separation(margin_m: float | None, fingers: Fingers | None, joints: int) -> Separation | None:
    """Return what a guard of so many joints is to keep apart; None: nothing is watched.

    Raises:
        UsageError: If there is a margin and no fingers, or they have other joints.
    """
    if margin_m is None:
        return None
    if fingers is None:
        raise UsageError(
            f"guard.collision_margin_m {margin_m:g}: this robot's description has no fingers to keep apart: describe them, or set it "
            "to null"
        )
    if fingers.joints != joints:
        raise UsageError(
            f"guard.collision_margin_m {margin_m:g}: the fingers have {fingers.joints} joints, the robot {joints}: describe the fingers of "
            "this robot"
        )
    return Separation(fingers, margin_m)


def stopping_way(velocity_rad_s: FloatArray, braking_rad_s2: FloatArray, h: float) -> FloatArray:
    """Return how far joints still go that brake from the next tick on, rad: h sum over k >= 1 of max(0, u - k b h), with the sign of u."""
    change, speed = braking_rad_s2 * h, np.abs(velocity_rad_s)
    ticks = np.floor(speed / change)
    return np.copysign(h * ticks * (speed - 0.5 * change * (ticks + 1.0)), velocity_rad_s)
