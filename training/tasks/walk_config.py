"""What the walking task can be told, for each kind of leg."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from training.tasks.legs import JointOffsets, LegMap, SwingExtension
from training.tasks.task import Measure, named


class WalkSettings(BaseModel):
    """Weights and bounds that do not depend on the legs; the defaults are the recipe of `docs/learning.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    measure: ClassVar[Measure] = Measure("speed", "m/s", "Forward speed, mean of an episode")

    time_limit_steps: int = Field(default=500, ge=1)
    action_smoothing: float = Field(
        default=0.5, gt=0.0, le=1.0, description="Weight of the new action in the policy-rate low-pass; 1 switches it off."
    )
    speed_weight: float = Field(default=2.0, ge=0.0)
    speed_cap_m_s: float = Field(default=0.8, gt=0.0, description="Speed beyond which nothing more is gained, m/s.")
    action_change_weight: float = Field(default=0.1, ge=0.0)
    power_weight_per_w: float = Field(default=0.002, ge=0.0)
    torque_nm_per_a: float = Field(
        default=0.0,
        ge=0.0,
        le=10.0,
        description="Of the motors of a robot that measures current and no torque; 0 counts no power there.",
    )
    sideways_weight: float = Field(default=0.3, ge=0.0)
    tilt_weight_per_rad: float = Field(default=0.2, ge=0.0)
    heading_weight_per_rad: float = Field(default=0.2, ge=0.0)
    intervention_weight: float = Field(
        default=0.1, ge=0.0, description="On the mean square of what hard stages of the guard changed, in action units."
    )
    fall_penalty: float = Field(default=5.0, ge=0.0)
    fall_upright: float = Field(
        default=0.85,
        ge=-1.0,
        lt=1.0,
        description="A fall: the base's vertical axis points less than this upwards (0.85: 32 deg), or it is lower than fall_height_m.",
    )
    fall_height_m: float | None = Field(default=0.10, ge=0.0, description="World height; null on ground that is not flat.")
    mark_speed_m_s: float = Field(default=0.6, gt=0.0, description="The mark that the task is learned at: mean forward speed with no fall.")

    @property
    def mark(self) -> float:
        """Measure at which the task counts as learned."""
        return self.mark_speed_m_s


class WalkConfig(WalkSettings):
    """Walking on the Minitaur's five-bars."""

    kind: Literal["walk"] = "walk"
    swing_scale_rad: float = Field(default=0.5, gt=0.0, le=1.5)
    extension_center_rad: float = Field(default=2.0, ge=0.5, le=2.8)
    extension_scale_rad: float = Field(default=0.3, gt=0.0, le=1.5)

    @property
    def legs(self) -> LegMap:
        """From actions to motor angles."""
        return SwingExtension(self.swing_scale_rad, self.extension_center_rad, self.extension_scale_rad)

    @property
    def scaling(self) -> tuple[str, ...]:
        """Scales and low-pass of the action, as "name=value"."""
        return named(self, ("swing_scale_rad", "extension_center_rad", "extension_scale_rad", "action_smoothing"))


class KittyWalkConfig(WalkSettings):
    """Walking on the kitty's legs of abduction, hip and knee."""

    kind: Literal["kitty_walk"] = "kitty_walk"
    # Pose at an action of 0, the same for all legs: the home pose of configs/robots/kitty.yaml. Abduction counts outwards.
    abduction_center_rad: float = Field(default=0.0, ge=-0.5, le=0.5)
    hip_center_rad: float = Field(default=0.75, ge=-2.14, le=2.14)
    knee_center_rad: float = Field(default=-1.5, ge=-2.5, le=1.57)
    abduction_scale_rad: float = Field(default=0.2, gt=0.0, le=1.5)
    hip_scale_rad: float = Field(default=0.4, gt=0.0, le=1.5)
    knee_scale_rad: float = Field(default=0.4, gt=0.0, le=1.5)

    @property
    def legs(self) -> LegMap:
        """From actions to joint angles."""
        return JointOffsets(
            (self.abduction_center_rad, self.hip_center_rad, self.knee_center_rad),
            (self.abduction_scale_rad, self.hip_scale_rad, self.knee_scale_rad),
        )

    @property
    def scaling(self) -> tuple[str, ...]:
        """Centres, scales and low-pass of the action, as "name=value"."""
        parts = [f"{joint}_{what}_rad" for what in ("center", "scale") for joint in ("abduction", "hip", "knee")]
        return named(self, (*parts, "action_smoothing"))


AnyWalkConfig = WalkConfig | KittyWalkConfig
