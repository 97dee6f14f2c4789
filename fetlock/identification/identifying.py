"""System identification of a simulation from logs: excerpts, a search for the latency, a fit, and a look at what was held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetlock.identification.excerpts import LATENCY_MAX_S, LENGTH_S, SETTLING_S, Excerpt, Recording
from fetlock.identification.fit import Estimate, fit
from fetlock.identification.machine import Model
from fetlock.identification.parameters import LATENCY
from robot.errors import LogError

# Of four excerpts one is held out, for the fit to be judged by.
_HELD_OUT = 4
# Distances of latencies that are tried before the fit, s, on so many excerpts: half of the period of the fastest swing of 4 Hz is 125 ms,
# and within a quarter of that the fit finds the rest by itself.
_COARSE_S, _COARSE_EXCERPTS = 0.02, 4
# Held-out distances that differ by less than this share are the same: where nothing was hidden, values within their intervals made 0.4 s of
# log 1.1% worse (measured).
_NO_WORSE = 0.03


@dataclass(frozen=True, slots=True)
class Identification:
    """What logs say of a simulation.

    Attributes:
        estimates: Of each parameter.
        fit_s: Seconds of robot time that were fitted.
        held_out_s: Seconds that were not.
        fit_before_rad: Distance of simulated and recorded joints as configured, root mean square, rad.
        fit_after_rad: The same as fitted.
        held_out_before_rad: As configured, where nothing was fitted.
        held_out_after_rad: As fitted, there.
        held_out_by_joint_rad: The same of each joint; None where it did not move.
    """

    estimates: tuple[Estimate, ...]
    fit_s: float
    held_out_s: float
    fit_before_rad: float
    fit_after_rad: float
    held_out_before_rad: float
    held_out_after_rad: float
    held_out_by_joint_rad: dict[str, float | None]

    @property
    def holds(self) -> bool:
        """Whether what was fitted is at least as good where nothing was fitted."""
        return self.held_out_after_rad <= self.held_out_before_rad * (1.0 + _NO_WORSE)


def identify(
    model: Model, recordings: Sequence[Recording], joint_names: Sequence[str], seconds: float, paths: Sequence[Path]
) -> Identification:
    """Fit the open parameters of a simulation.

    Args:
        model: Where it is open.
        recordings: Of one machine.
        joint_names: n of them.
        seconds: Of robot time to fit at most; excerpts are taken from all of the logs, evenly.
        paths: Of the logs, for messages.

    Raises:
        LogError: If there is too little.
    """
    excerpts = _chosen([excerpt for one in recordings for excerpt in one.excerpts], seconds, paths)
    held_out = excerpts[_HELD_OUT - 1 :: _HELD_OUT]
    fitted = [excerpt for index, excerpt in enumerate(excerpts) if index % _HELD_OUT != _HELD_OUT - 1]
    configured = model.configured

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.nan_to_num(model.errors(values, fitted)).reshape(len(fitted), -1)

    start = _begun(model, configured, fitted[:: max(1, len(fitted) // _COARSE_EXCERPTS)])
    estimates = tuple(_as_written(one) for one in fit(residuals, model.parameters, start, configured))
    # What is written is what is judged.
    after = [one.value for one in estimates]
    errors = model.errors(after, held_out)
    compared_s = LENGTH_S - SETTLING_S
    return Identification(
        estimates=estimates,
        fit_s=round(len(fitted) * compared_s, 3),
        held_out_s=round(len(held_out) * compared_s, 3),
        fit_before_rad=_rms(model.errors(configured, fitted)),
        fit_after_rad=_rms(model.errors(after, fitted)),
        held_out_before_rad=_rms(model.errors(configured, held_out)),
        held_out_after_rad=_rms(errors),
        held_out_by_joint_rad={
            name: _rms(of) if np.isfinite(of := errors[:, :, joint]).any() else None for joint, name in enumerate(joint_names)
        },
    )


def _chosen(excerpts: list[Excerpt], seconds: float, paths: Sequence[Path]) -> list[Excerpt]:
    """Take as many as fit into the time, evenly."""
    if len(excerpts) < _HELD_OUT:
        needed_s = LATENCY_MAX_S + SETTLING_S + _HELD_OUT * (LENGTH_S - SETTLING_S)
        raise LogError(
            f"{', '.join(map(str, paths))}: too short, {len(excerpts)} of the {_HELD_OUT} excerpts that a fit and its check need at least: "
            f"record {needed_s:.1f} s or more in one piece"
        )
    most = max(_HELD_OUT, round(seconds / (LENGTH_S - SETTLING_S)))
    if len(excerpts) <= most:
        return excerpts
    return [excerpts[index] for index in np.linspace(0, len(excerpts) - 1, most).round().astype(int).tolist()]


def _begun(model: Model, configured: NDArray[np.float64], excerpts: Sequence[Excerpt]) -> NDArray[np.float64]:
    """Return where the search begins: as configured, but for the latency, whose cost has more than one valley."""
    start = configured.copy()
    keys = [one.key for one in model.parameters]
    if LATENCY not in keys:
        return start
    place = keys.index(LATENCY)

    def cost(latency_s: float) -> float:
        values = start.copy()
        values[place] = latency_s
        return _rms(model.errors(values, excerpts))

    start[place] = min(np.arange(0.0, LATENCY_MAX_S, _COARSE_S).tolist(), key=cost)
    return start


def _rms(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.nanmean(errors**2)))


def _as_written(estimate: Estimate) -> Estimate:
    """Round to five digits: more than any interval resolves."""
    return replace(estimate, value=float(f"{estimate.value:.5g}")) if estimate.identified else estimate
