"""The parts of the page that are drawn anew at every look, as HTML: joints and figures."""

from __future__ import annotations

import math
from html import escape

import numpy as np

from fetlock.console.state import RobotView, State
from safety.limits import Limits

# A joint this near to a bound is marked: chosen, a third of what a leg's joint swings in a stride.
_NEAR_RAD = math.radians(5.0)


def joints_html(state: State) -> str:
    """Return a row for each joint: name, bar from its lowest to its highest position, position, temperature."""
    robot = state.robot
    if robot is None:
        return '<p class="empty">No joints are seen.</p>'
    rows = "".join(_joint(robot, index, state.limits, state.hot_c) for index in range(len(robot.joint_names)))
    return f'<div class="joints" style="--rows:{len(robot.joint_names)}">{rows}</div>'


def _joint(robot: RobotView, index: int, limits: Limits | None, hot_c: tuple[float, float] | None) -> str:
    position = float(robot.position_rad[index])
    bar, near = "", False
    if limits is not None:
        low, high = float(limits.position_min_rad[index]), float(limits.position_max_rad[index])
        at, goal = ((value - low) / (high - low) for value in (position, float(robot.target_rad[index])))
        near = not low + _NEAR_RAD <= position <= high - _NEAR_RAD
        bar = f'<b style="left:{_percent(goal)}" class="goal"></b><b style="left:{_percent(at)}" class="at{" near" if near else ""}"></b>'
    # No "-0".
    degrees = f"{round(math.degrees(position)):+d}°" if math.isfinite(position) else "–"
    said = f"{'near limit ' if near else ''}{degrees}"
    name = f'<span class="name">{escape(robot.joint_names[index])}</span>'
    return f'<div class="joint">{name}<span class="bar">{bar}</span><span class="value">{said}</span>{_heat(robot, index, hot_c)}</div>'


def _percent(share: float) -> str:
    return f"{100.0 * min(1.0, max(0.0, share if math.isfinite(share) else 0.5)):.1f}%"


def _heat(robot: RobotView, index: int, hot_c: tuple[float, float] | None) -> str:
    if robot.temperature_c is None:
        return '<span class="heat">–</span>'
    heat_c = float(robot.temperature_c[index])
    if not math.isfinite(heat_c):
        return '<span class="heat">–</span>'
    if hot_c is not None and heat_c >= hot_c[0]:
        return f'<span class="heat hot">{heat_c:.0f} °C hot</span>'
    return f'<span class="heat">{heat_c:.0f} °C</span>'


def figures_html(state: State) -> str:
    """Return the strip of figures: loop, guard, motors, run."""
    run = (("", "no run is watched"),) if state.run is None else state.run.facts
    cards = (
        _card("Loop", _loop(state)),
        _card("Guard steps in", _guard(state.robot)),
        _card("Motors", _motors(state)),
        _card("Run", run, wide=True),
    )
    return f'<div class="figures">{"".join(cards)}</div>'


def _card(title: str, facts: tuple[tuple[str, str], ...], *, wide: bool = False) -> str:
    lines = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    return f'<section class="card{" wide" if wide else ""}"><h2>{escape(title)}</h2><dl>{lines}</dl></section>'


def _loop(state: State) -> tuple[tuple[str, str], ...]:
    loop = state.loop
    if loop is None:
        return (("pace", "–" if state.robot is None else "not in real time"),)
    p50, p99, most = loop.lateness_ms
    return (
        ("bus", f"{1.0 / loop.period_s:.0f} Hz"),
        ("late, median", f"{p50:.2f} ms"),
        ("late, 99%", f"{p99:.2f} ms"),
        ("late, most", f"{most:.2f} ms"),
        ("missed ticks", str(loop.missed)),
    )


def _guard(robot: RobotView | None) -> tuple[tuple[str, str], ...]:
    if robot is None:
        return (("ticks", "–"),)
    stages = sorted(((name, share) for name, share in robot.interventions.items() if name), key=lambda one: -one[1])
    shown = tuple((name, f"{share:.0%}") for name, share in stages[:3])
    return ((f"last {robot.window_s:.0f} s", f"{robot.interventions['']:.0%} of ticks"), *shown)


def _motors(state: State) -> tuple[tuple[str, str], ...]:
    robot = state.robot
    if robot is None:
        return (("hottest", "–"),)
    facts = []
    if robot.temperature_c is not None and np.isfinite(robot.temperature_c).any():
        facts.append(("hottest", f"{np.nanmax(robot.temperature_c):.0f} °C"))
    if state.hot_c is not None:
        facts.extend((("slowed from", f"{state.hot_c[0]:.0f} °C"), ("settle at", f"{state.hot_c[1]:.0f} °C")))
    if robot.voltage_v is not None:
        facts.append(("supply", f"{robot.voltage_v:.1f} V"))
    return tuple(facts) or (("readings", "none"),)
