"""The filter chain: pure functions `(target, memory, limits) -> (target, reasons)`, composed in one visible place, `filter_target`.

The rate limit refers to the previous *applied* target, never to the measured position (ros2_control#2183 throttled robots that way).
"""

from __future__ import annotations

import numpy as np

from robot.types import FloatArray
from safety.limits import Limits
from safety.types import FilterMemory, Reason


def low_pass(target_rad: FloatArray, memory: FilterMemory, limits: Limits) -> tuple[FloatArray, Reason]:
    """First-order low-pass, soft: s <- s + (1 - exp(-2 pi f h)) (x - s)."""
    if limits.smoothing >= 1.0:
        return target_rad, Reason.NONE
    return memory.smoothed_rad + limits.smoothing * (target_rad - memory.smoothed_rad), Reason.LOW_PASS


def limit_rate(target_rad: FloatArray, memory: FilterMemory, limits: Limits) -> tuple[FloatArray, Reason]:
    """Bound the change since the previous emission, hard."""
    lowest, highest = memory.applied_rad - limits.step_max_rad, memory.applied_rad + limits.step_max_rad
    limited = np.minimum(np.maximum(target_rad, lowest), highest)
    if (limited == target_rad).all():
        return target_rad, Reason.NONE
    return limited, Reason.RATE


def limit_position(target_rad: FloatArray, limits: Limits) -> tuple[FloatArray, Reason]:
    """Keep every joint in its box, hard; the last geometric stage, so it wins over the rate."""
    boxed = np.minimum(np.maximum(target_rad, limits.position_min_rad), limits.position_max_rad)
    if (boxed == target_rad).all():
        return target_rad, Reason.NONE
    return boxed, Reason.BOX


def filter_target(target_rad: FloatArray, memory: FilterMemory, limits: Limits) -> tuple[FloatArray, FilterMemory, Reason]:
    """Run the chain over one target.

    Args:
        target_rad: Shape (n,), rad. A single element that is not finite rejects the whole vector: the previous emission is repeated.
        memory: Of the previous tick.
        limits: Of the robot at its bus period.

    Returns:
        The emission of shape (n,), the memory for the next tick and the stages that changed the target.
    """
    if not np.isfinite(target_rad).all():
        return memory.applied_rad, memory, Reason.NOT_FINITE
    smoothed, soft = low_pass(target_rad, memory, limits)
    rated, rate = limit_rate(smoothed, memory, limits)
    emission, box = limit_position(rated, limits)
    return emission, FilterMemory(emission, smoothed), soft | rate | box
