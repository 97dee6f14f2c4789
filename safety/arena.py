"""A disc on the ground that a robot stays in, and where a robot stands in it: pure functions of a state with a tracked base and an IMU."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from robot.errors import StaleError
from robot.types import RobotState


class ArenaConfig(BaseModel):
    """Where a robot walks: beyond its border an episode ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    center_m: tuple[float, float] = Field(default=(0.0, 0.0), description="Of the arena, x and y in the tracker's world, m.")
    # The robots are up to 0.5 m long, and a turn in place strays by up to 0.15 m (measured).
    radius_m: float = Field(ge=0.5, le=1000.0, description="Distance from the centre at which an episode is cut off, m.")

    def distance_m(self, state: RobotState) -> float:
        """Return how far the base is from the centre, m.

        Raises:
            StaleError: If the state has no tracked base.
        """
        return math.hypot(*self._to_center_m(state))

    def left_by(self, state: RobotState) -> bool:
        """Tell whether the base is outside.

        Raises:
            StaleError: If the state has no tracked base.
        """
        return self.distance_m(state) > self.radius_m

    def bearing_rad(self, state: RobotState) -> float:
        """Return the angle from the base's heading to the centre, [-pi, pi], rad; positive where the centre is on the left.

        The heading is the IMU's yaw: its world must be the tracker's.

        Raises:
            StaleError: If the state has no tracked base or no IMU reading.
        """
        if state.imu is None:
            raise StaleError("an arena needs an IMU to know where the robot faces, and this robot has none: set arena to null")
        rotation, (x, y) = state.imu.rotation_base_to_world, self._to_center_m(state)
        yaw_rad = math.atan2(rotation[1, 0], rotation[0, 0])
        return math.remainder(math.atan2(y, x) - yaw_rad, 2.0 * math.pi)

    def way_ahead_m(self, state: RobotState) -> float:
        """Return how far the robot may walk straight on before it leaves the arena, m; 0 where it is outside.

        Raises:
            StaleError: If the state has no tracked base or no IMU reading.
        """
        distance_m, bearing_rad = self.distance_m(state), self.bearing_rad(state)
        if distance_m > self.radius_m:
            return 0.0
        # From the foot of the perpendicular on the way to the border. On the border rounding may leave less than nothing.
        half_chord_m2 = self.radius_m**2 - (distance_m * math.sin(bearing_rad)) ** 2
        return distance_m * math.cos(bearing_rad) + math.sqrt(max(0.0, half_chord_m2))

    def _to_center_m(self, state: RobotState) -> tuple[float, float]:
        if state.tracked_base is None:
            raise StaleError(
                "an arena needs a tracked base (motion capture, overhead camera or simulation) and this robot has none: set arena to null"
            )
        x, y, _ = state.tracked_base.position_world_m.tolist()
        return self.center_m[0] - x, self.center_m[1] - y
