"""What ties a policy to its robot and task, and the layout of an actor in one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from robot.errors import PolicyError

Vector = NDArray[np.float32]

# Fields of a layout that decide what an action means, and what a transition means; the network that chose it may be another.
ACTION_FIELDS = ("joint_names", "action_names", "action_scaling", "control_hz")
TRANSITION_FIELDS = ("robot", "task", "observation_names", *ACTION_FIELDS)


class PolicyLayout(BaseModel):
    """Everything that must agree between a policy and the robot that runs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    robot: str
    task: str
    joint_names: tuple[str, ...]
    observation_names: tuple[str, ...]
    action_names: tuple[str, ...]
    control_hz: float
    # Scales, centres and filters between action and radians, in the task's own words: a policy means nothing without them.
    action_scaling: tuple[str, ...]
    hidden: tuple[int, ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each of the actor's parameters, in the order of the vector."""
        sizes = (len(self.observation_names), *self.hidden, 2 * len(self.action_names))
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            shapes[f"weight_{layer}"] = (fan_in, fan_out)
            shapes[f"bias_{layer}"] = (fan_out,)
        return shapes

    @property
    def vector_size(self) -> int:
        """Number of the actor's parameters."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def split(self, vector: Vector) -> dict[str, Vector]:
        """Return the parameters as views into `vector`.

        Raises:
            PolicyError: If the vector has another size or holds a number that is not finite.
        """
        if vector.shape != (self.vector_size,):
            raise PolicyError(f"an actor of {self.vector_size} parameters was given {vector.size}: it belongs to another network")
        if not np.isfinite(vector).all():
            raise PolicyError(
                f"{int((~np.isfinite(vector)).sum())} of {vector.size} actor parameters are not finite: the last good set is kept"
            )
        parameters: dict[str, Vector] = {}
        start = 0
        for name, shape in self.shapes.items():
            end = start + math.prod(shape)
            parameters[name] = vector[start:end].reshape(shape)
            start = end
        return parameters

    def require_same(self, other: PolicyLayout, where: str) -> None:
        """Raise PolicyError naming the first field in which `other`, the robot's layout, differs from this policy's of `where`."""
        if difference := self.difference(other, type(self).model_fields):
            raise PolicyError(
                f"{where}: the policy was trained for {difference}: "
                "run it with the configuration in its own run folder (--config RUN/config.yaml)"
            )

    def difference(self, other: PolicyLayout, fields: Iterable[str]) -> str:
        """Say the first of some fields in which `other`, the robot's layout, differs, and how; nothing if none does."""
        for field in fields:
            mine, theirs = getattr(self, field), getattr(other, field)
            if mine != theirs:
                return f"{field} {_short(mine)}, this robot has {_short(theirs)}"
        return ""


def _short(value: object) -> str:
    if isinstance(value, tuple) and len(value) > 4:
        return f"({value[0]!r}, ... {len(value)} in all)"
    return repr(value)
