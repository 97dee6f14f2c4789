"""What a simulated Minitaur can be told. Ranges: bullet3's Minitaur environments and randomisers unless another source is named."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if not 0.0 <= bounds[0] <= bounds[1] < float("inf"):
        raise ValueError(f"a range is (low, high) with 0 <= low <= high: got {bounds}")
    return bounds


# What draws pictures: see sim.renderer.
RendererKind = Literal["software", "egl"]

# From low to high, both included.
Range = Annotated[tuple[float, float], AfterValidator(_ordered)]


class FlatGround(BaseModel):
    """A plane at height 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["flat"] = "flat"


class SlopeGround(BaseModel):
    """A tilted plane through the origin; positive rises towards +x."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["slope"] = "slope"
    # At its start pose the Minitaur stays on 0.4 rad and slides on 0.45; standing tall, at 2.0 rad, it tips on 0.3 (measured).
    angle_rad: float = Field(default=0.1, ge=-0.35, le=0.35)


class BlocksGround(BaseModel):
    """Boxes of random height side by side, around a flat start; the same seed lays the same boxes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["blocks"] = "blocks"
    seed: int = Field(default=0, ge=0)
    size_m: float = Field(default=0.25, ge=0.1, le=2.0)
    # About half of what a leg shortens from 2.0 to pi/2 rad, 0.054 m.
    height_max_m: float = Field(default=0.03, ge=0.0, le=0.15)
    length_m: float = Field(default=4.0, gt=0.0, le=10.0)
    width_m: float = Field(default=2.0, gt=0.0, le=10.0)


class StepsGround(BaseModel):
    """Stairs that rise towards +x after a flat start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["steps"] = "steps"
    rise_m: float = Field(default=0.02, gt=0.0, le=0.15)
    run_m: float = Field(default=0.4, ge=0.1, le=2.0)
    count: int = Field(default=10, ge=1, le=100)
    width_m: float = Field(default=2.0, gt=0.0, le=10.0)


GroundConfig = Annotated[FlatGround | SlopeGround | BlocksGround | StepsGround, Field(discriminator="kind")]


class NoiseConfig(BaseModel):
    """Standard deviations of white noise on the sensors; 0 is exact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position_rad: float = Field(default=0.0, ge=0.0, le=0.5)
    velocity_rad_s: float = Field(default=0.0, ge=0.0, le=10.0)
    torque_nm: float = Field(default=0.0, ge=0.0, le=2.0)
    # Of a rotation about a random axis of the base.
    orientation_rad: float = Field(default=0.0, ge=0.0, le=0.5)
    gyro_rad_s: float = Field(default=0.0, ge=0.0, le=5.0)
    tracked_position_m: float = Field(default=0.0, ge=0.0, le=0.1)
    tracked_velocity_m_s: float = Field(default=0.0, ge=0.0, le=1.0)


class RandomisationConfig(BaseModel):
    """What each reset draws anew, uniformly, while `enabled`; scales multiply the nominal value, the others replace it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    # One scale for the base, one for the legs.
    mass_scale: Range = (0.8, 1.2)
    inertia_scale: Range = (0.5, 1.5)
    # One scale for each motor.
    motor_strength_scale: Range = (0.8, 1.2)
    # Both gains of the position loop together: +-20% costs a fixed policy a quarter of its speed (measured).
    gain_scale: Range = (0.8, 1.2)
    # Lost volts per rad/s, beside the back-EMF.
    viscous_damping: Range = (0.0, 0.05)
    # 0 to 40 ms in all.
    control_latency_s: Range = (0.0, 0.02)
    sensing_latency_s: Range = (0.0, 0.02)
    foot_friction: Range = (0.5, 1.25)
    battery_v: Range = (14.0, 16.8)
    joint_friction_nm: Range = (0.0, 0.05)


class MinitaurConfig(BaseModel):
    """The simulated Minitaur: physics, motors, delays, sensors, ground."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["minitaur"] = "minitaur"
    physics_hz: int = Field(default=500, ge=250, le=4000)
    # At 20 the five-bars close to 1.6 mm on average (measured at 500 Hz while trotting).
    solver_iterations: int = Field(default=20, ge=5, le=500)
    # Contacts between the robot's own links: +65% to 80% time a step (measured).
    self_collision: bool = False
    # Duty cycle per rad and per rad/s.
    kp: float = Field(default=1.0, ge=0.0, le=10.0)
    kd: float = Field(default=0.02, ge=0.0, le=1.0)
    battery_v: float = Field(default=16.0, ge=5.0, le=25.0)
    viscous_damping: float = Field(default=0.0, ge=0.0, le=1.0)
    # Coulomb friction of the motors and knees, N m.
    joint_friction_nm: float = Field(default=0.0, ge=0.0, le=1.0)
    foot_friction: float = Field(default=1.0, ge=0.0, le=5.0)
    # A motor above 2.45 N m for 1 s is off until the next reset.
    overheat_shutdown: bool = True
    # Both are rounded to whole physics steps; the ages in the state tell what was applied.
    control_latency_s: float = Field(default=0.0, ge=0.0, le=0.2)
    sensing_latency_s: float = Field(default=0.0, ge=0.0, le=0.2)
    noise: NoiseConfig = NoiseConfig()
    # Angle of all motors at the start of an episode, and the half-width of what is added to each. 2.0 is the middle of the leg's travel.
    start_pose_rad: float = Field(default=1.5707963267948966, ge=1.2, le=2.3)
    start_pose_noise_rad: float = Field(default=0.1, ge=0.0, le=0.3)
    ground: GroundConfig = FlatGround()
    randomise: RandomisationConfig = RandomisationConfig()
    # Show a window; needs a display.
    gui: bool = False
    # What draws the pictures of its camera: software is the same everywhere, egl is OpenGL, faster where there is a graphics card.
    renderer: RendererKind = "software"

    @model_validator(mode="after")
    def _start_pose_within_travel(self) -> Self:
        low, high = self.start_pose_rad - self.start_pose_noise_rad, self.start_pose_rad + self.start_pose_noise_rad
        if not 1.0 <= low <= high <= 2.5:
            raise ValueError(f"start_pose_rad +- start_pose_noise_rad is {low} to {high} rad: stay within 1.0 to 2.5 rad")
        return self
