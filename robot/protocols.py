"""The interfaces between the rooms. Each has at most five methods and no default bodies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from robot.types import BodyMotion, CameraFrame, Command, ImuState, MotorConditions, RobotState, TrackedPose


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
class Armable(Protocol):
    """A robot whose motors can be let go."""

    def arm(self) -> None:
        """Switch torque on where every joint stands; raises RobotError, with torque off, if a check fails."""

    def cut(self) -> None:
        """Switch torque off: the robot drops. Raises BusError if a motor does not confirm."""


class ImuSource(Protocol):
    """Where a robot's orientation comes from."""

    def read(self) -> ImuState:
        """Return the newest orientation and rate in the base's frame; raises StaleError when there is none young enough."""

    def close(self) -> None:
        """Release the sensor. Idempotent."""


class BaseTracker(Protocol):
    """An outside observer of a robot's base."""

    def read(self) -> TrackedPose:
        """Return the newest pose; raises StaleError when there is none young enough."""

    def close(self) -> None:
        """Release the sensor. Idempotent."""


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


class Operator(Protocol):
    """Who puts the robot into poses and says that it is safe to move: an object that is asked, so that a test can answer for them."""

    def confirm(self, request: str) -> None:
        """Ask for something to be done; return when it is. Raises RobotError if the person refuses or is not there."""


@runtime_checkable
class Camera(Protocol):
    """A source of RGB images."""

    def capture(self) -> CameraFrame:
        """Return the newest frame with the stamp of its capture."""

    def close(self) -> None:
        """Release the camera. Idempotent."""


class MotorPhysics(Protocol):
    """What servos move: torques in, joints out, one physics step at a time. Under a simulated robot or an emulated bus."""

    @property
    def step_s(self) -> float:
        """Length of a physics step, s."""

    def joints(self) -> Sequence[Sequence[float]]:
        """Return angle, rad, and velocity, rad/s, of each joint now; more values may follow them."""

    def step(self, torques_nm: Sequence[float]) -> None:
        """Move on by one step with these torques on the joints, N m."""

    def body(self) -> BodyMotion | None:
        """Return where the base is and how it moves; None if it is bolted down."""

    def reset(self, rng: np.random.Generator) -> MotorConditions:
        """Put the bodies into a start pose and draw what is random; the caller holds the joints there until they are still."""
