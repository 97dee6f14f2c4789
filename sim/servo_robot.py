"""A simulated robot on Dynamixel servos: a Robot whose time is moved on by `SimulatedClock` and whose joints are registers.

Time law: `write` at t puts goal positions on the wire; they reach the registers at t + control latency, and physics moves only inside the
clock's wait. `read` at t shows the registers as they were at t - sensing latency. The same plant stands behind an emulated bus.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from robot.description import NEWEST_FIRMWARE, RobotDescription
from robot.dynamixel.plant import ServoPlant
from robot.dynamixel.readings import joint_readings
from robot.dynamixel.servos import Servo
from robot.dynamixel.tables import control_table
from robot.errors import ClosedError, RobotError, UsageError
from robot.protocols import MotorPhysics
from robot.types import Command, MotorConditions, RobotState, require_executable
from sim.camera import Scene
from sim.engine import Vector, whole_steps
from sim.servo_config import BodyNoiseConfig
from sim.servo_sensing import ImuQuantiser, ServoSensors

# A start pose counts as upright within 0.3 rad of the ground's normal: the fall angle of bullet3's reactive environment.
_UPRIGHT_COSINE = 0.955
_START_ATTEMPTS = 10


class ServoBody(MotorPhysics, Protocol):
    """What moves under the servos of a simulated robot."""

    @property
    def world(self) -> Scene:
        """Handles of the PyBullet world, for cameras."""

    def upright(self) -> float:
        """Return the cosine between the vertical axes of base and ground; 1 where the base is bolted down."""

    def push(self, force_world_n: Vector, steps: int) -> None:
        """Pull at the base's centre for a number of physics steps from now."""

    def close(self) -> None:
        """Release the world; once."""


