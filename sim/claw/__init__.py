"""The simulated claw: nine Dynamixel servos over a valve with a coloured lobe."""

from sim.claw.config import ClawConfig, ValveConfig
from sim.claw.physics import ClawPhysics

__all__ = ["ClawConfig", "ClawPhysics", "ValveConfig"]
