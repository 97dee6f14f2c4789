"""What the simulated kitty can be told."""

from __future__ import annotations

from typing import Literal

from sim.servo_config import ServoRobotConfig


class KittyConfig(ServoRobotConfig):
    """The simulated kitty, on the servos of `configs/robots/kitty.yaml`."""

    kind: Literal["kitty"] = "kitty"
