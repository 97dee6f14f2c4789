"""What is checked of every repeat, from what was sent and from what the emulated machine knows; none of it asks the guard's own filters."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from benchmarks.fault_matrix.outcome import Disturbed, WrongOutcome
from benchmarks.fault_matrix.rig import PERIOD_S, REST_RAD_S, Rig, Tick
from robot.dynamixel.units import POSITION_RAD
from robot.errors import RobotError
from safety import Cause, Mode
from safety.types import STOPPED

# How long a stopped robot is watched, ticks.
_WATCHED = 20
# A robot that is driven again has moved by so much within so many ticks, rad.
_DRIVEN_RAD, _DRIVEN_TICKS = 0.1, 35
# Emissions are whole pulses: each differs from the exact value by up to half of one.
_PULSE = POSITION_RAD * (1.0 + 1e-6)


def require(holds: bool, what: str) -> None:
    """Raise WrongOutcome unless something holds."""
    if not holds:
        raise WrongOutcome(what)


def stopped(tick: Tick) -> bool:
    """Tell whether the guard has stopped the robot in a tick."""
    return tick.mode in STOPPED or tick.mode is Mode.DISARMED


def require_limits(rig: Rig) -> None:
    """Compare every emission with box, velocity and acceleration of the configuration."""
    names = rig.robot.joint_names
    box, wide = rig.config.limits(names), rig.config.limits(names, routine=True)
    sent = [(tick, tick.emission_rad) for tick in rig.ticks if tick.emission_rad is not None]
    segment, before = -1, np.full(len(names), np.inf)
    for tick, emission in sent:
        limit = wide if tick.mode is Mode.SETTLE else box
        beyond = np.maximum(np.maximum(limit.position_min_rad - emission, emission - limit.position_max_rad), 0.0)
        # Armed outside, as at the rest pose, a joint may only come in.
        allowed = before if tick.segment == segment else np.full(len(names), np.inf)
        require(bool((beyond <= np.maximum(allowed, 0.0) + _PULSE).all()), "an emission outside of the box")
        segment, before = tick.segment, beyond
    velocities: list[tuple[int, np.ndarray]] = []
    for (first, before), (second, after) in itertools.pairwise(sent):
        if first.segment == second.segment:
            velocities.append((second.segment, (after - before) / PERIOD_S))
    top = box.velocity_max_rad_s + _PULSE / PERIOD_S
    require(all(bool((np.abs(velocity) <= top).all()) for _, velocity in velocities), "an emission faster than the limit")
    change = box.acceleration_max_rad_s2 * PERIOD_S + 2.0 * _PULSE / PERIOD_S
    for (segment, slow), (same, fast) in itertools.pairwise(velocities):
        require(segment != same or bool((np.abs(fast - slow) <= change).all()), "an emission that accelerates beyond the limit")


def safe_after(rig: Rig, at_s: float, expected: Cause) -> float:
    """Return how long after a time, s, the robot was stopped by the guard with emissions that did not change any more.

    Raises:
        WrongOutcome: If it was not, or for none of the expected causes.
        Disturbed: If a late tick of this loop came first.
    """
    last: np.ndarray | None = None
    safe_s: float | None = None
    for tick in reversed(rig.ticks):
        if tick.stamp_s < at_s or not stopped(tick):
            break
        if tick.emission_rad is not None:
            if last is not None and not np.array_equal(last, tick.emission_rad):
                break
            last = tick.emission_rad
        safe_s = tick.stamp_s - at_s
    if safe_s is None:
        raise WrongOutcome("the guard did not stop the robot")
    first = next(tick for tick in rig.ticks if tick.stamp_s >= at_s and stopped(tick))
    if not first.causes & expected:
        raise _stopped_by(first.causes)
    return safe_s


def require_going(rig: Rig, when: str) -> None:
    """Check that the robot was not stopped; raises WrongOutcome or, after a late tick of this loop, Disturbed."""
    if rig.guard.mode is not Mode.ACTIVE:
        raise _stopped_by(rig.guard.causes, when)


def _stopped_by(causes: Cause, when: str = "") -> Disturbed | WrongOutcome:
    return Disturbed("a tick of the loop was late") if causes == Cause.LATE else WrongOutcome(f"{when}stopped by {causes!r}")


def require_still(rig: Rig) -> None:
    """Watch a stopped robot: nothing that is sent changes, no goal in a motor changes, no joint moves at the end."""
    before = rig.truth()["goals"]
    first = len(rig.ticks)
    rig.run(_WATCHED)
    seen = rig.ticks[first:]
    require(all(stopped(tick) for tick in seen), f"it went on by itself, into {rig.guard.mode.name}")
    sent = [tick.emission_rad for tick in seen if tick.emission_rad is not None]
    require(all(np.array_equal(sent[0], emission) for emission in sent), "emissions changed while it was stopped")
    truth = rig.truth()
    require(truth["goals"] == before, "goals in the motors changed while it was stopped")
    # A motor that has lost its torque runs out by itself, unlike the others.
    rates = [rate for rate, on in zip(truth["joints_rad_s"], truth["torque"], strict=True) if on or not any(truth["torque"])]
    require(max(map(abs, rates)) < REST_RAD_S, "joints moved while it was stopped")


def require_refused(rig: Rig, ask: Callable[[], object], what: str) -> None:
    """Check that something which does not end the cause is refused, and moves nothing."""
    try:
        ask()
    except RobotError:
        return
    raise WrongOutcome(f"{what} was enough, in {rig.guard.mode.name}")


def require_drives(rig: Rig) -> None:
    """Engage after the right clear event, and check that the robot swings again."""
    try:
        rig.drive()
    except RobotError as error:
        raise WrongOutcome(f"it cannot be driven again: {error}") from error
    start = np.array(rig.truth()["joints_rad"])
    furthest = 0.0
    for _ in range(_DRIVEN_TICKS):
        rig.tick()
        if stopped(rig.ticks[-1]):
            if rig.ticks[-1].causes == Cause.LATE:
                raise Disturbed("a tick of the loop was late")
            raise WrongOutcome(f"after the right clear event it was stopped again by {rig.ticks[-1].causes!r}: {rig.ticks[-1].error}")
        if len(rig.ticks) % 5 == 0:
            furthest = max(furthest, float(np.abs(np.array(rig.truth()["joints_rad"]) - start).max()))
    require(furthest > _DRIVEN_RAD, f"driven again, it moved by {furthest:.3f} rad only")


def require_goes_on(rig: Rig, ticks: int) -> None:
    """Check that nothing stops the robot for some ticks, and that it follows its commands to their end."""
    first = len(rig.ticks)
    rig.run(ticks)
    seen = rig.ticks[first - 1 :]
    for tick in seen:
        if tick.mode is not Mode.ACTIVE or tick.error:
            if tick.causes == Cause.LATE:
                raise Disturbed("a tick of the loop was late")
            raise WrongOutcome(f"it was stopped: {tick.causes!r} {tick.error}")
    path = np.array([tick.emission_rad for tick in seen])
    require(float(np.abs(np.diff(path, axis=0)).sum(axis=0).max()) > _DRIVEN_RAD, "its targets stood still")


def wrong_measurement_rad(truth: dict[str, list[float]], position_rad: np.ndarray) -> float:
    """Return how far what was measured is from the truth of the same tick at most, rad."""
    return float(np.abs(np.array(truth["joints_rad"]) - position_rad).max())
