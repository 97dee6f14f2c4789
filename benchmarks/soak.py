"""`./run bench soak`: millions of random and adversarial actions through the guard of every robot, and what came out of it.

Judged are the targets that the robot was sent: inside of the box, within velocity and acceleration (and the pulses that they are rounded
to), the claw's fingers apart. Between the attacks slow commands must come through, or a frozen guard would pass. Measured joints are those
of a second-order plant and are reported apart: no guard can promise them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from pydantic import JsonValue

from benchmarks.attacks import SOURCES
from benchmarks.guarded_plant import RAMP, ROBOTS, H, make_guard
from benchmarks.report import Report
from fetlock.guarding import fingers_of
from robot.clock import monotonic_s
from robot.description import load_description
from robot.dynamixel.units import POSITION_RAD
from robot.errors import UsageError
from robot.types import Command, FloatArray, frozen_array
from safety import Mode, Reason
from safety.limits import Limits

_CHUNK = 10_000
# Bus ticks that one source of actions drives, and then those of slow commands that must come through.
_BURST, _SETTLE, _PROBE = 4000, 100, 20
# Far above the rounding of sums, far below a pulse.
_SLACK = 1e-6
# Half a pulse of every joint of two of the claw's fingers, whose levers are 0.21, 0.14 and 0.07 m, and where the plant stood when it was
# engaged.
_ROUNDED_M = 0.001


@dataclass
class Tally:
    """What one robot's run counted. Worst values are shares of the limits: 1 is the limit itself."""

    actions: int = 0
    position: int = 0
    velocity: int = 0
    acceleration: int = 0
    not_finite: int = 0
    nearer: int = 0
    probes: int = 0
    probes_lost: int = 0
    blocked: int = 0
    holds: int = 0
    changed: int = 0
    worst_velocity: float = 0.0
    worst_acceleration: float = 0.0
    measured_velocity: float = 0.0
    measured_outside_rad: float = 0.0
    moved_rad: float = 0.0

    @property
    def violations(self) -> int:
        """Of all kinds."""
        return self.position + self.velocity + self.acceleration + self.not_finite + self.nearer + self.probes_lost


