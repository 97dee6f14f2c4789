"""Tasks: what the policy sees, what its actions mean, what is rewarded and when it is over, as pure functions."""

from training.tasks.legs import JointOffsets, LegMap, SwingExtension
from training.tasks.task import Outcome, Step, Task
from training.tasks.walk import WalkTask
from training.tasks.walk_config import AnyWalkConfig, KittyWalkConfig, WalkConfig

__all__ = [
    "AnyWalkConfig",
    "JointOffsets",
    "KittyWalkConfig",
    "LegMap",
    "Outcome",
    "Step",
    "SwingExtension",
    "Task",
    "WalkConfig",
    "WalkTask",
]
