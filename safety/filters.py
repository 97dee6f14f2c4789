"""The filter chain: pure functions of command, memory, limits and tick length, composed in one visible place, `CHAIN`.

The laws, with p the previous emission, v its velocity, x the command, h the length of a bus tick:

- A speed u at distance d before a bound can be stopped in time iff u <= `stopping_speed(d)`: the exact form, in ticks, of sqrt(2 a d).
- Rates refer to the previous *applied* target, never to the measured position (ros2_control#2183 throttled robots that way).
- Every emission can be followed by braking alone, inside of all limits: whatever comes next, the robot can stop.

docs/safety.md derives them; libfranka's limits are the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from robot.errors import UsageError
from robot.types import FloatArray
from safety.limits import Limits
from safety.types import Reason

# A joint outside of its limits goes back at no more than 1 degree a second.
CREEP_RAD_S = math.radians(1.0)
# Slack of comparisons, rad: far below a pulse (0.0015), far above the rounding of sums of radians.
_SLACK_RAD = 1e-9
# Shares of the way from braking to what was asked for that are tried where coupled joints come too close.
_SHARES = np.linspace(1.0, 0.0, 17)
# Longest stop that is looked ahead, ticks: limits in which one takes longer are refused.
STOP_TICKS_MAX = 500


class FilterMemory(NamedTuple):
    """What the chain remembers from tick to tick. Arrays have shape (n,).

    Attributes:
        applied_rad: The previous emission, before its rounding to pulses: the reference of the rate limit.
        velocity_rad_s: Its velocity.
        goal_rad: The newest command that was accepted.
        ramp_rad: Where the straight line to `goal_rad` began.
        ramp_tick: Ticks since then.
        smoothed_rad: State of the low-pass.
        wanted_rad: What the rate limit was given last.
        derating: Share of the speed that heat and current leave, 0 to 1.
    """

    applied_rad: FloatArray
    velocity_rad_s: FloatArray
    goal_rad: FloatArray
    ramp_rad: FloatArray
    ramp_tick: int
    smoothed_rad: FloatArray
    wanted_rad: FloatArray
    derating: FloatArray


def seeded(position_rad: FloatArray) -> FilterMemory:
    """Return the memory of a robot that stands at `position_rad`, shape (n,)."""
    still = np.zeros_like(position_rad)
    return FilterMemory(position_rad, still, position_rad, position_rad, 0, position_rad, position_rad, np.ones_like(position_rad))


Step = tuple[FloatArray, FilterMemory, Reason]
Stage = Callable[[FloatArray, FilterMemory, Limits, float], Step]


def stopping_speed(distance_rad: FloatArray, braking_rad_s2: FloatArray, h: float) -> FloatArray:
    """Return the largest speed, rad/s, of a step that begins `distance_rad` before a bound and leaves room to brake.

    In units of braking h^2, a step of u followed by u - 1, u - 2, ... covers (n + 1) u - n (n + 1) / 2 with n = floor(u); this is its
    inverse. It is below sqrt(2 a d) and tends to it for short ticks.
    """
    room = np.maximum(distance_rad, 0.0) / (braking_rad_s2 * (h * h))
    ticks = np.floor((np.sqrt(1.0 + 8.0 * room) - 1.0) * 0.5)
    return (room + ticks * (ticks + 1.0) * 0.5) / (ticks + 1.0) * (braking_rad_s2 * h)


def braked(velocity_rad_s: FloatArray, limits: Limits, h: float) -> FloatArray:
    """Return the velocity one tick of braking later."""
    change = limits.braking_rad_s2 * h
    return velocity_rad_s - np.minimum(np.maximum(velocity_rad_s, -change), change)


def accept(command_rad: FloatArray, memory: FilterMemory, limits: Limits, h: float) -> Step:
    """Reject a command whole if an element is not finite: the newest good one stays. Bring one outside of the box to its edge.

    What smoothing remembers is therefore always inside: nothing winds up, and no sum overflows.
    """
    if not np.isfinite(command_rad).all():
        return memory.goal_rad, memory, Reason.NOT_FINITE
    boxed = _boxed(command_rad, memory, limits)
    return boxed, memory, Reason.NONE if np.array_equal(boxed, command_rad) else Reason.BOX


def _boxed(command_rad: FloatArray, memory: FilterMemory, limits: Limits) -> FloatArray:
    """Bring a command into the box; a joint that stands outside may be where it is, or further in."""
    lowest = np.minimum(limits.position_min_rad, memory.applied_rad)
    highest = np.maximum(limits.position_max_rad, memory.applied_rad)
    return np.minimum(np.maximum(command_rad, lowest), highest)


def interpolate(goal_rad: FloatArray, memory: FilterMemory, ticks: int) -> Step:
    """Go straight from the command before to the newest one, in as many bus ticks as a policy tick has; soft."""
    if np.array_equal(goal_rad, memory.goal_rad):
        tick, start = min(memory.ramp_tick + 1, ticks), memory.ramp_rad
    else:
        # From where the line before had come to.
        tick, start = 1, _on_ramp(memory, ticks)
    memory = memory._replace(goal_rad=goal_rad, ramp_rad=start, ramp_tick=tick)
    if tick == ticks:
        return goal_rad, memory, Reason.NONE
    return _on_ramp(memory, ticks), memory, Reason.INTERPOLATED


def _on_ramp(memory: FilterMemory, ticks: int) -> FloatArray:
    share = memory.ramp_tick / ticks
    return memory.goal_rad if share >= 1.0 else memory.ramp_rad + share * (memory.goal_rad - memory.ramp_rad)


def low_pass(command_rad: FloatArray, memory: FilterMemory, limits: Limits, h: float) -> Step:
    """First-order low-pass, the last smoothing stage, soft: s <- s + (1 - exp(-2 pi f h)) (x - s)."""
    if math.isinf(limits.low_pass_hz):
        return command_rad, memory, Reason.NONE
    weight = -math.expm1(-2.0 * math.pi * limits.low_pass_hz * h)
    smoothed = memory.smoothed_rad + weight * (command_rad - memory.smoothed_rad)
    return smoothed, memory._replace(smoothed_rad=smoothed), Reason.LOW_PASS


def derate(command_rad: FloatArray, memory: FilterMemory, limits: Limits, h: float) -> Step:
    """Slow joints down that are hot or overloaded: to a share of their speed, braking to it."""
    if memory.derating.min() >= 1.0:
        return command_rad, memory, Reason.NONE
    fastest = np.maximum(memory.derating * limits.velocity_max_rad_s, np.abs(braked(memory.velocity_rad_s, limits, h)))
    step = fastest * h
    slowed = np.minimum(np.maximum(command_rad, memory.applied_rad - step), memory.applied_rad + step)
    return slowed, memory, Reason.NONE if np.array_equal(slowed, command_rad) else Reason.DERATED


def limit_rate(command_rad: FloatArray, memory: FilterMemory, limits: Limits, h: float) -> Step:
    """Bound velocity and acceleration, hard, and leave room to brake before the position's bounds.

    A command within reach passes as it is. One out of reach is approached as fast as the limits allow and without running past it: at the
    command's own speed, and at what can be stopped in the distance by which the emission lags behind.
    """
    p, v = memory.applied_rad, memory.velocity_rad_s
    slowest, fastest = _reach(p, v, limits, h)
    lowest, highest = p + slowest * h, p + fastest * h
    within = (command_rad >= lowest) & (command_rad <= highest)
    memory_next = memory._replace(wanted_rad=command_rad)
    if within.all():
        return command_rad, memory_next, Reason.NONE
    lag = memory.wanted_rad - p
    wanted = (command_rad - memory.wanted_rad) / h + np.copysign(stopping_speed(np.abs(lag), limits.braking_rad_s2, h), lag)
    limited = p + np.minimum(np.maximum(wanted, slowest), fastest) * h
    return np.where(within, command_rad, limited), memory_next, Reason.RATE


def _reach(p: FloatArray, v: FloatArray, limits: Limits, h: float) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest velocity of the next step, rad/s. Braking is always among them."""
    top, brake, change = limits.velocity_max_rad_s, limits.braking_rad_s2, limits.acceleration_max_rad_s2 * h
    above, below = p - limits.position_min_rad, limits.position_max_rad - p
    fastest = np.minimum(np.minimum(stopping_speed(below, brake, h), top), v + change)
    slowest = np.maximum(np.maximum(-stopping_speed(above, brake, h), -top), v - change)
    stopping = braked(v, limits, h)
    # Only rounding, or limits that have changed since, can leave nothing between the two: then the joint brakes.
    empty = slowest > fastest
    if empty.any():
        fastest, slowest = np.where(empty, stopping, fastest), np.where(empty, stopping, slowest)
    # Outside: inwards only, because there is no room to brake, and slowly.
    low, high = above < 0.0, below < 0.0
    if (low | high).any():
        fastest = np.where(low, np.minimum(np.maximum(stopping, CREEP_RAD_S), np.maximum(fastest, CREEP_RAD_S)), fastest)
        slowest = np.where(high, np.maximum(np.minimum(stopping, -CREEP_RAD_S), np.minimum(slowest, -CREEP_RAD_S)), slowest)
    return slowest, fastest


