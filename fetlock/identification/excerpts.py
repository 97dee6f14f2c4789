"""Cuts logs into excerpts that a simulation can begin at: where everything was, what was sent, where the joints then went."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fetlock.replays.gap import MOVES_RAD
from robot.errors import LogError
from robot.types import BodyMotion, FloatArray, frozen_array
from safety.tick_records import Has
from safety.types import MOVING, Mode, Note
from training.rollout_log import Records, RolloutLog

# Length of an excerpt and of its beginning that is simulated and not compared, s: there the error of the recorded state dies out, which a
# servo of the kitty forgets with a time constant of 27 ms (back-EMF over stiffness).
LENGTH_S, SETTLING_S = 0.5, 0.1
# Goals may arrive this late, s: what `fetlock replay` looks for, too.
LATENCY_MAX_S = 0.1
# A tick that comes later than this share of a period was missed, or the machine stood still: nothing is simulated across it.
_LATE = 0.5
# Modes in which what is sent is what the motors follow.
_FOLLOWED = (*MOVING, Mode.ARMED_HOLD)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a log; times count from its first measurement.

    Attributes:
        goal_s: When each goal was sent, shape (g,), s; the first ones before the beginning.
        goal_rad: Joint goals, one array of shape (n,) each, rad.
        measured_s: When joints were measured, shape (m,), s, from 0 on.
        measured_rad: Shape (m, n), rad; NaN where a motor was silent.
        compared: Number of the first measurement that is compared.
        moving: Whether each joint moves by more than ten counts of an encoder while it is compared, shape (n,): where it does not, what
            the encoder rounds away is no noise, and a joint that sticks may stand anywhere that friction allows.
        velocity_rad_s: At the beginning, shape (n,), rad/s.
        base: At the beginning; None if nobody saw it.
    """

    goal_s: FloatArray
    goal_rad: tuple[FloatArray, ...]
    measured_s: FloatArray
    measured_rad: NDArray[np.float64]
    compared: int
    moving: NDArray[np.bool_]
    velocity_rad_s: FloatArray
    base: BodyMotion | None


@dataclass(frozen=True, slots=True)
class Recording:
    """What a log offers.

    Attributes:
        excerpts: In order of time; in each, something moves.
        sensing_latency_s: Age of what was measured when it was read, s.
        voltage_v: Median of the supply; None if nobody measured it.
    """

    excerpts: tuple[Excerpt, ...]
    sensing_latency_s: float
    voltage_v: float | None


def excerpts_of(path: Path, log: RolloutLog) -> Recording:
    """Cut a log.

    Args:
        path: Of the log, for messages.
        log: What it holds.

    Raises:
        LogError: If no part of it is long enough, or nothing moves in it.
    """
    bus = log.bus
    period_s = float(bus["period_s"][0]) if len(bus) else math.nan
    age_s = float(np.median(bus["age_s"])) if len(bus) else 0.0
    found = [excerpt for first, last in _runs(bus, period_s) for excerpt in _cut(bus[first:last], period_s, age_s)]
    if not found:
        raise LogError(
            f"{path} is too short: it has no {LENGTH_S + LATENCY_MAX_S:g} s in one piece in which the motors followed what was sent: "
            "record more, `fetlock run --excite` does"
        )
    if not (moved := [excerpt for excerpt in found if excerpt.moving.any()]):
        raise LogError(
            f"{path}: no joint moves by more than {MOVES_RAD:g} rad within {LENGTH_S - SETTLING_S:g} s, so that nothing can be identified: "
            "record a motion, `fetlock run --excite` does"
        )
    voltages = bus["voltage_v"][np.isfinite(bus["voltage_v"])]
    return Recording(tuple(moved), age_s, float(np.median(voltages)) if len(voltages) else None)


def _runs(bus: Records, period_s: float) -> list[tuple[int, int]]:
    """Return first and last-but-one ticks of all stretches without a gap in which goals were followed."""
    good = np.isin(bus["mode"], _FOLLOWED) & ((bus["notes"] & int(Note.SKIPPED)) == 0) & (bus["hardware_error"] == 0).all(axis=1)
    breaks = np.abs(np.diff(bus["stamp_s"]) - period_s) > _LATE * period_s
    runs, first = [], 0
    for index in range(len(bus) + 1):
        ends = index == len(bus) or not good[index] or (index > first and breaks[index - 1])
        if ends:
            if index > first:
                runs.append((first, index))
            first = index if index < len(bus) and good[index] else index + 1
    return runs


def _cut(bus: Records, period_s: float, age_s: float) -> list[Excerpt]:
    """Cut a stretch; the compared parts follow each other."""
    before, length, settling = (math.ceil(seconds / period_s - 1e-9) for seconds in (LATENCY_MAX_S, LENGTH_S, SETTLING_S))
    starts = range(before + 1, len(bus) - length, length - settling)
    return [_excerpt(bus[start - before - 1 : start + length + 1], before + 1, settling, period_s, age_s) for start in starts]


def _excerpt(bus: Records, start: int, settling: int, period_s: float, age_s: float) -> Excerpt:
    stamp_s = bus["stamp_s"] - bus["stamp_s"][start]
    measured = bus["position_rad"].copy()
    measured[np.abs(bus["age_s"] - age_s) > _LATE * period_s] = np.nan
    return Excerpt(
        goal_s=frozen_array(stamp_s + age_s),
        goal_rad=tuple(frozen_array(goal) for goal in bus["emission_rad"]),
        measured_s=frozen_array(stamp_s[start:]),
        measured_rad=measured[start:],
        compared=settling,
        moving=_moving(measured[start + settling :]),
        velocity_rad_s=frozen_array(bus["velocity_rad_s"][start]),
        base=_base(bus[start]),
    )


def _moving(measured_rad: NDArray[np.float64]) -> NDArray[np.bool_]:
    known = np.where(np.isnan(measured_rad), measured_rad[:1], measured_rad)
    moving: NDArray[np.bool_] = np.ptp(np.nan_to_num(known), axis=0) > MOVES_RAD
    return moving


def _base(row: np.void) -> BodyMotion | None:
    """Return how the base moved; None where tracker or IMU is missing."""
    if Has.BASE | Has.IMU not in Has(int(row["has"])):
        return None
    turn = Rotation.from_matrix(row["rotation_base_to_world"].reshape(3, 3).copy())
    rate = turn.apply(row["angular_velocity_base_rad_s"].copy())
    position, velocity = row["base_position_world_m"], row["base_velocity_world_m_s"]
    return BodyMotion(_three(position), tuple(turn.as_quat().tolist()), _three(velocity), _three(rate))


def _three(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = map(float, values)
    return x, y, z
