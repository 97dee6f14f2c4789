"""The fingers of a claw as a description holds them: where they stand, how long their links are, and what is around each link."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# A claw of a size that a hand can hold.
Length = Annotated[float, Field(gt=0.0, le=1.0)]
# Joints of a finger, from the palm.
PER_FINGER = 3


class CapsuleDescription(BaseModel):
    """What is around a part of a link: all points nearer than a radius to a piece of the link's axis."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Named after the joint that moves it.
    link: Literal["side", "middle", "tip"]
    # On the axis, from the link's joint on, m.
    from_m: float = Field(ge=-1.0, le=1.0)
    to_m: float = Field(ge=-1.0, le=1.0)
    radius_m: Length

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.from_m < self.to_m:
            raise ValueError(f"a capsule of the {self.link} link: from_m {self.from_m} must be below to_m {self.to_m}")
        return self


class FingersDescription(BaseModel):
    """Equal fingers in a circle, each of three joints in the order side, middle, tip; see `safety.fingers` for the axes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # From the middle of the palm to the side joints, m.
    base_radius_m: Length
    # Direction of each finger from the middle, in the order of the joints, rad.
    azimuth_rad: tuple[Annotated[float, Field(ge=-6.3, le=6.3)], ...] = Field(min_length=2, max_length=20)
    # From the side joint to the middle one, and from there to the tip's, m.
    side_m: Length
    middle_m: Length
    # The same of every finger.
    capsules: tuple[CapsuleDescription, ...] = Field(min_length=1, max_length=20)
