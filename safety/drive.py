"""What a guard is given beside its robot: the switch of its torque, and what may stop it from outside."""

from __future__ import annotations

from typing import Protocol

from robot.protocols import Armable
from safety.modes import Ask
from safety.types import Cause


class Drive(Armable, Protocol):
    """Motors that can be let go, and say whether they were."""

    @property
    def armed(self) -> bool:
        """Whether torque is on."""


class AlwaysOn:
    """Implements Drive for a robot whose torque has no switch, such as a simulated one: it is armed and cut in name, and stands."""

    def __init__(self) -> None:
        self.armed = False

    def arm(self) -> None:
        self.armed = True

    def cut(self) -> None:
        self.armed = False


class Outside(Protocol):
    """What stops a robot from outside of its own loop, such as an emergency stop; looked at once a tick."""

    def look(self) -> tuple[Cause, Ask]:
        """Return the causes that hold now, and Ask.CLEAR once for each release by an operator."""
