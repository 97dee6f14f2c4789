"""The only door to the motors: a Robot around a Robot.

Each `write` is one bus tick: look at the newest state, decide the mode, filter the command or stop the robot, send, remember.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from robot.errors import CommandError, RobotError, UsageError
from robot.protocols import Robot
from robot.types import Command, RobotState
from safety.arming import arming_complaints, standing_complaints
from safety.capability import Capability
from safety.drive import AlwaysOn, Drive, Outside
from safety.emission import Emission, Emitter
from safety.faults import Fault, FaultBook, HeldError, cause_of
from safety.fingers import Fingers
from safety.limits import GuardConfig
from safety.modes import Ask, Inputs, ModeState, needs_person, next_mode, sentences
from safety.types import STOPPED, AppliedCommand, Cause, Mode, Note, Reason

# A tick later than this many periods is not executed; libfranka stops after 20 missed packets of 1 ms.
_LATE_PERIODS = 3.0
# What the robot was sent may differ from what was decided by rounding alone, rad.
_EQUAL_RAD = 1e-9
_OFF = frozenset((Mode.BOOT, Mode.DISARMED, Mode.CUT, Mode.TERMINATED))
_DRIVES = {Mode.ACTIVE: Ask.DRIVE, Mode.RESETTING: Ask.RESET, Mode.TELEOP: Ask.TELEOPERATE}


class GuardedRobot:
    """Filters every command at the bus rate, stops the robot where something is wrong, and says what it changed and why.

    Implements Robot and Armable. A robot begins without torque: `arm`, then `engage`. One whose torque is always on (a simulation) is armed
    by the first `engage`. The memory of the chain is seeded from the measured pose at each `engage`: the first emission differs from it by
    at most one step.

    Args:
        robot: The robot to guard; nobody else may hold it.
        config: Limits.
        period_s: Length of a bus tick, s.
        now_s: The robot's clock, monotonic, s: how late a tick is.
        ramp_ticks: Bus ticks in a policy tick: so many does a straight line from one command to the next take.
        drive: The robot's torque; None where it is always on.
        capability: What its motors can do: wider limits are never armed.
        pulse_rad: One count of its position registers, rad; None where it has none.
        fingers: Of a claw, to be kept apart by `collision_margin_m`; None where a robot has none.
        outside: Emergency stops and other reasons from outside.

    Raises:
        UsageError: If the limits do not fit the robot.
    """

    def __init__(
        self,
        robot: Robot,
        config: GuardConfig,
        period_s: float,
        *,
        now_s: Callable[[], float],
        ramp_ticks: int = 1,
        drive: Drive | None = None,
        capability: Capability | None = None,
        pulse_rad: float | None = None,
        fingers: Fingers | None = None,
        outside: Sequence[Outside] = (),
    ) -> None:
        if not period_s > 0.0:
            raise UsageError(f"the guard's period must be positive: got {period_s} s")
        self.config = config
        self._robot = robot
        self._joints = len(robot.joint_names)
        self._period_s = period_s
        self._now_s = now_s
        self._drive: Drive = AlwaysOn() if drive is None else drive
        self._capability = capability
        self._outside = tuple(outside)
        self._emitter = Emitter(robot.joint_names, config, period_s, ramp_ticks=ramp_ticks, pulse_rad=pulse_rad, fingers=fingers)
        self._modes = ModeState(since_s=now_s())
        self._raised = Cause.NONE
        self._state: RobotState | None = None
        self._written_s: float | None = None
        self._newest: AppliedCommand | None = None
        self._unsent = False
        self._notes = Note.NONE
        self._book = FaultBook(robot.joint_names)

    @property
    def joint_names(self) -> tuple[str, ...]:
        return self._robot.joint_names

    @property
    def mode(self) -> Mode:
        """Present state; docs/safety.md has the diagram."""
        return self._modes.mode

    @property
    def causes(self) -> Cause:
        """Why the robot is stopped; none while nothing stops it."""
        return self._modes.causes

    @property
    def armed(self) -> bool:
        """Whether torque is on."""
        return self._drive.armed

    @property
    def fault(self) -> Fault | None:
        """The newest stop by a cause, with the ticks that led to it."""
        return self._book.newest

    def read(self) -> RobotState:
        try:
            self._state = self._robot.read()
        except RobotError as error:
            self._state = None
            self._raised |= cause_of(error)
            # What stops from outside, and a cut, do not wait for a robot that can be read.
            self._look(Ask.NONE)
            with contextlib.suppress(RobotError):
                self._let_go()
            raise
        return self._state

    def refresh(self) -> RobotState:
        """Read for the first time after a pause: what a sensor that nobody read complains of then does not stop the robot.

        Raises:
            RobotError: That complaint; the next `read` counts.
        """
        self._state = None
        self._state = self._robot.read()
        return self._state

    def write(self, command: Command) -> AppliedCommand:
        """Run one bus tick with a command.

        Raises:
            CommandError: If the command has another shape than (n,); nothing is sent.
            HeldError: If torque is off: with the causes and the ticks before.
        """
        if command.position_rad.shape != (self._joints,):
            raise CommandError(
                f"a command of shape {command.position_rad.shape} was given to a guard of {self._joints} joints: it takes ({self._joints},)"
            )
        return self._tick(command)

    def idle(self) -> AppliedCommand:
        """Run one bus tick without a command that counts: a moving robot brakes and holds, any other does what its mode asks for."""
        return self._tick(None)

    def stop(self) -> None:
        """Brake and hold until `engage`; needs no permission and never raises."""
        self.trip(Cause.ASKED)

    def trip(self, cause: Cause) -> None:
        """Stop for a cause that something else has found; it acts at the next tick. Never raises."""
        self._raised |= cause
        self._step()

    def close(self) -> None:
        self._robot.stop()
        self._robot.close()

    def arm(self) -> None:
        """Check everything, then switch torque on where every joint stands: ARMED_HOLD.

        Raises:
            RobotError: With every check that fails; torque is then off.
        """
        if self.mode not in (Mode.BOOT, Mode.DISARMED):
            return
        self._look(Ask.RELEASE)
        complaints = arming_complaints(self.read(), self.config, self._emitter.widest, self.joint_names, self._capability)
        if self.causes:
            complaints.append(f"stopped because {sentences(self.causes)}")
        if complaints:
            raise RobotError(f"not armed: {'; '.join(complaints)}")
        if not self._drive.armed:
            self._drive.arm()
        self._reseed(Mode.ARMED_HOLD)
        self._step(Ask.ARM)

    def cut(self) -> None:
        """Switch torque off at once: the robot drops.

        Raises:
            BusError: If a motor does not confirm.
        """
        self._step(Ask.DISARM)
        self._drive.cut()
        self._step()

    def poll(self) -> None:
        """Look at what stops the robot from outside, without a bus tick: for one that lies without torque."""
        self._look(Ask.NONE)

    def require_releasable(self) -> None:
        """Look at what stops the robot; raise HeldError if only a person can end it: until then nobody is to move it, not even by hand."""
        self.poll()
        if needs_person(self.causes):
            raise self._held()

    def clear(self) -> None:
        """Say, as the operator, that what stopped the robot is over; what still holds goes on to."""
        self._step(Ask.CLEAR)

    def engage(self, mode: Mode = Mode.ACTIVE) -> None:
        """Let a policy (ACTIVE), a routine (RESETTING) or a person (TELEOP) drive, from where the robot stands.

        Ends the causes that need no person. The robot must be armed; one without a switch for its torque is armed here.

        Raises:
            HeldError: If something stops the robot: what, and what ends it; or a joint stands outside of the widest limits, as one does
                whose encoder has jumped.
        """
        if mode not in _DRIVES:
            raise UsageError(f"a robot is driven in mode {', '.join(m.name for m in _DRIVES)}: got {mode.name}")
        if isinstance(self._drive, AlwaysOn) and self.mode in (Mode.BOOT, Mode.DISARMED):
            self.arm()
        if outside := standing_complaints(self._robot.read().joints, self._emitter.widest, self.joint_names):
            raise HeldError(f"the robot is in {self.mode.name} and stays there: {'; '.join(outside)}", self.fault)
        # What was seen before belongs to before.
        self._emitter.watch_anew()
        self._notes |= Note.WATCHED_ANEW
        self._written_s = None
        self._look(Ask.RELEASE | Ask.REST)
        if self.mode is not Mode.ARMED_HOLD:
            raise self._held()
        self._reseed(mode)
        self._step(_DRIVES[mode])

    def _held(self) -> HeldError:
        mode, causes = self._modes.mode, self._modes.causes
        why = f"because {sentences(causes)}" if causes else "arm it first" if mode in _OFF else "nothing drives it"
        return HeldError(f"the robot is in {mode.name}: {why}", self.fault)

    def _look(self, asks: Ask, *, settled: bool = False) -> None:
        """Ask the outside, and let one step of the modes follow."""
        for source in self._outside:
            causes, more = source.look()
            self._raised |= causes
            asks |= more
        self._step(asks, settled=settled)

    def _step(self, asks: Ask = Ask.NONE, *, settled: bool = False) -> None:
        before = self._modes
        # Only `arm` asks to be armed, when every check has passed.
        inputs = Inputs(self.armed, Ask.ARM in asks, self._raised, asks, settled)
        self._raised = Cause.NONE
        self._modes = after = next_mode(before, inputs, self._now_s())
        if after.causes & ~before.causes and after.mode in STOPPED:
            self._book.note(after, self._now_s())

    def _tick(self, command: Command | None) -> AppliedCommand:
        now_s = self._now_s()
        passed_s = math.inf if self._written_s is None else now_s - self._written_s
        if passed_s <= 0.0 and self._newest is not None:
            return replace(self._newest, reasons=self._newest.reasons | Reason.LATE, notes=Note.SKIPPED)
        if math.isfinite(passed_s) and passed_s > _LATE_PERIODS * self._period_s:
            self._raised |= Cause.LATE
        self._written_s = now_s
        state = self.read() if self._state is None else self._state
        if not self._emitter.begun:
            self._reseed(self.mode)
        if self._unsent:
            self._notes |= Note.UNSENT
        self._unsent = True
        self._raised |= self._emitter.watch(state, self.mode, command)
        self._look(Ask.NONE, settled=self._emitter.at_rest(state.joints.position_rad))
        if self.mode in _OFF:
            self._let_go()
            raise self._held()
        emission = self._emitter.emit(state, self.mode, command)
        if emission.causes:
            self._raised |= emission.causes
            self._step()
        applied = self._send(emission, state, command)
        self._emitter.keep(emission)
        self._unsent = False
        # The next tick looks anew.
        self._state = None
        return applied

    def _send(self, emission: Emission, state: RobotState, command: Command | None) -> AppliedCommand:
        sent = emission.target_rad
        sent.flags.writeable = False
        try:
            done = self._robot.write(Command(sent))
        except RobotError as error:
            self._raised |= cause_of(error)
            self._step()
            raise
        if not (np.abs(done.position_rad - sent) <= _EQUAL_RAD).all():
            self._raised |= Cause.MISMATCH
            self._step()
            self._let_go()
            raise self._held()
        notes = self._notes if command is not None else self._notes | Note.IDLE
        self._notes = Note.NONE
        self._newest = applied = AppliedCommand(sent, emission.reasons, self.mode, self.causes, notes, self._emitter.heating_a2)
        self._book.add(state, applied, command)
        return applied

    def _reseed(self, mode: Mode) -> None:
        """Begin at the measured pose, for what drives in a mode."""
        self._state = self._robot.read()
        self._emitter.begin(self._state.joints.position_rad, mode)
        self._notes = self._notes & (Note.WATCHED_ANEW | Note.UNSENT) | (Note.BEGUN if self._emitter.narrow else Note.BEGUN_WIDE)

    def _let_go(self) -> None:
        """Switch torque off where the mode asks for it."""
        if self.mode in (Mode.CUT, Mode.TERMINATED) and self._drive.armed:
            self._drive.cut()
            self._step()
