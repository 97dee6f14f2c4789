"""Tasks: what the policy sees, what its actions mean, what is rewarded and when it is over, as pure functions."""

from training.tasks.task import Outcome, Step, Task
from training.tasks.walk import WalkConfig, WalkTask

__all__ = ["Outcome", "Step", "Task", "WalkConfig", "WalkTask"]
