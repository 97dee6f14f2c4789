"""What a robot may do, as validated data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from robot.errors import UsageError
from robot.types import FloatArray, frozen_array


class GuardConfig(BaseModel):
    """Limits of the guard. A single number stands for all joints; a list gives one per joint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position_min_rad: float | tuple[float, ...]
    position_max_rad: float | tuple[float, ...]
    velocity_max_rad_s: float | tuple[float, ...] = Field(description="Bound on the velocity of the emitted targets.")
    low_pass_hz: float | None = Field(default=None, gt=0.0, description="Cut-off of the first-order filter at the bus rate; null: off.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = np.asarray(self.position_min_rad), np.asarray(self.position_max_rad)
        velocity = np.asarray(self.velocity_max_rad_s)
        if not (np.isfinite(low).all() and np.isfinite(high).all() and np.isfinite(velocity).all()):
            raise ValueError("limits must be finite numbers")
        if not np.all(low < high):
            raise ValueError(f"position_min_rad {self.position_min_rad} must be below position_max_rad {self.position_max_rad}")
        if not np.all(velocity > 0.0):
            raise ValueError(f"velocity_max_rad_s must be positive: got {self.velocity_max_rad_s}")
        return self

    def limits(self, joints: int, period_s: float) -> Limits:
        """Return the limits of a robot with `joints` joints whose guard runs every `period_s` seconds.

        Raises:
            UsageError: If a list has another length than `joints`.
        """

        def per_joint(name: str, value: float | tuple[float, ...]) -> FloatArray:
            if isinstance(value, tuple) and len(value) != joints:
                raise UsageError(
                    f"guard.{name} has {len(value)} values: this robot has {joints} joints; give {joints} values or one number"
                )
            return frozen_array(np.broadcast_to(value, joints))

        smoothing = 1.0 if self.low_pass_hz is None else 1.0 - float(np.exp(-2.0 * np.pi * self.low_pass_hz * period_s))
        return Limits(
            per_joint("position_min_rad", self.position_min_rad),
            per_joint("position_max_rad", self.position_max_rad),
            frozen_array(per_joint("velocity_max_rad_s", self.velocity_max_rad_s) * period_s),
            smoothing,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """`GuardConfig` for n joints at one bus period.

    Attributes:
        position_min_rad: Shape (n,), rad.
        position_max_rad: Shape (n,), rad.
        step_max_rad: Shape (n,), rad: largest change of a target in one tick.
        smoothing: Weight of the new value in the low-pass, 1 - exp(-2 pi f h); 1 switches it off.
    """

    position_min_rad: FloatArray
    position_max_rad: FloatArray
    step_max_rad: FloatArray
    smoothing: float
