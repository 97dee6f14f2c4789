"""What the simulated claw, its valve and its camera can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sim.claw.model import ARMATURE_KG_M2
from sim.claw.view import ClawViewConfig
from sim.config import FlatGround, Range
from sim.servo_config import ServoMachineConfig


class ValveConfig(BaseModel):
    """The valve; damping and friction of its hinge: ROBEL's scene files and randomisers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lobes: Literal[3, 4] = Field(default=3, description="Three lobes, or a cross of four.")
    density_kg_m3: float = Field(default=400.0, ge=50.0, le=3000.0, description="A print is lighter than its plastic, 1000 to 1250.")
    damping_nm_s: float = Field(default=0.1, ge=0.0, le=0.5, description="Of the hinge, N m per rad/s.")
    friction_nm: float = Field(default=0.003, ge=0.0, le=0.5, description="Coulomb friction of the hinge, N m.")
    start_spread_rad: float = Field(
        default=3.1, ge=0.0, le=3.1, description="Half-width of the angle at the start of an episode, about 0; its motor reaches 3.1."
    )


class ClawRandomisationConfig(BaseModel):
    """What each reset draws anew, uniformly, while `enabled`; scales multiply the nominal value, the others replace it.

    Ranges: ROBEL's randomisers of the claw; latency and strength as of the robots on legs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    motor_strength_scale: Range = (0.8, 1.2)
    # ROBEL: gains from 1 to 3 about 2.
    gain_scale: Range = (0.5, 1.5)
    joint_friction_nm: Range = (0.0, 0.05)
    tip_friction: Range = (0.8, 1.2)
    control_latency_s: Range = (0.0, 0.02)
    sensing_latency_s: Range = (0.0, 0.02)
    valve_density_scale: Range = (0.5, 2.5)
    valve_damping_nm_s: Range = (0.005, 0.1)
    valve_friction_nm: Range = (0.001, 0.005)


class ClawConfig(ServoMachineConfig):
    """The simulated claw and its valve, on the servos of `configs/robots/claw.yaml`."""

    kind: Literal["claw"] = "claw"
    armature_kg_m2: float = Field(default=ARMATURE_KG_M2, ge=0.0, le=0.02, description="What the rotor of a servo adds behind its gear.")
    tip_friction: float = Field(default=1.0, ge=0.0, le=5.0, description="Of the fingertips; the valve's is 1 and the two multiply.")
    valve: ValveConfig = ValveConfig()
    view: ClawViewConfig = ClawViewConfig()
    randomise: ClawRandomisationConfig = ClawRandomisationConfig()

    @property
    def ground(self) -> FlatGround:
        """The table."""
        return FlatGround()
