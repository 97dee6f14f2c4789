"""A simulated robot on Dynamixel servos: its joints are registers. The same plant stands behind an emulated bus."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from robot.description import NEWEST_FIRMWARE, OBJECT_RAD_S, RobotDescription
from robot.dynamixel.plant import ServoPlant
from robot.dynamixel.readings import joint_readings
from robot.dynamixel.servos import Servo
from robot.dynamixel.tables import control_table
from robot.dynamixel.units import VELOCITY_RAD_S, JointMap
from robot.errors import UsageError
from robot.protocols import MotorPhysics
from robot.types import Command, MotorConditions, RobotState
from sim.camera import Look, Scene
from sim.engine import whole_steps
from sim.fall import FALL_MAX_S
from sim.servo_config import BodyNoiseConfig
from sim.servo_sensing import ImuQuantiser, ServoSensors
from sim.stepped import PushedBody, SteppedRobot, fall_intact, stand_up


class ServoBody(MotorPhysics, PushedBody, Protocol):
    """What moves under the servos of a simulated robot."""

    @property
    def world(self) -> Scene:
        """Handles of the PyBullet world, for cameras."""

    def look(self) -> Look:
        """Return where a camera on it stands."""

    @property
    def feet(self) -> Mapping[str, Sequence[int]]:
        """Links of each foot, by the name of its leg."""

    def drop(self, rng: np.random.Generator) -> MotorConditions:
        """Draw a machine, any pose and any orientation; the caller holds the joints while the robot falls."""

    def intact(self) -> bool:
        """Tell whether each linkage is within its range."""

    def upright(self) -> float:
        """Return the cosine between the vertical axes of base and ground; 1 where the base is bolted down."""


@runtime_checkable
class HandTurned(Protocol):
    """A body with an object that a hand can turn."""

    def turn_valve(self, torque_nm: float, steps: int) -> None:
        """Let a hand turn at the object for a number of physics steps from now, N m; a later call replaces this one."""


class SimulatedServoRobot(SteppedRobot):
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
            provisioned_servos(description, physics.step_s, len(physics.joints())),
            physics,
            whole_steps(bus_period_s, round(1.0 / physics.step_s)),
        )
        self._map = description.joint_map
        self._readings = joint_readings(description)
        # An object that physics has a joint for is measured by the motor that it turns.
        self._object = description.auxiliary[0] if len(physics.joints()) > len(description.joints) else None
        self._object_map = None if self._object is None else JointMap([self._object.sign], [self._object.zero_raw])
        self._noise = noise
        self._imu_quantiser = imu_quantiser
        super().__init__(self._plant, physics)
        self.reset(np.random.default_rng(seed))

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

    def look(self) -> Look:
        self._require_open()
        return self._physics.look()

    @property
    def feet(self) -> Mapping[str, Sequence[int]]:
        return self._physics.feet

    @property
    def conditions(self) -> MotorConditions:
        """What the newest reset drew for the motors."""
        return self._conditions

    def _measure(self) -> RobotState:
        return self._sensors.state(self._plant.sample(), self._plant.step)

    def _send(self, command: Command) -> Command:
        raw = self._map.to_raw(command.position_rad)
        self._plant.put_goals(raw.tolist())
        return Command(self._map.position_rad(raw))

    def reset(self, rng: np.random.Generator) -> None:
        """Draw a machine and a pose from `rng`, and hold the pose until the robot is still; a draw that ends leaning is drawn anew.

        Raises:
            ClosedError: After `close`.
            RobotError: If the robot stands after none of ten draws: the ground or the randomised machine does not let it.
        """
        self._begin_reset()
        self._begin_episode(reset_standing(self._plant, self._physics, rng))

    def drop(self, rng: np.random.Generator) -> None:
        """Draw a machine, any joint angles and any orientation from `rng`; let the robot fall and wait until it is at rest.

        Angles are within the mechanical limits of the description. The servos hold them. A fall that pushes a leg beyond
        its range of motor gaps, where it may turn inside out for good, is drawn anew.

        Raises:
            ClosedError: After `close`.
            RobotError: If ten falls in a row do.
        """
        self._begin_reset()
        self._begin_episode(drop_intact(self._plant, self._physics, rng))

    def _begin_episode(self, conditions: MotorConditions) -> None:
        self._conditions = conditions
        # The first sample is older than now where measuring takes time.
        first_step = self._plant.sample().step
        self._sensors = ServoSensors(
            self._readings, self._noise, self._conditions, first_step, self._plant.step_s, self._imu_quantiser, self._object_map
        )

    def turn_object(self, angle_rad: float) -> Iterator[None]:
        """Let the auxiliary motor turn the object that it measures to an angle, slowly and by itself, until `release_object`.

        Returns an iterator with nothing in it: no request has to travel.

        Raises:
            ClosedError: After `close`.
            UsageError: If the robot has no such motor, or it does not reach so far.
        """
        self._require_open()
        motor, mapping = self._object, self._object_map
        if motor is None or mapping is None:
            raise UsageError(f"a simulated {self.description.name} has no object that a motor turns")
        motor.require_reach(angle_rad)
        place = len(self.joint_names)
        self._plant.put(place, "profile_velocity", round(OBJECT_RAD_S / VELOCITY_RAD_S))
        self._plant.put(place, "goal_position", int(mapping.to_raw(np.array([angle_rad]))[0]))
        self._plant.put(place, "torque_enable", 1)
        return iter(())

    def turn_by_hand(self, torque_nm: float, duration_s: float) -> None:
        """Let a hand turn at the object from now on for `duration_s` seconds; a later call replaces this one, a reset ends it.

        Args:
            torque_nm: N m, positive in the direction of positive angles.
            duration_s: Rounded to whole physics steps.

        Raises:
            ClosedError: After `close`.
            UsageError: If the robot has no object, the torque or the duration is not finite, or the duration not positive.
        """
        self._require_open()
        if not isinstance(self._physics, HandTurned):
            raise UsageError(f"a simulated {self.description.name} has no object that a hand could turn")
        if not (math.isfinite(torque_nm) and 0.0 < duration_s < math.inf):
            raise UsageError(f"a hand needs a finite torque and a positive, finite duration: got {torque_nm} N m for {duration_s} s")
        self._physics.turn_valve(torque_nm, round(duration_s / self._plant.step_s))

    def release_object(self) -> None:
        """Switch the torque of the auxiliary motor off.

        Raises:
            ClosedError: After `close`.
        """
        self._require_open()
        if self._object is not None:
            self._plant.put(len(self.joint_names), "torque_enable", 0)


def reset_standing(plant: ServoPlant, physics: ServoBody, rng: np.random.Generator) -> MotorConditions:
    """Reset a machine until it stands.

    Raises:
        RobotError: As `stand_up` does.
    """
    return stand_up(lambda: (plant.reset(rng), physics.upright()))


def drop_intact(plant: ServoPlant, physics: ServoBody, rng: np.random.Generator) -> MotorConditions:
    """Let a machine fall until its linkages are within their ranges at rest.

    Raises:
        RobotError: If ten falls in a row leave them.
    """

    def fall() -> tuple[MotorConditions, bool]:
        conditions = physics.drop(rng)
        plant.drop(conditions, FALL_MAX_S)
        return conditions, physics.intact()

    return fall_intact(fall)


def provisioned_servos(description: RobotDescription, step_s: float, motors: int) -> list[Servo]:
    """Return the servos of a robot as provisioning leaves them, with torque on; auxiliary ones let go.

    Args:
        description: Of the robot.
        step_s: Physics step, s.
        motors: How many there are: those of the joints, and auxiliary ones that physics has a joint for.
    """
    settings = description.servo
    servos = []
    for joint in description.motors[:motors]:
        table = control_table(joint.model, NEWEST_FIRMWARE)
        servo = Servo(table, joint.sign, joint.zero_raw, step_s, description.bus.supply_v)
        registers = servo.registers
        registers.operating_mode = settings.operating_mode
        registers.position_p_gain = settings.position_p_gain
        registers.position_i_gain = settings.position_i_gain
        registers.position_d_gain = settings.position_d_gain
        registers.pwm_limit = registers.goal_pwm = settings.pwm_limit
        registers.torque_enable = int(joint in description.joints)
        servos.append(servo)
    return servos