def keep_apart(command_rad: FloatArray, memory: FilterMemory, limits: Limits, h: float) -> Step:
    """Keep weighted sums of two joints within their bounds, hard: now, and while braking afterwards.

    Where what was asked for breaks one, its two joints go only part of the way between braking and that; where even this breaks another
    one, all joints brake.
    """
    if not len(limits.coupled_weights):
        return command_rad, memory, Reason.NONE
    if _allowed(command_rad[None, :], memory, limits, h).all():
        return command_rad, memory, Reason.NONE
    stop = memory.applied_rad + braked(memory.velocity_rad_s, limits, h) * h
    emission = command_rad
    for pair, weights in enumerate(limits.coupled_weights):
        if _allowed(emission[None, :], memory, limits, h)[0, pair]:
            continue
        ways = np.where(weights != 0.0, stop + _SHARES[:, None] * (command_rad - stop), emission)
        good = _allowed(ways, memory, limits, h)[:, pair]
        # If none is, the first, and all joints brake.
        emission = ways[int(good.argmax())]
    if not _allowed(emission[None, :], memory, limits, h).all():
        emission = stop
    return emission, memory, Reason.COUPLED


def _allowed(ways: FloatArray, memory: FilterMemory, limits: Limits, h: float) -> FloatArray:
    """Tell which of k emissions, shape (k, n), keep which of m pairs within its bounds until the robot stands; shape (k, m), bool."""
    weights = limits.coupled_weights
    now = memory.applied_rad @ weights.T
    # Where a pair is out of bounds already, it may only come back.
    low, high = np.minimum(limits.coupled_min_rad, now) - _SLACK_RAD, np.maximum(limits.coupled_max_rad, now) + _SLACK_RAD
    place, velocity = ways, (ways - memory.applied_rad) / h
    allowed = np.ones((len(ways), len(weights)), dtype=bool)
    for _ in range(STOP_TICKS_MAX):
        sums = place @ weights.T
        allowed &= (sums >= low) & (sums <= high)
        velocity = braked(velocity, limits, h)
        if not velocity.any():
            break
        place = place + velocity * h
    return allowed


