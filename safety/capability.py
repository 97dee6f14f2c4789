"""What the motors of a robot can do: no limit may be wider."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from robot.types import FloatArray, frozen_array
from safety.limits import GuardConfig


@dataclass(frozen=True, slots=True)
class Capability:
    """Shape (n,) each.

    Attributes:
        position_min_rad: rad: of mechanics and registers.
        position_max_rad: rad.
        velocity_max_rad_s: rad/s: without load.
        current_max_a: A: of the motor's register.
        temperature_max_c: deg C: where the motor switches itself off.
    """

    position_min_rad: FloatArray
    position_max_rad: FloatArray
    velocity_max_rad_s: FloatArray
    current_max_a: FloatArray
    temperature_max_c: FloatArray

    def complaints(self, config: GuardConfig, joint_names: Sequence[str]) -> list[str]:
        """Return one sentence for each limit that is wider than the motors' own; none: all is well.

        Raises:
            UsageError: As `GuardConfig.limits`.
        """
        wide = config.limits(joint_names, routine=True)
        checks: list[tuple[str, FloatArray, FloatArray, Callable[[float, float], bool]]] = [
            ("the lowest position, rad", wide.position_min_rad, self.position_min_rad, float.__lt__),
            ("the highest position, rad", wide.position_max_rad, self.position_max_rad, float.__gt__),
            ("velocity_max_rad_s", wide.velocity_max_rad_s, self.velocity_max_rad_s, float.__gt__),
            ("temperature_max_c", frozen_array(np.full(len(joint_names), config.temperature_max_c)), self.temperature_max_c, float.__gt__),
        ]
        if config.current_max_a is not None:
            checks.append(("current_max_a", wide.current_max_a, self.current_max_a, float.__gt__))
        return [
            f"{name}: {what} {asked:g} is wider than the motor's own {own:g}"
            for what, limits, bounds, wider in checks
            for name, asked, own in zip(joint_names, limits.tolist(), bounds.tolist(), strict=True)
            if wider(asked, own)
        ]
