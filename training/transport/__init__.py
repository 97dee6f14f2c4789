"""What processes share: rings of records, the newest weights, counters. Nothing here knows what it carries."""

from training.transport.counters import Counters
from training.transport.memory import Block, sweep
from training.transport.ring import OverrunError, Ring
from training.transport.slot import Weights, WeightSlot

__all__ = ["Block", "Counters", "OverrunError", "Ring", "WeightSlot", "Weights", "sweep"]
