"""What a log holds, in a few numbers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot.errors import LogError
from safety.types import INTERVENTIONS, Mode
from training.rollout_log import PART, Records, RolloutLog, place_of


@dataclass(frozen=True, slots=True)
class LogSummary:
    """One file.

    Attributes:
        file: Its name.
        collector: Who made it; None where its name does not say.
        episode: Its number; None where its name does not say.
        steps: Policy ticks.
        bus_ticks: Of the guard and the bus.
        seconds: Of robot time, at the bus.
        episode_return: Sum of rewards.
        measure: Mean of the task's headline figure over the steps; None without any.
        ended: terminated, truncated, or cut off.
        driven_share: Of bus ticks, driven by a policy.
        intervened_share: Of bus ticks in which the guard overrode a command.
        bytes: Size.
        state: whole, unfinished (its writer lives or was killed), or damaged.
    """

    file: str
    collector: int | None
    episode: int | None
    steps: int
    bus_ticks: int
    seconds: float
    episode_return: float
    measure: float | None
    ended: str
    driven_share: float
    intervened_share: float
    bytes: int
    state: str


def summarise(path: Path, log: RolloutLog) -> LogSummary:
    """Reduce a log to its figures."""
    place: tuple[int, int] | tuple[None, None] = (None, None)
    with contextlib.suppress(LogError):
        place = place_of(path)
    steps, bus = log.steps, log.bus
    empty = not len(steps)
    return LogSummary(
        file=path.name,
        collector=place[0],
        episode=place[1],
        steps=len(steps),
        bus_ticks=len(bus),
        seconds=float(bus["period_s"].sum()) if len(bus) else 0.0,
        episode_return=0.0 if empty else float(steps["reward"].sum()),
        measure=None if empty else float(steps["measure"].mean()),
        ended=end_of(steps),
        driven_share=float(np.mean(bus["mode"] == Mode.ACTIVE)) if len(bus) else 0.0,
        intervened_share=float(np.mean((bus["filter_mask"] & int(INTERVENTIONS)) != 0)) if len(bus) else 0.0,
        bytes=path.stat().st_size,
        state="unfinished" if path.suffix == PART else "whole" if log.intact else "damaged",
    )


def end_of(steps: Records) -> str:
    """Say how an episode ended: terminated, truncated, or cut off."""
    if not len(steps):
        return "cut off"
    last = steps[-1]
    return "terminated" if last["terminated"] else "truncated" if last["truncated"] else "cut off"