class SimulatedServoRobot:
    """Implements Robot and Resettable. In its start pose when made, with torque on.

    Args:
        description: Joints, their motors and settings.
        physics: What the motors move.
        bus_period_s: Time between two reads, a whole number of physics steps.
        noise: Of what measures the base.
        seed: Of the first episode.
        imu_quantiser: Rounds the IMU's reading as a device does; None leaves it exact.

    Raises:
        UsageError: If the bus period does not fit the physics.
        RobotError: If the robot does not stand in its start pose.
    """

    def __init__(
        self,
        description: RobotDescription,
        physics: ServoBody,
        bus_period_s: float,
        noise: BodyNoiseConfig,
        seed: int = 0,
        imu_quantiser: ImuQuantiser | None = None,
    ) -> None:
        self.description = description
        self.joint_names = description.joint_names
        self._physics = physics
        self._plant = ServoPlant(
            provisioned_servos(description, physics.step_s), physics, whole_steps(bus_period_s, round(1.0 / physics.step_s))
        )
        self._map = description.joint_map
        self._readings = joint_readings(description)
        self._noise = noise
        self._imu_quantiser = imu_quantiser
        self._closed = False
        self._held: Command | None = None
        self._state: RobotState | None = None
        self.reset(np.random.default_rng(seed))

    @property
    def bus_period_s(self) -> float:
        """Time that one `advance` takes, s."""
        return self._plant.bus_steps * self._plant.step_s

    @property
    def now_s(self) -> float:
        """Simulated time, s; it goes on through resets."""
        return self._plant.step * self._plant.step_s

    @property
    def plant(self) -> ServoPlant:
        """Servos and physics, for whoever looks at registers."""
        return self._plant

    @property
    def world(self) -> Scene:
        """Handles of the PyBullet world, for cameras.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        return self._physics.world

    @property
    def conditions(self) -> MotorConditions:
        """What the newest reset drew for the motors."""
        return self._conditions

    def read(self) -> RobotState:
        self._require_open()
        if self._state is None:
            self._state = self._sensors.state(self._plant.sample(), self._plant.step)
        return self._state

    def write(self, command: Command) -> Command:
        self._require_open()
        require_executable(command, len(self.joint_names))
        if self._held is not None:
            return self._held
        raw = self._map.to_raw(command.position_rad)
        self._plant.put_goals(raw.tolist())
        return Command(self._map.position_rad(raw))

    def stop(self) -> None:
        if not self._closed and self._held is None:
            self._held = self.write(Command(self.read().joints.position_rad))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._physics.close()

    def reset(self, rng: np.random.Generator) -> None:
        """Draw a machine and a pose from `rng`, and hold the pose until the robot is still; a draw that ends leaning is drawn anew.

        Raises:
            ClosedError: After `close`.
            RobotError: If the robot stands after none of ten draws: the ground or the randomised machine does not let it.
        """
        self._require_open()
        self._held = None
        self._state = None
        self._conditions = stand_up(self._plant, self._physics, rng)
        # The first sample is older than now where measuring takes time.
        first_step = self._plant.sample().step
        self._sensors = ServoSensors(self._readings, self._noise, self._conditions, first_step, self._plant.step_s, self._imu_quantiser)

    def push(self, force_world_n: Vector, duration_s: float) -> None:
        """Pull at the base's centre from now on for `duration_s` seconds; a later call replaces this one, a reset ends it.

        Args:
            force_world_n: Shape (3,), N, world frame.
            duration_s: Rounded to whole physics steps.

        Raises:
            ClosedError: After `close`.
            UsageError: If the force or the duration is not finite, or the duration not positive.
        """
        self._require_open()
        if not (np.isfinite(force_world_n).all() and 0.0 < duration_s < float("inf")):
            raise UsageError(f"a push needs a finite force and a positive, finite duration: got {force_world_n} N for {duration_s} s")
        self._physics.push(force_world_n, round(duration_s / self._plant.step_s))

    def skip_to(self, now_s: float) -> None:
        """Let the time be `now_s` or later without moving physics, so that a log goes on behind an earlier process. For use before a reset.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        self._plant.step = max(self._plant.step, round(now_s / self._plant.step_s))

    def advance(self) -> None:
        """Move physics on by one bus period. Only a clock calls it.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        self._state = None
        self._plant.advance()

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("this simulated robot is closed: make a new one")


def stand_up(plant: ServoPlant, physics: ServoBody, rng: np.random.Generator) -> MotorConditions:
    """Reset a machine until it stands: a draw that ends leaning is drawn anew, up to ten times.

    Raises:
        RobotError: If it stands after none of them: the ground or the randomised machine does not let it.
    """
    cosine = -1.0
    for _ in range(_START_ATTEMPTS):
        conditions = plant.reset(rng)
        cosine = physics.upright()
        if cosine >= _UPRIGHT_COSINE:
            return conditions
    raise RobotError(
        f"the simulated robot does not stand after {_START_ATTEMPTS} resets (cosine of its tilt {cosine:.3f}, "
        f"needed {_UPRIGHT_COSINE}): use a gentler ground, narrower randomisation or a smaller start_pose_noise_rad"
    )


def provisioned_servos(description: RobotDescription, step_s: float) -> list[Servo]:
    """Return the servos of a robot's joints as provisioning leaves them, with torque on.

    Args:
        description: Of the robot.
        step_s: Physics step, s.
    """
    settings = description.servo
    servos = []
    for joint in description.joints:
        table = control_table(joint.model, NEWEST_FIRMWARE)
        servo = Servo(table, joint.sign, joint.zero_raw, step_s, description.bus.supply_v)
        registers = servo.registers
        registers.operating_mode = settings.operating_mode
        registers.position_p_gain = settings.position_p_gain
        registers.position_i_gain = settings.position_i_gain
        registers.position_d_gain = settings.position_d_gain
        registers.pwm_limit = registers.goal_pwm = settings.pwm_limit
        registers.torque_enable = 1
        servos.append(servo)
    return servos
