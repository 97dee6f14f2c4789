"""What processes share: rings of records, the newest record, counters. Nothing here knows what it carries."""

from robot.transport.counters import Counters
from robot.transport.latest import Latest
from robot.transport.memory import Block, alive, sweep
from robot.transport.ring import OverrunError, Ring

__all__ = ["Block", "Counters", "Latest", "OverrunError", "Ring", "alive", "sweep"]
