"""What motors and sensors say, as the state of a robot; and which silence, wrong answers and lost torque are faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot.connection import Connection
from robot.dynamixel.group import GroupState
from robot.errors import BusError, MotorError, StaleError
from robot.protocols import BaseTracker, ImuSource
from robot.types import FloatArray, RobotState, TrackedAngle, frozen_array

# How many ticks a joint may be silent: ten lost answers are a fault, one is not.
_SILENT_TICKS = 10
# Ticks, of ten, with a wrong answer in the place of a right one, before one in which all motors are heard: the fault list asks for three.
_WRONG_TICKS = 3


@dataclass(frozen=True, slots=True)
class Senses:
    """What a robot has beside its joints; closed with it."""

    imu: ImuSource | None = None
    tracker: BaseTracker | None = None


class Listener:
    """Asks the motors of a connection, and looks at the other senses.

    Args:
        link: Found and set up.
        joint_names: Of the driven motors.
        senses: IMU and tracker.
        bus_period_s: Time between two ticks.
    """

    def __init__(self, link: Connection, joint_names: Sequence[str], senses: Senses, bus_period_s: float) -> None:
        self._link = link
        self._joint_names = joint_names
        self._senses = senses
        self._silence_s = _SILENT_TICKS * bus_period_s

    def state(self, *, armed: bool) -> RobotState:
        """Ask all motors now.

        Args:
            armed: Torque should be on.

        Raises:
            StaleError: If a joint has been silent for ten ticks.
            MotorError: If one that was silent says that it has no torque though it should.
            BusError: If wrong answers came in three ticks of ten.
            PortLostError: If the port is gone.
        """
        group = self._link.group
        # A motor that nobody has asked was not silent.
        said = group.read() if group.asked_within(self._silence_s) else group.read_all()
        now_s = said.stamp_s
        joints = slice(0, len(self._joint_names))
        age_s = now_s - said.measured_s
        self._require_right(said)
        self._require_heard(age_s[joints], armed=armed)
        shown = self._link.readings.state(
            now_s, frozen_array(age_s[joints]), said.position_raw[joints], said.velocity_raw[joints], said.current_raw[joints]
        )
        return RobotState(
            replace(shown, temperature_c=frozen_array(said.temperature_c[joints]), hardware_error=said.hardware_error[joints]),
            imu=None if self._senses.imu is None else self._senses.imu.read(),
            tracked_base=None if self._senses.tracker is None else self._senses.tracker.read(),
            tracked_object=self._object(said, age_s),
            voltage_v=said.voltage_v,
        )

    def require_torque(self, suspects: np.ndarray) -> None:
        """Ask motors whose answers do not count for their torque: one that restarted has none, and a clock unlike the one before.

        Raises:
            MotorError: If one has none.
        """
        if limp := self._link.group.without_torque(suspects.tolist()):
            raise MotorError(
                f"motor {', '.join(map(str, limp))} has lost its torque while the robot was armed: it restarted, or shut down; cut torque, "
                "then set the motors up again"
            )

    def _require_right(self, said: GroupState) -> None:
        if said.wrong_reads >= _WRONG_TICKS:
            missing = ", ".join(str(motor) for motor, fresh in zip(self._link.group.ids, said.fresh, strict=True) if not fresh)
            raise BusError(
                f"answers of a wrong id or length came in {said.wrong_reads} ticks, in the place of those of motor {missing} "
                f"(bound {_WRONG_TICKS - 1}): two motors with one id, or one that is broken; look with `fetlock bus scan`"
            )

    def _require_heard(self, age_s: FloatArray, *, armed: bool) -> None:
        if float(age_s.max()) <= self._silence_s:
            return
        if armed:
            self.require_torque(np.flatnonzero(age_s > 0.0))
        worst = int(age_s.argmax())
        raise StaleError(
            f"joint {self._joint_names[worst]} (motor {self._link.group.ids[worst]}) has been silent for {age_s[worst]:.3f} s "
            f"(bound {self._silence_s:.3f}): look at its cable, its supply and its hardware errors"
        )

    def _object(self, said: GroupState, age_s: FloatArray) -> TrackedAngle | None:
        """Return what the first auxiliary motor measures."""
        mapping = self._link.object_map
        if mapping is None:
            return None
        first = len(self._joint_names)
        angle, rate = mapping.position_rad(said.position_raw[first:]), mapping.velocity_rad_s(said.velocity_raw[first:])
        return TrackedAngle(float(angle[0]), float(rate[0]), float(age_s[first]))