def main(argv: Sequence[str]) -> Report:
    """Run every robot; 10^6 actions of one take about three minutes."""
    parser = argparse.ArgumentParser(prog="bench soak", description=__doc__)
    parser.add_argument("--actions", type=float, default=1e7, help="of each robot (1e7)")
    parser.add_argument("--robots", nargs="+", default=list(ROBOTS), choices=ROBOTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    options = parser.parse_args(list(argv))
    if not 1 <= options.actions <= 1e10:
        raise UsageError(f"--actions {options.actions:g}: give 1 to 1e10")
    start_s = monotonic_s()
    # Halves of a robot's actions are runs of their own, each of its own seed: two cores share the work evenly.
    parts = [(robot, options.seed * 1000 + part) for robot in options.robots for part in range(2)]
    with ProcessPoolExecutor(options.workers) as pool:
        tallies = list(pool.map(partial(_soak, actions=int(options.actions) // 2), *zip(*parts, strict=True)))
    details: dict[str, JsonValue] = {}
    wrong = 0
    for robot in options.robots:
        rows = [tally for (name, _), tally in zip(parts, tallies, strict=True) if name == robot]
        details[robot] = _row(rows)
        wrong += sum(tally.violations for tally in rows)
        print(f"{robot}: {details[robot]}", flush=True)
    details["seconds"] = round(monotonic_s() - start_s, 1)
    return Report("soak", float(wrong), None, 0.0, "violations", [options.seed], details)


def _row(parts: list[Tally]) -> dict[str, JsonValue]:
    def total(name: str) -> int:
        return sum(getattr(part, name) for part in parts)

    actions = total("actions")
    counts: dict[str, JsonValue] = {
        name: total(name)
        for name in (
            "actions",
            "position",
            "velocity",
            "acceleration",
            "not_finite",
            "nearer",
            "probes",
            "probes_lost",
            "blocked",
            "holds",
            "changed",
        )
    }

    def most(name: str) -> float:
        return round(max(float(getattr(part, name)) for part in parts), 6)

    return {
        **counts,
        # Rule of three: no event in n trials bounds its probability by 3 / n at 95%.
        "bound at 95%": 3.0 / actions if not sum(part.violations for part in parts) else None,
        "largest velocity over its limit": most("worst_velocity"),
        "largest acceleration over its limit": most("worst_acceleration"),
        "largest measured velocity over the limit": most("measured_velocity"),
        "measured outside of the box, rad": most("measured_outside_rad"),
        "way of the targets, rad": round(sum(part.moved_rad for part in parts)),
    }


class Run:
    """One robot under attack, and the judgement of what it was sent."""

    def __init__(self, robot: str, seed: int) -> None:
        self.tally = Tally()
        self._guard, self._plant, self._limits = make_guard(robot)
        self._fingers = None if robot == "minitaur" else fingers_of(load_description(robot))
        self._least_m = (self._guard.config.collision_margin_m or 0.0) - _ROUNDED_M
        self._rng = np.random.default_rng(seed)
        self._pulse = POSITION_RAD if robot != "minitaur" else 0.0
        self._middle = 0.5 * (self._limits.position_min_rad + self._limits.position_max_rad)
        self._sent: list[FloatArray] = []
        self._newest = Reason.NONE
        self._begin()

    def burst(self) -> None:
        """Attack from one source, then see whether slow commands come through."""
        source = SOURCES[int(self._rng.integers(len(SOURCES)))]
        every = int(self._rng.choice((1, 1, 1, 2, 4)))
        command = self._middle
        for tick in range(_BURST):
            if tick % every == 0:
                self.tally.actions += 1
                command = source(self._rng, self._limits, self._plant.position)
            self._tick(command)
            if self._guard.mode is not Mode.ACTIVE:
                self._leave_hold()
                break
        self._probe()
        if len(self._sent) >= _CHUNK:
            self.judge()

    def judge(self) -> None:
        """Count what broke a limit since the last time, and go on from the last two targets."""
        _judge(np.array(self._sent), self._limits, self._pulse, self.tally)
        if self._fingers is not None:
            gaps = self._fingers.distances(np.array(self._sent[2:]).reshape(-1, len(self._middle)))
            self.tally.nearer += int((gaps < self._least_m).sum())
        self._sent = self._sent[-2:]

    def _begin(self) -> None:
        """Let a policy drive from the measured pose; that this is no step of the targets is the guard's promise."""
        self._guard.engage()
        self._sent = [self._plant.position] * 2

    def _leave_hold(self) -> None:
        self.tally.holds += 1
        for _ in range(_SETTLE):
            self._tick(self._middle)
        self.judge()
        self._begin()

    def _probe(self) -> None:
        for _ in range(_SETTLE):
            self._tick(self._middle)
        if self._guard.mode is not Mode.ACTIVE:
            # Fingers were in each other's way.
            self._leave_hold()
            self._probe()
            return
        if Reason.APART in self._newest:
            # The straight way to the middle would bring fingers nearer to each other: the claw waits for another command.
            self.tally.blocked += 1
            return
        reach = 0.02 * (self._limits.position_max_rad - self._limits.position_min_rad)
        for tick in range(_PROBE):
            # Commands as slow as these reach the robot one straight line later.
            wanted = self._middle + reach * np.sin(2.0 * np.pi * tick / _PROBE)
            self.tally.probes += 1
            for _ in range(RAMP):
                emission = self._tick(wanted)
            self.tally.probes_lost += bool(np.abs(emission - wanted).max() > self._pulse + _SLACK)

    def _tick(self, target: FloatArray) -> FloatArray:
        applied = self._guard.write(Command(frozen_array(target)))
        self._sent.append(applied.position_rad)
        self._newest = applied.reasons
        self.tally.changed += bool(applied.reasons & ~Reason.INTERPOLATED)
        plant, tally, limits = self._plant, self.tally, self._limits
        plant.wait()
        self._guard.read()
        outside = np.maximum(plant.position - limits.position_max_rad, limits.position_min_rad - plant.position).max()
        tally.measured_outside_rad = max(tally.measured_outside_rad, float(outside))
        tally.measured_velocity = max(tally.measured_velocity, float((np.abs(plant.velocity) / limits.velocity_max_rad_s).max()))
        return applied.position_rad


def _soak(robot: str, seed: int, actions: int) -> Tally:
    """Drive one guard until it was given so many actions."""
    run = Run(robot, seed)
    while run.tally.actions < actions:
        run.burst()
    run.judge()
    return run.tally


def _judge(sent: FloatArray, limits: Limits, pulse: float, tally: Tally) -> None:
    """Count what broke a limit; the first two rows were judged before."""
    tally.not_finite += int((~np.isfinite(sent[2:])).sum())
    inside = (sent >= limits.position_min_rad) & (sent <= limits.position_max_rad)
    tally.position += int((~inside[2:]).sum())
    velocity = np.diff(sent, axis=0) / H
    top = limits.velocity_max_rad_s + (pulse + _SLACK) / H
    change = np.abs(np.diff(velocity, axis=0))
    most = limits.acceleration_max_rad_s2 * H + 2.0 * (pulse + _SLACK) / H
    tally.velocity += int((np.abs(velocity[1:]) > top).sum())
    tally.acceleration += int((change > most).sum())
    tally.worst_velocity = max(tally.worst_velocity, float((np.abs(velocity) / top).max()))
    tally.worst_acceleration = max(tally.worst_acceleration, float((change / most).max(initial=0.0)))
    tally.moved_rad += float(np.abs(np.diff(sent, axis=0)).sum())
