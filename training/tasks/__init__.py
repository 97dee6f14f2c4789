"""Tasks: what the policy sees, what its actions mean, what is rewarded and when it is over, as pure functions."""

from typing import get_args

from training.tasks.legs import JointOffsets, LegMap, SwingExtension
from training.tasks.seeing import SeeingTask
from training.tasks.task import Measure, Outcome, Step, Task
from training.tasks.turn import TurnTask
from training.tasks.turn_config import AnyTurnConfig, ClawScrewConfig, ClawTurnConfig, ClawTurnPixelsConfig
from training.tasks.turn_goal import TurnGoals
from training.tasks.walk import WalkTask
from training.tasks.walk_config import AnyWalkConfig, KittyWalkConfig, WalkConfig

AnyTaskConfig = AnyWalkConfig | AnyTurnConfig


def measure_of(kind: str) -> Measure:
    """Return what the figure of a task of this kind is called; of one that is not known, such as a newer one, just that."""
    known: dict[str, Measure] = {config.model_fields["kind"].default: config.measure for config in get_args(AnyTaskConfig)}
    return known.get(kind, Measure("measure", "", "Measure of the task, mean of an episode"))


__all__ = [
    "AnyTaskConfig",
    "AnyTurnConfig",
    "AnyWalkConfig",
    "ClawScrewConfig",
    "ClawTurnConfig",
    "ClawTurnPixelsConfig",
    "JointOffsets",
    "KittyWalkConfig",
    "LegMap",
    "Measure",
    "Outcome",
    "SeeingTask",
    "Step",
    "SwingExtension",
    "Task",
    "TurnGoals",
    "TurnTask",
    "WalkConfig",
    "WalkTask",
    "measure_of",
]