def limit_position(command_rad: FloatArray, memory: FilterMemory, limits: Limits, h: float) -> Step:
    """Keep every joint in its box, hard; it wins over the rate. A joint that stands outside may not go further out."""
    boxed = _boxed(command_rad, memory, limits)
    reasons = Reason.NONE if (np.abs(boxed - command_rad) <= _SLACK_RAD).all() else Reason.BOX
    velocity = (boxed - memory.applied_rad) / h
    return boxed, memory._replace(applied_rad=boxed, velocity_rad_s=velocity), reasons


def quantise(command_rad: FloatArray, memory: FilterMemory, limits: Limits, h: float) -> Step:
    """Round to what the motors' registers can hold, inwards at a bound; the memory keeps the exact value, so that slow motions go on."""
    if limits.pulse_rad is None:
        return command_rad, memory, Reason.NONE
    pulse = limits.pulse_rad
    nearest = np.rint(command_rad / pulse)
    inside = np.minimum(np.maximum(nearest, np.ceil(limits.position_min_rad / pulse)), np.floor(limits.position_max_rad / pulse))
    standing = (command_rad < limits.position_min_rad) | (command_rad > limits.position_max_rad)
    counts = np.where(standing, nearest, inside)
    return counts * pulse, memory, Reason.NONE if np.array_equal(counts, nearest) else Reason.QUANTISED


