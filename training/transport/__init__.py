"""The newest weights of a policy, shared between processes by the means of `robot.transport`."""

from training.transport.slot import Weights, WeightSlot

__all__ = ["WeightSlot", "Weights"]
