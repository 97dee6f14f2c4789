"""What ties a policy to its robot and task, and the layout of an actor in one vector."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from policy.image import Image, ImageLayout
from robot.errors import PolicyError

Vector = NDArray[np.float32]

# Before the names of an encoder's parameters among an actor's.
ENCODER = "encoder_"

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
    # What it sees beside the observation; None: nothing.
    image: ImageLayout | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each of the actor's parameters, in the order of the vector; then, as `encoder_...`, those of its encoder."""
        features = 0 if self.image is None else self.image.features
        sizes = (features + len(self.observation_names), *self.hidden, 2 * len(self.action_names))
        shapes: dict[str, tuple[int, ...]] = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
            shapes[f"weight_{layer}"] = (fan_in, fan_out)
            shapes[f"bias_{layer}"] = (fan_out,)
        if self.image is not None:
            shapes.update({f"{ENCODER}{name}": shape for name, shape in self.image.shapes.items()})
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

    def split_encoder(self, vector: Vector) -> tuple[dict[str, Vector], dict[str, Vector]]:
        """Return the parameters of actor and encoder as views into `vector`, each under its own names; errors as of `split`."""
        parameters = self.split(vector)
        encoder = {name.removeprefix(ENCODER): value for name, value in parameters.items() if name.startswith(ENCODER)}
        return {name: value for name, value in parameters.items() if not name.startswith(ENCODER)}, encoder

    def require_image(self, image: Image | None) -> Image:
        """Return the stack of frames that a policy of this layout is given.

        Raises:
            PolicyError: If it is none, or not of the shape and type that the policy learned from.
        """
        if self.image is None or image is None:
            raise PolicyError(f"task {self.task!r}: the policy {'sees' if self.image else 'does not see'}: give it {_gift(self.image)}")
        if image.shape != self.image.shape or image.dtype != np.uint8:
            raise PolicyError(f"an image of shape {image.shape}, {image.dtype}, was given to a policy: give it {_gift(self.image)}")
        return image

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


def _gift(image: ImageLayout | None) -> str:
    return "no image" if image is None else f"frames of shape {image.shape}, uint8"


def _short(value: object) -> str:
    if isinstance(value, tuple) and len(value) > 4:
        return f"({value[0]!r}, ... {len(value)} in all)"
    return repr(value)
