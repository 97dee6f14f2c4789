"""What the simulated kitty can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sim.kitty.model import ARMATURE_KG_M2
from sim.servo_config import ServoRobotConfig


class KittyConfig(ServoRobotConfig):
    """The simulated kitty, on the servos of `configs/robots/kitty.yaml`."""

    kind: Literal["kitty"] = "kitty"
    armature_kg_m2: float = Field(default=ARMATURE_KG_M2, ge=0.0, le=0.02, description="What the rotor of a servo adds behind its gear.")
    stand: bool = Field(default=False, description="Its base is bolted to a stand, feet in the air.")
