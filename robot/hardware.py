"""A robot of Dynamixel motors on a bus: a Robot whose joints are registers.

Time law: `advance` begins a bus tick; the first `read` after it asks the motors, later ones repeat its answer. `write` sends goals at once.
The motors' own watchdog stops them when nothing is sent: a process that dies stops its robot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from robot.calibration import Calibration, require_same_robot
from robot.clock import monotonic_s, sleep_s
from robot.connection import set_up
from robot.description import OBJECT_RAD_S, RobotDescription
from robot.dynamixel.provision import Change, SetupBus
from robot.dynamixel.units import VELOCITY_RAD_S, RawArray
from robot.errors import BusError, ClosedError, FetlockError, MotorError, RobotError, UsageError
from robot.listener import Listener, Senses
from robot.types import Command, RobotState, require_executable

# How long motors that start again are waited for, and how often they are asked, s.
_RETURN_S, _ASK_S = 3.0, 0.05


class HardwareRobot:
    """Implements Robot and Armable. Connected and set up when made, with torque off: `arm` switches it on.

    Goals are rounded to pulses and kept inside of the joints' ranges, and within what a motor can turn in a tick from the goal before or
    from where it is; `write` returns what was sent. `read` gives the hardware errors of all motors; one that reports any stays readable.

    Closing lets go of the bus, not of the robot: its motors hold where they stand. `cut` switches torque off.

    Args:
        description: Of the robot.
        connect: Opens the bus; called again by `reconnect`.
        calibration: Of this machine.
        bus_period_s: Time between two ticks.
        senses: IMU and tracker.
        now_s: The clock of stamps and ages: the monotonic one, or that of a machine that runs in lockstep.
        source: Where the calibration is from, for messages.
        lockstep: The machine moves when it is read: each tick reads it once, whether or not anybody looks.

    Raises:
        PortError: If the port cannot be opened.
        MotorError: If motors are missing, of another model, or report errors; no motor has moved.
        BusError: If a motor does not answer or refuses.
        CalibrationError: If the calibration is of another robot, or a joint stands where it cannot.
    """

    def __init__(
        self,
        description: RobotDescription,
        connect: Callable[[], SetupBus],
        calibration: Calibration,
        bus_period_s: float,
        senses: Senses | None = None,
        now_s: Callable[[], float] = monotonic_s,
        source: str = "the calibration",
        *,
        lockstep: bool = False,
    ) -> None:
        require_same_robot(calibration, description, source)
        self.description = description
        self.joint_names = description.joint_names
        self.bus_period_s = bus_period_s
        self._calibration = calibration
        self._connect = connect
        self._senses = senses or Senses()
        self._now_s = now_s
        self._lockstep = lockstep
        self._closed = self._armed = False
        self._errors_before = 0
        self._held: Command | None = None
        self._state: RobotState | None = None
        self._goals: RawArray = np.zeros(len(self.joint_names), np.int64)
        self._sent_s = monotonic_s()
        self._open()

    @property
    def now_s(self) -> float:
        """Time of the robot's clock, s."""
        return self._now_s()

    @property
    def armed(self) -> bool:
        """Whether torque was switched on, and not off since."""
        return self._armed

    @property
    def bus_errors(self) -> int:
        """Answers of motors that did not come or were errors, since the robot was made, through reconnections."""
        return self._errors_before + self._bus.count.errors

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the newest connection had to change in the motors."""
        return self._connection.changes

    def read(self) -> RobotState:
        self._require_open()
        if self._state is None:
            self._require_watchdogs_fed()
            self._state = self._listener.state(armed=self._armed)
        return self._state

    def write(self, command: Command) -> Command:
        self._require_open()
        require_executable(command, len(self.joint_names))
        if self._held is not None:
            if self._armed:
                # The same goals again, for the motors' watchdog.
                self._send(self._goals)
            return self._held
        if not self._armed:
            raise RobotError("torque is off: arm the robot before it is moved")
        link = self._connection
        raw = link.joint_map.to_raw(command.position_rad)
        low, high = link.bounds
        # A joint that something has held back is far from its goal: to let the goal come back to it is no jump.
        present = self._goals if self._state is None else link.joint_map.to_raw(self._state.joints.position_rad)
        nearest, furthest = np.minimum(self._goals, present) - link.step_raw, np.maximum(self._goals, present) + link.step_raw
        raw = np.clip(np.clip(raw, nearest, furthest), low, high)
        self._send(raw)
        return Command(link.joint_map.position_rad(raw))

    def stop(self) -> None:
        if self._closed or self._held is not None:
            return
        held = Command(self._connection.joint_map.position_rad(self._goals))
        with contextlib.suppress(FetlockError):
            held = Command(self.read().joints.position_rad)
            held = self.write(held)
        self._held = held

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for part in (self._bus, self._senses.imu, self._senses.tracker):
            if part is not None:
                part.close()

    def advance(self) -> None:
        """Begin a bus tick. Only a clock calls it.

        Raises:
            ClosedError: After `close`.
            RobotError: In lockstep, as `read`.
        """
        self._require_open()
        self._state = None
        if self._lockstep:
            self.read()

    def arm(self) -> None:
        """Switch torque on where every joint stands, the motors' watchdog before it; ends a HOLD.

        Raises:
            RobotError: If a check fails; torque is then off.
        """
        self._require_open()
        link = self._connection
        self._goals = link.group.arm(link.bounds, self.description.servo.watchdog_s)
        self._armed, self._held, self._state = True, None, None
        self._sent_s = monotonic_s()

    def cut(self) -> None:
        """Switch torque off: the robot drops.

        Raises:
            ClosedError: After `close`.
            BusError: If a motor does not confirm.
        """
        self._require_open()
        # Until every motor confirms, torque may be on.
        self._connection.group.cut()
        self._armed = False

    def turn_object(self, angle_rad: float) -> Iterator[None]:
        """Let the first auxiliary motor turn the object that it measures to an angle, slowly and by itself, until `release_object`.

        Returns what does it, one or two requests to that motor at a time: a loop at the bus rate takes the next in each of its ticks.

        Raises:
            UsageError: If the robot has no such motor, or it does not reach so far.
            RobotError: If the robot is not armed, or the motor reports an error or refuses.
        """
        self._require_open()
        mapping, object_motors = self._connection.object_map, self.description.auxiliary
        if mapping is None:
            raise UsageError(f"a {self.description.name} has no auxiliary motor that could turn an object: describe it under auxiliary")
        motor = object_motors[0]
        motor.require_reach(angle_rad)
        if not self._armed:
            raise RobotError("torque is off: arm the robot before its object is turned")
        goal = int(mapping.to_raw(np.full(len(object_motors), angle_rad))[0])
        return self._connection.group.turn(
            len(self.joint_names), goal, round(OBJECT_RAD_S / VELOCITY_RAD_S), self.description.servo.watchdog_s
        )

    def release_object(self) -> None:
        """Switch the torque of the first auxiliary motor off.

        Raises:
            BusError: If it does not confirm.
        """
        self._require_open()
        self._connection.group.cut((len(self.joint_names),))

    def resync(self) -> None:
        """Take the robot as it is after something else has moved it, such as the reset of an emulated machine; ends a HOLD.

        Raises:
            MotorError: If a motor has lost its torque meanwhile: answers are believed from here on, whatever its clock says.
            RobotError: As `read`.
        """
        self._require_open()
        self._connection.group.forget()
        self._held = self._state = None
        self._sent_s = monotonic_s()
        self._goals = self._connection.joint_map.to_raw(self.read().joints.position_rad)
        if self._armed:
            self._listener.require_torque(np.arange(len(self.joint_names)))

    def recover(self) -> None:
        """Restart motors that report an error, set all up again and verify them; torque stays off.

        Only on request, and never in an episode: it takes about a second.

        Raises:
            RobotError: If a motor does not come back.
        """
        self._require_open()
        self._armed = False
        group = self._connection.group
        # A motor that has just started again answers nobody for a moment, and has no torque.
        with contextlib.suppress(BusError):
            group.cut()
        deadline_s = monotonic_s() + _RETURN_S
        while any(self._bus.ping(motor) is None for motor in group.ids) and monotonic_s() < deadline_s:
            sleep_s(_ASK_S)
        group.forget()
        for motor in group.with_errors():
            self._bus.reboot(motor)
        self._set_up()

    def reconnect(self) -> None:
        """Open the bus again after it was lost, find the motors and set them up; torque stays off.

        Raises:
            PortError: If the port is still gone.
            RobotError: If a motor is not as it was.
        """
        self._require_open()
        self._errors_before += self._bus.count.errors
        self._bus.close()
        self._open()

    def _send(self, goals: RawArray) -> None:
        self._connection.group.write_goals(goals)
        self._goals = goals
        self._sent_s = monotonic_s()

    def _open(self) -> None:
        self._bus = self._connect()
        try:
            self._set_up()
        except BaseException:
            self._bus.close()
            raise

    def _set_up(self) -> None:
        self._armed = False
        self._held = self._state = None
        self._connection = set_up(self._bus, self.description, self._calibration, self.bus_period_s, self._now_s)
        self._listener = Listener(self._connection, self.joint_names, self._senses, self.bus_period_s)
        self._sent_s = monotonic_s()

    def _require_watchdogs_fed(self) -> None:
        """Look at the motors' watchdogs after a pause in which they may have expired: a locked motor ignores its goals in silence."""
        paused = self._armed and monotonic_s() - self._sent_s > self.description.servo.watchdog_s
        self._sent_s = monotonic_s()
        if paused and (expired := self._connection.group.watchdogs_expired()):
            self._armed = False
            raise MotorError(
                f"motor {', '.join(map(str, expired))} stopped: nothing was sent for {self.description.servo.watchdog_s} s; "
                "torque holds where they stand: arm the robot again"
            )

    def _require_open(self) -> None:
        if self._closed:
            raise ClosedError("this robot is closed: connect anew")
