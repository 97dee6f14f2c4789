"""What processes share: rings of records, the newest record, counters, a block that outlives all. Nothing here knows what it carries."""

from robot.transport.counters import Counters
from robot.transport.latest import Latest
from robot.transport.memory import Block, alive, find, lock_holder, sweep
from robot.transport.ring import OverrunError, Ring
from robot.transport.standing import StandingBlock

__all__ = ["Block", "Counters", "Latest", "OverrunError", "Ring", "StandingBlock", "alive", "find", "lock_holder", "sweep"]
