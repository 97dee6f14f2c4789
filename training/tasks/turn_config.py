"""What the tasks of the claw can be told."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from training.tasks.task import Measure, named


class TurnSettings(BaseModel):
    """Weights, bounds and scales of turning a valve, to a place or steadily; ROBEL's D'Claw (arXiv 1909.11639) unless said otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    measure: ClassVar[Measure] = Measure("on goal", "of the time", "Share of an episode within success_rad of the goal")

    time_limit_steps: int = Field(default=40, ge=1, description="40 are 4 s at 10 Hz.")
    action_smoothing: float = Field(
        default=0.7, gt=0.0, le=1.0, description="Weight of the new action in the policy-rate low-pass; 1 switches it off."
    )
    lobes: Literal[3, 4] = Field(default=3, description="Of the valve: it looks the same to the fingers after one lobe.")
    # Middle and half of the range of each kind of joint, in which strokes lie that turn the valve; the guard's limits lie outside.
    # One in 25 of its poses has fingers nearer than the guard lets them, which holds a policy up; one in 7 with middle joints at
    # -0.3 +- 0.7 and tips at 0.2 +- 0.7 rad.
    side_scale_rad: float = Field(default=0.45, gt=0.0, le=1.35)
    middle_center_rad: float = Field(default=-0.3, ge=-2.0, le=2.0)
    middle_scale_rad: float = Field(default=0.5, gt=0.0, le=2.0)
    tip_center_rad: float = Field(default=0.0, ge=-2.0, le=2.0)
    tip_scale_rad: float = Field(default=0.3, gt=0.0, le=2.0)
    success_rad: float = Field(default=0.1, gt=0.0, le=1.0, description="The valve is there when it is nearer than this to its goal.")
    near_rad: float = Field(default=0.25, gt=0.0, le=2.0, description="Width of the bonus for being near, at 1/e of it.")
    distance_weight: float = Field(default=0.2, ge=0.0, description="Per rad.")
    near_bonus: float = Field(default=0.5, ge=0.0, description="Times exp(-(distance / near_rad)^2): ROBEL's own two bonuses are steps.")
    success_bonus: float = Field(default=0.5, ge=0.0, description="Times exp(-(distance / success_rad)^2).")
    velocity_weight: float = Field(default=0.02, ge=0.0, description="On the mean of the joints' speeds beyond 0.5 rad/s, per rad/s.")
    intervention_weight: float = Field(default=0.3, ge=0.0, description="On the mean square of what hard stages of the guard changed.")
    mark_share: float = Field(default=0.7, gt=0.0, lt=1.0, description="The mark that the task is learned at: share of the time on goal.")

    @property
    def mark(self) -> float:
        """Measure at which the task counts as learned."""
        return self.mark_share

    @property
    def scaling(self) -> tuple[str, ...]:
        """Centres, scales and low-pass of the action, as "name=value"."""
        parts = ("side_scale_rad", "middle_center_rad", "middle_scale_rad", "tip_center_rad", "tip_scale_rad", "action_smoothing")
        return named(self, parts)


class TurnToSettings(TurnSettings):
    """Turning to an angle."""

    goal_spread_rad: float = Field(
        default=math.pi, ge=0.0, le=math.pi, description="Half-width of the goal of an episode, about goal_center_rad."
    )
    goal_center_rad: float = Field(default=0.0, ge=-math.pi, le=math.pi)

    @property
    def goal_rad_s(self) -> float:
        """The goal stands."""
        return 0.0


class ClawTurnConfig(TurnToSettings):
    """Turn the valve to an angle, which is measured."""

    kind: Literal["claw_turn"] = "claw_turn"
    valve_hidden: ClassVar[bool] = False


class ClawTurnPixelsConfig(TurnToSettings):
    """Turn the valve to an angle by sight alone (arXiv 1812.05905); what measures the valve serves the reward, as on the paper's claw."""

    kind: Literal["claw_turn_pixels"] = "claw_turn_pixels"
    valve_hidden: ClassVar[bool] = True


class ClawScrewConfig(TurnSettings):
    """Keep the valve turning at a speed: follow a goal that goes ahead."""

    kind: Literal["claw_screw"] = "claw_screw"
    valve_hidden: ClassVar[bool] = False
    time_limit_steps: int = Field(default=80, ge=1, description="80 are 8 s at 10 Hz.")
    goal_rad_s: float = Field(default=0.5, ge=-3.0, le=3.0, description="Speed of the goal.")
    mark_share: float = Field(default=0.5, gt=0.0, lt=1.0, description="The mark that the task is learned at: share of the time on goal.")


AnyTurnConfig = ClawTurnConfig | ClawTurnPixelsConfig | ClawScrewConfig
