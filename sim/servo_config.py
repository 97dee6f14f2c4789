"""What simulated robots on Dynamixel servos can be told; the servos, their gains and their supply are those of its description."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from robot.dynamixel.bench_physics import FRICTION_NM
from sim.config import FlatGround, GroundConfig, Range, RendererKind


class BodyNoiseConfig(BaseModel):
    """Standard deviations of white noise on what measures the base; 0 is exact. Joints are as exact as their registers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Of a rotation about a random axis of the base.
    orientation_rad: float = Field(default=0.0, ge=0.0, le=0.5)
    gyro_rad_s: float = Field(default=0.0, ge=0.0, le=5.0)
    tracked_position_m: float = Field(default=0.0, ge=0.0, le=0.1)
    tracked_velocity_m_s: float = Field(default=0.0, ge=0.0, le=1.0)


class ServoRandomisationConfig(BaseModel):
    """What each reset draws anew, uniformly, while `enabled`; scales multiply the nominal value, the others replace it.

    Ranges: bullet3's Minitaur randomisers unless another source is named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    # One scale for the base, one for the legs.
    mass_scale: Range = (0.8, 1.2)
    inertia_scale: Range = (0.5, 1.5)
    # One scale for each motor.
    motor_strength_scale: Range = (0.8, 1.2)
    # A lithium battery of three cells, from empty to full.
    supply_v: Range = (11.1, 12.6)
    # 0 to 40 ms in all.
    control_latency_s: Range = (0.0, 0.02)
    sensing_latency_s: Range = (0.0, 0.02)
    foot_friction: Range = (0.5, 1.25)
    joint_friction_nm: Range = (0.0, 0.05)


class ServoMachineConfig(BaseModel):
    """Physics, servos and delays of any machine on servos."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # At 500 Hz a knee of the kitty that reverses at full drive overshoots its no-load speed by a third; at 1000 Hz it keeps it (measured).
    physics_hz: int = Field(default=1000, ge=500, le=4000, description="Physics steps per second; the servos' loops run at each.")
    solver_iterations: int = Field(default=20, ge=5, le=500)
    self_collision: bool = Field(default=False, description="Contacts between the robot's own links.")
    joint_friction_nm: float = Field(default=FRICTION_NM, ge=0.0, le=1.0, description="Coulomb friction of each servo's gear, N m.")
    gain_scale: float = Field(
        default=1.0, ge=0.1, le=10.0, description="What each position loop makes of an error, as a factor on its register's P gain."
    )
    motor_strength: float = Field(default=1.0, ge=0.1, le=3.0, description="Factor on the torque of each servo; randomisation multiplies.")
    control_latency_s: float = Field(
        default=0.0,
        ge=0.0,
        le=0.2,
        description="Rounded to whole physics steps, as is the sensing latency; ages tell what was applied.",
    )
    sensing_latency_s: float = Field(default=0.0, ge=0.0, le=0.2)
    start_pose_noise_rad: float = Field(
        default=0.1, ge=0.0, le=0.3, description="Half-width of what is added to each joint of the home pose at the start of an episode."
    )
    gui: bool = Field(default=False, description="Show a window; needs a display.")
    renderer: RendererKind = Field(
        default="software",
        description="What draws its camera's pictures: software is the same everywhere, egl is OpenGL, faster where a graphics card is.",
    )


class ServoRobotConfig(ServoMachineConfig):
    """A machine on legs, whatever its shape: its base, the sensors on it, and the ground."""

    foot_friction: float = Field(default=1.0, ge=0.0, le=5.0, description="The ground's is 1 and the two multiply.")
    noise: BodyNoiseConfig = BodyNoiseConfig()
    imu: Literal["exact", "witmotion", "vectornav"] = Field(
        default="exact", description="What measures orientation and rate, and rounds them; behind an emulated bus it has a wire of its own."
    )
    ground: GroundConfig = FlatGround()
    randomise: ServoRandomisationConfig = ServoRandomisationConfig()
