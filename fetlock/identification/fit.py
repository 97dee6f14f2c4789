"""Fits parameters to residuals, and says how well each is known: a pure function of numbers.

Prediction error method: the parameters are those whose model predicts the measurements best (L. Ljung, System Identification, 2nd ed.,
1999, chapter 7), by least squares within bounds (SciPy's trust region reflective method, M. A. Branch et al., 1999), first in the square,
then with a loss that grows linearly for outliers such as a foot that slips.

Uncertainty: the asymptotic covariance from the Jacobian (Ljung, section 9.2). Errors of one excerpt depend on each other, so the
covariance is that of whole excerpts (the sandwich of P. J. Huber, 1967, with clusters as in K.-Y. Liang and S. L. Zeger, 1986), and never
less than that of independent errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from fetlock.identification.parameters import Parameter

Array = NDArray[np.float64]
# Takes values of all parameters, shape (p,); returns residuals by excerpt, shape (e, k), rad.
Residuals = Callable[[Array], Array]

# Of a DYNAMIXEL's encoder: a pulse of 1.5 mrad, uniform. No fit is better known than that.
_FLOOR_RAD = 1.534e-3 / 12.0**0.5
# Median absolute deviation to standard deviation of a normal distribution.
_MAD = 1.4826
# 97.5% of a normal distribution.
_TWO_SIDED_95 = 1.96
# Losses in their order, each with the relative change of cost or parameters at which it is done: the last one's is far below what 95%
# intervals resolve, the first one only says how far residuals spread.
_LOSSES = (("linear", 1e-2), ("soft_l1", 1e-4))
_EVALUATIONS = 15
# Curvature that counts as none, relative to the largest after scaling: rounding of a difference quotient.
_SINGULAR = 1e-9
# A value this near to a bound is at it, in steps: the solver stays a little inside.
_AT_BOUND = 0.01


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of a parameter.

    Attributes:
        key: In the robot's configuration.
        unit: For people.
        start: As configured.
        value: As fitted; as configured if it could not be identified.
        half_width: Of its 95% interval; infinite if nothing depends on it.
        identified: Whether the log says enough.
        at_bound: Its best value is the end of the range that is searched.
    """

    key: str
    unit: str
    start: float
    value: float
    half_width: float
    identified: bool
    at_bound: bool = False


def fit(residuals: Residuals, parameters: Sequence[Parameter], start: Array, configured: Array) -> list[Estimate]:
    """Fit all parameters; those that the log says too little of go back to what is configured, worst first, and the others are fitted anew.

    Args:
        residuals: Of the model.
        parameters: p of them.
        start: Where the search begins, shape (p,).
        configured: Values without any fit, shape (p,).
    """
    free = list(range(len(parameters)))
    known: dict[int, float] = {}
    values = np.array(start, np.float64)
    while free:
        values[free], half = _fit_free(residuals, [parameters[index] for index in free], values, free)
        needs = np.array([parameters[index].needed for index in free])
        worst = int(np.argmax(half / needs))
        known.update(zip(free, half.tolist(), strict=True))
        if half[worst] <= needs[worst]:
            break
        values[free[worst]] = configured[free[worst]]
        del free[worst]
    return [
        Estimate(
            one.key,
            one.unit,
            float(configured[index]),
            float(values[index]),
            known[index],
            index in free,
            index in free and bool(min(values[index] - one.low, one.high - values[index]) < _AT_BOUND * one.step),
        )
        for index, one in enumerate(parameters)
    ]


def _fit_free(residuals: Residuals, parameters: Sequence[Parameter], values: Array, free: list[int]) -> tuple[Array, Array]:
    """Fit the free ones of all values; return them with the half-widths of their 95% intervals."""
    scale = np.array([one.step for one in parameters])
    low, high = (np.array([getattr(one, end) for one in parameters]) / scale for end in ("low", "high"))
    model = _Scaled(residuals, values, free, scale, high)
    # The method works inside of its bounds.
    point = np.clip(values[free] / scale, low + 1e-6, high - 1e-6)
    spread = 0.0
    for loss, tolerance in _LOSSES:
        found = least_squares(
            model.flat,
            point,
            jac=model.jacobian,
            bounds=(low, high),
            loss=loss,
            f_scale=spread or 1.0,
            ftol=tolerance,
            xtol=tolerance,
            gtol=None,
            max_nfev=_EVALUATIONS,
        )
        point = found.x
        spread = max(_FLOOR_RAD, _MAD * float(np.median(np.abs(found.fun))))
    return point * scale, _half_widths(model, point, spread) * scale


class _Scaled:
    """A model in units of its parameters' steps; remembers its newest evaluation, which the solver asks for twice.

    Args:
        residuals: Of all values.
        values: All of them.
        free: Places of those that vary.
        scale: Of them.
        high: Largest of them, scaled.
    """

    def __init__(self, residuals: Residuals, values: Array, free: list[int], scale: Array, high: Array) -> None:
        self._residuals = residuals
        self._values = values.copy()
        self._free = free
        self._scale = scale
        self._high = high
        self._newest: tuple[Array, Array] | None = None
        self._slope: tuple[Array, Array] | None = None

    def by_excerpt(self, point: Array) -> Array:
        """Return residuals, shape (e, k)."""
        if self._newest is None or not np.array_equal(self._newest[0], point):
            self._newest = (point.copy(), self._evaluate(point))
        return self._newest[1]

    def _evaluate(self, point: Array) -> Array:
        values = self._values.copy()
        values[self._free] = point * self._scale
        return self._residuals(values)

    def flat(self, point: Array) -> Array:
        """Return residuals, shape (e k,)."""
        return self.by_excerpt(point).ravel()

    def jacobian(self, point: Array) -> Array:
        """Return difference quotients over one step, shape (e k, p); forward where there is room."""
        if self._slope is not None and np.array_equal(self._slope[0], point):
            return self._slope[1]
        at = self.flat(point)
        columns = []
        for index in range(len(point)):
            sign = 1.0 if point[index] + 1.0 <= self._high[index] else -1.0
            moved = point.copy()
            moved[index] += sign
            columns.append(sign * (self._evaluate(moved).ravel() - at))
        self._slope = (point.copy(), np.stack(columns, axis=1))
        return self._slope[1]


def _half_widths(model: _Scaled, point: Array, spread: float) -> Array:
    """Return half of each 95% interval, in steps; infinite along what nothing depends on."""
    residuals = model.by_excerpt(point)
    excerpts, size = residuals.shape
    slope = model.jacobian(point).reshape(excerpts, size, len(point))
    # Weights of the loss that the fit ended with: rho' of soft_l1.
    weight = 1.0 / np.sqrt(1.0 + (residuals / spread) ** 2)
    curvature = np.einsum("ek,eki,ekj->ij", weight, slope, slope)
    pulls = np.einsum("ek,eki,ek->ei", weight, slope, residuals)
    sizes, directions = np.linalg.eigh(curvature)
    dead = sizes <= _SINGULAR * max(float(sizes.max()), np.finfo(float).tiny)
    inverse = (directions / np.where(dead, 1.0, sizes)) @ directions.T
    # A sum over few excerpts is too small on average by this.
    few = excerpts / max(1, excerpts - len(point))
    sandwich = inverse @ (pulls.T @ pulls * few) @ inverse
    variance = np.maximum(np.diag(sandwich), np.diag(inverse) * spread**2)
    # A parameter with a part in a direction without curvature is not known at all.
    variance[(np.abs(directions[:, dead]) > 1e-3).any(axis=1)] = np.inf
    half: Array = _TWO_SIDED_95 * np.sqrt(variance)
    return half
