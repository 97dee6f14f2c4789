"""Puts a simulated robot, its clock and its cameras together."""

from __future__ import annotations

from dataclasses import dataclass

from robot.errors import UsageError
from sim.camera import FollowCamera
from sim.clock import SimulatedClock
from sim.config import MinitaurConfig
from sim.minitaur import SimulatedMinitaur


@dataclass(frozen=True, slots=True)
class MinitaurSimulation:
    """A robot with the only clock that moves it."""

    robot: SimulatedMinitaur
    clock: SimulatedClock

    def camera(self, width_px: int = 480, height_px: int = 320) -> FollowCamera:
        """Make a camera that follows the robot."""
        return FollowCamera(self.robot, width_px, height_px)


def simulate_minitaur(config: MinitaurConfig, bus_hz: float, seed: int = 0) -> MinitaurSimulation:
    """Build a simulated Minitaur, standing.

    Args:
        config: Of the robot.
        bus_hz: Reads and writes per second of simulated time; the physics rate must be a whole multiple.
        seed: Of the first episode; `robot.reset` draws from the generator that it is given.

    Raises:
        UsageError: If the bus rate does not fit the physics rate, or a window is asked for and there is no display.
    """
    if not 0.0 < bus_hz < float("inf"):
        raise UsageError(f"bus_hz must be positive and finite: got {bus_hz}")
    robot = SimulatedMinitaur(config, 1.0 / bus_hz, seed)
    return MinitaurSimulation(robot, SimulatedClock(robot))
