"""The walking task on a robot without physics: everything around the physics runs for real, fast."""

from __future__ import annotations

from robot import Camera
from safety import ArenaConfig, GuardConfig, GuardedRobot, MotionLoop
from tests.fakes import InstantClock, InstantRobot
from training.env import RobotEnv
from training.tasks import WalkConfig, WalkTask
from training.tasks.walk import WalkMemory

GUARD = GuardConfig(position_min_rad=0.9, position_max_rad=3.1, velocity_max_rad_s=100.0, acceleration_max_rad_s2=1e5, interpolate=False)


def walking_env(
    limit: int = 50,
    guard: GuardConfig = GUARD,
    arena: ArenaConfig | None = None,
    robot: InstantRobot | None = None,
    eye: Camera | None = None,
    **task: float,
) -> RobotEnv[WalkMemory]:
    """Build the environment over an `InstantRobot` of 8 joints at 100 Hz, policy at 50 Hz."""
    robot = InstantRobot(8, 2.0) if robot is None else robot
    clock = InstantClock(robot, 0.01)
    guarded = GuardedRobot(robot, guard, 0.01, now_s=clock.now_s)

    def reset(rng: object, _goes_on: object) -> tuple[()]:
        robot.reset(rng, centre_rad=2.0)
        guarded.engage()
        return ()

    return RobotEnv(MotionLoop(guarded, clock, 2), WalkTask(WalkConfig(**task), 0.02), reset, guarded.close, limit, arena, eye=eye)
