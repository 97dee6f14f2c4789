"""The simulated kitty: a quadruped of twelve Dynamixel servos."""

from sim.kitty.config import KittyConfig
from sim.kitty.physics import KittyPhysics

__all__ = ["KittyConfig", "KittyPhysics"]
