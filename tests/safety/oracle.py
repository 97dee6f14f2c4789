"""The filter chain once more, slowly, joint by joint and tick by tick, from docs/safety.md and not from the code.

Where the chain has a formula, this looks ahead: a step is allowed if braking from it, one tick after the other, stays inside. Where the
chain solves, this searches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

CREEP = math.pi / 180.0


@dataclass
class Joint:
    """Limits and memory of one joint."""

    low: float
    high: float
    speed: float
    acceleration: float
    braking: float
    start: float
    p: float = field(init=False)
    v: float = 0.0
    wanted: float = field(init=False)

    def __post_init__(self) -> None:
        self.p = self.wanted = self.start


def _slower(v: float, change: float) -> float:
    return math.copysign(max(0.0, abs(v) - change), v)


def _stops_inside(p: float, u: float, joint: Joint, h: float) -> bool:
    """Step with velocity u, then brake: does it ever leave the box?"""
    while True:
        p += u * h
        if not joint.low - 1e-12 <= p <= joint.high + 1e-12:
            return False
        u = _slower(u, joint.braking * h)
        if u == 0.0:
            return True


def _largest(good: object, most: float) -> float:
    """Bisect the largest speed in [0, most] that is good; 0 is."""
    if good(most):
        return most
    low, high = 0.0, most
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if good(middle) else (low, middle)
    return low


def _covered(u: float, braking: float, h: float) -> float:
    """Distance of a step of u and of braking after it."""
    total = 0.0
    while u > 0.0:
        total += u * h
        u -= braking * h
    return total


def emission(joint: Joint, x: float, h: float, slack: float = 0.0) -> float:
    """Emit for one joint and remember; x is finite. `slack`: how far beyond its reach a command still counts as within, rad."""
    x = min(max(x, min(joint.low, joint.p)), max(joint.high, joint.p))
    slowest, fastest = _reach(joint, h)
    lowest, highest = joint.p + slowest * h, joint.p + fastest * h
    if not lowest - slack <= x <= highest + slack:
        own = (x - joint.wanted) / h
        lag = joint.wanted - joint.p
        room = _largest(lambda u: _covered(u, joint.braking, h) <= abs(lag) + 1e-15, max(abs(lag) / h, joint.braking * h))
        u = min(max(own + math.copysign(room, lag), slowest), fastest)
        e = joint.p + u * h
    else:
        e = x
    e = min(max(e, min(joint.low, joint.p)), max(joint.high, joint.p))
    joint.v, joint.p, joint.wanted = (e - joint.p) / h, e, x
    return e


def _reach(joint: Joint, h: float) -> tuple[float, float]:
    p, v = joint.p, joint.v
    stopping = _slower(v, joint.braking * h)
    if p < joint.low:
        return max(v - joint.acceleration * h, min(stopping, 0.0)), max(stopping, CREEP)
    if p > joint.high:
        return min(stopping, -CREEP), min(v + joint.acceleration * h, max(stopping, 0.0))
    up = _largest(lambda u: _stops_inside(p, u, joint, h), joint.speed)
    down = -_largest(lambda u: _stops_inside(p, -u, joint, h), joint.speed)
    fastest, slowest = min(up, v + joint.acceleration * h), max(down, v - joint.acceleration * h)
    return (slowest, fastest) if slowest <= fastest else (stopping, stopping)
