"""The interfaces between the rooms. Each has at most five methods and no default bodies."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from robot.types import CameraFrame, Command, RobotState


@runtime_checkable
class Robot(Protocol):
    """Joints that take position targets: simulated, on a bus, behind a guard or in another process."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the n joints, in the order of every (n,) array."""

    def read(self) -> RobotState:
        """Return the newest state; raises rather than returning old data as new. Repeated reads at one time are equal."""

    def write(self, command: Command) -> Command:
        """Set the targets for the coming bus tick and return what was applied."""

    def stop(self) -> None:
        """Enter HOLD: keep the present targets' pose and ignore commands. Idempotent; never raises."""

    def close(self) -> None:
        """Release what the robot holds. Idempotent; later reads and writes raise `ClosedError`."""


@runtime_checkable
class Resettable(Protocol):
    """A simulated robot's teleport. A guard in front must be reseeded after it."""

    def reset(self, rng: np.random.Generator) -> None:
        """Put the robot into a start pose, drawing everything random from `rng`."""


@runtime_checkable
class Clock(Protocol):
    """Time of one loop: `now_s` and the wait for its next tick."""

    @property
    def period_s(self) -> float:
        """Length of a tick, s."""

    def now_s(self) -> float:
        """Monotonic time, s."""

    def wait(self) -> float:
        """Wait for the next tick of the schedule; return the slack in s (negative: that late)."""


@runtime_checkable
class Camera(Protocol):
    """A source of RGB images."""

    def capture(self) -> CameraFrame:
        """Return the newest frame with the stamp of its capture."""

    def close(self) -> None:
        """Release the camera. Idempotent."""
