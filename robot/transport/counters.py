"""Named numbers in shared memory, each with one writer."""

from __future__ import annotations

from typing import Self

import numpy as np

from robot.transport.memory import Block


class Counters(Block):
    """Float64 fields by name: whole numbers are exact up to 2^53."""

    def __init__(self, name: str, fields: tuple[str, ...], *, create: bool) -> None:
        super().__init__(name, 8 * len(fields), create=create)
        self._values = self.array(np.float64, len(fields), 0)
        self._index = {field: i for i, field in enumerate(fields)}

    @classmethod
    def create(cls, name: str, fields: tuple[str, ...]) -> Self:
        """Create the fields, all 0."""
        counters = cls(name, fields, create=True)
        counters._values[:] = 0.0
        return counters

    @classmethod
    def attach(cls, name: str, fields: tuple[str, ...]) -> Self:
        """Attach to the fields."""
        return cls(name, fields, create=False)

    def get(self, field: str) -> float:
        """Return the value of a field; KeyError if there is none of this name."""
        return float(self._values[self._index[field]])

    def set(self, field: str, value: float) -> None:
        """Set a field; KeyError if there is none of this name."""
        self._values[self._index[field]] = value