# In this order, after `accept` and `interpolate`. The position is the last word of the geometry: it wins
# over the rate, whose own look ahead leaves it nothing to do but where a joint stands outside.
CHAIN: tuple[Stage, ...] = (low_pass, derate, limit_rate, keep_apart, limit_position, quantise)


def filter_command(command_rad: FloatArray, memory: FilterMemory, limits: Limits, h: float, ramp_ticks: int = 1) -> Step:
    """Run the chain over one command.

    Args:
        command_rad: Shape (n,), rad. A single element that is not finite rejects the whole vector: the newest good one stays.
        memory: Of the tick before.
        limits: Of the robot.
        h: Nominal length of a bus tick, s.
        ramp_ticks: Bus ticks from one command to the next; 1: commands are not interpolated.

    Returns:
        The emission of shape (n,), the memory for the next tick and the stages that changed the command.
    """
    command_rad, memory, reasons = accept(command_rad, memory, limits, h)
    command_rad, memory, reason = interpolate(command_rad, memory, ramp_ticks)
    reasons |= reason
    for stage in CHAIN:
        command_rad, memory, reason = stage(command_rad, memory, limits, h)
        # A union of flags costs a microsecond.
        if reason is not Reason.NONE:
            reasons |= reason
    return command_rad, memory, reasons


def brake(memory: FilterMemory, limits: Limits, h: float) -> Step:
    """Return the emission of a tick of braking: whatever was emitted before, it stays inside of all limits."""
    emission = memory.applied_rad + braked(memory.velocity_rad_s, limits, h) * h
    boxed, memory, reasons = limit_position(emission, memory, limits, h)
    memory = memory._replace(goal_rad=boxed, ramp_rad=boxed, ramp_tick=0, smoothed_rad=boxed, wanted_rad=boxed)
    sent, memory, reason = quantise(boxed, memory, limits, h)
    return sent, memory, reasons | reason


def require_short_stops(limits: Limits, joint_names: Sequence[str], h: float) -> None:
    """Refuse limits in which braking takes longer than the chain looks ahead.

    Args:
        limits: Of the robot.
        joint_names: Of the robot.
        h: Length of a bus tick, s.

    Raises:
        UsageError: With the joint that takes longest.
    """
    ticks = limits.velocity_max_rad_s / (limits.braking_rad_s2 * h)
    worst = int(ticks.argmax())
    if ticks[worst] > STOP_TICKS_MAX:
        raise UsageError(
            f"{joint_names[worst]} would brake from velocity_max_rad_s {limits.velocity_max_rad_s[worst]:g} for "
            f"{ticks[worst] * h:.1f} s: raise braking_rad_s2 or lower the velocity (at most {STOP_TICKS_MAX} ticks)"
        )
