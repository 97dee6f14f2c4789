"""The motion process's loop: a guarded robot at the bus rate, served to other processes over shared memory.

Each tick: execute a request, read the state, take the newest command, write it through the guard, publish the tick, wait for the next
absolute deadline. Nothing waits for a client. A robot's error is published, the robot stopped, and the next tick tries again; any other
exception ends the process, and then the motors' own watchdog is the last line.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from robot.errors import FetlockError, RobotError, UsageError
from robot.types import Command, RobotState, frozen_array
from safety.machine import Machine, Silence
from safety.motion import BusTick
from safety.motion_link import About, MotionLink
from safety.motion_records import CLIENTS_CAUSES, STATUS, TICK_HEAD, Request, command_dtype
from safety.served_routine import ServedRoutine
from safety.tick_records import Record, pack_tick
from safety.types import STOPPED, AppliedCommand, Cause, Mode, Note, Reason

# How often a robot that is not driven has its garbage collected: of a frozen heap it takes microseconds.
_COLLECT_EVERY_S = 1.0


class MotionServer:
    """Serves one machine; close it at the end.

    Args:
        machine: What is served.
        link: Blocks made for it.
        silence: When the commands of a silent client stop counting.
        now_s: Monotonic time, s.
        granted: What the kernel granted, one line each, for clients to show.
    """

    def __init__(
        self, machine: Machine, link: MotionLink, silence: Silence, now_s: Callable[[], float], granted: tuple[str, ...] = ()
    ) -> None:
        self._machine = machine
        self._link = link
        self._silence = silence
        self._now_s = now_s
        joints = len(machine.robot.joint_names)
        self._none = np.zeros(1, command_dtype(joints))
        self._status = np.zeros(1, STATUS)
        self._routine = ServedRoutine(machine)
        # The command in effect; None: the robot is left where it is.
        self._target: Command | None = None
        self._stamp_s = 0.0
        self._epoch = self._sequence = 0
        self._stop_s = 0.0
        self._collected_s = now_s()
        self._closing = False
        if machine.drive is None:
            # Its torque has no switch: it stands, ready to be driven.
            machine.robot.engage()
        link.status.publish(self._status)
        link.words.set("heartbeat_s", now_s())
        link.introduce(About(os.getpid(), machine.clock.period_s, machine.robot.joint_names, granted))

    @property
    def closing(self) -> bool:
        """Whether a client has asked the server to end."""
        return self._closing

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Tick until a client asks for the end or `goes_on`, asked at every tick, says no."""
        self._resume()
        while not self._closing and goes_on():
            self.tick()
            self._machine.clock.wait()

    def tick(self) -> None:
        """Run one bus tick, without the wait."""
        woke_s = self._now_s()
        counts = self._machine.schedule.statistics
        lateness_s = counts.lateness_s
        self._heed_stop()
        self._serve_request()
        if self._routine.running and not self._link.owned:
            # A robot that nobody looks after does not move.
            self._interrupt("its client is gone")
            self._machine.robot.trip(Cause.SILENT)
        try:
            state = self._machine.robot.read()
        except RobotError as error:
            self._fail(error)
        else:
            self._take_command()
            deadline_s = woke_s - lateness_s + self._machine.clock.period_s
            self._publish(self._drive(state), counts.missed, deadline_s, lateness_s)
        self._link.words.set("heartbeat_s", self._now_s())
        self._collect_when_idle()

    def halt(self, reason: str) -> None:
        """Stop the robot and say goodbye, torque as it is: for an end that nobody asked for. The motors' watchdog does the rest."""
        self._machine.robot.stop()
        self._status["closed"], self._status["error"] = 1, _text(reason)
        self._link.status.publish(self._status)

    def close(self, *, cut: bool = False) -> None:
        """Stop the robot, let it go if asked, release it, and say goodbye; the blocks are the caller's to unlink.

        Raises:
            RobotError: If a motor does not confirm that its torque is off; the robot is released all the same.
        """
        self.halt("it was asked to end")
        try:
            if cut and self._machine.drive is not None:
                self._machine.robot.cut()
        finally:
            self._machine.robot.close()

    def _heed_stop(self) -> None:
        asked_s = self._link.words.get("stop_s")
        if asked_s != self._stop_s:
            self._stop_s = asked_s
            self._hold()
            self._link.words.set("stopped_s", asked_s)

    def _newest(self) -> Record:
        """Return the newest command that has not been taken, else the empty one. Old epochs and sequences are nobody's."""
        epoch = int(self._link.words.get("epoch"))
        if epoch != self._epoch:
            # A new owner: nothing that an earlier one asked for counts any more.
            self._interrupt("another client has come")
            self._epoch, self._sequence, self._target = epoch, 0, None
        record = self._link.command.read()
        if record is None or int(record["epoch"][0]) != self._epoch or int(record["sequence"][0]) <= self._sequence:
            return self._none
        return record

    def _take_command(self) -> None:
        row = self._newest()[0]
        if int(row["sequence"]) == 0 or int(row["request"]) != Request.MOVE:
            return
        self._sequence = int(row["sequence"])
        self._stamp_s = float(row["stamp_s"])
        # Whoever waits for a routine drives again when it has ended.
        self._target = None if self._routine.running else Command(frozen_array(row["target_rad"]))

    def _serve_request(self) -> None:
        row = self._newest()[0]
        if int(row["sequence"]) == 0 or int(row["request"]) == Request.MOVE:
            return
        self._sequence = int(row["sequence"])
        self._interrupt("its client asked for something else")
        failure = ""
        try:
            self._execute(int(row["request"]), int(row["seed"]))
        # What a client may have got wrong, such as a mode that there is not, is its failure and never the end of this process.
        except (FetlockError, ValueError) as error:
            failure = str(error) or type(error).__name__
        self._resume()
        status = self._status
        status["epoch"], status["acknowledged"] = self._epoch, self._sequence
        status["failed"], status["text"] = bool(failure), _text(failure)
        self._publish_status()

    def _execute(self, request: int, seed: int) -> None:
        machine = self._machine
        self._target = None
        if request == Request.CLOSE:
            self._closing = True
        elif request == Request.RELEASE:
            machine.begin(np.random.default_rng(seed))
        elif request == Request.CLEAR:
            machine.robot.clear()
        elif request == Request.ENGAGE:
            machine.robot.engage(Mode(seed))
        elif request == Request.TRIP:
            machine.robot.trip(_found(seed))
        elif request == Request.RESET:
            self._routine.begin(np.random.default_rng(seed))
        elif request not in (Request.ARM, Request.CUT):
            raise RobotError(f"the motion process knows no request {request}: it and its client are of different versions")
        elif machine.drive is None:
            raise RobotError("this robot's torque cannot be switched: it is always on")
        elif request == Request.ARM:
            machine.robot.arm()
            machine.robot.engage()
        else:
            machine.robot.cut()

    def _drive(self, state: RobotState) -> BusTick:
        """Send what is due, and return the tick; without torque, the pose that the robot has."""
        robot = self._machine.robot
        if (driven := self._advance_routine()) is not None:
            return driven
        age_s = self._now_s() - self._stamp_s
        if self._target is not None and age_s > self._silence.hold_s:
            self._target = None
            robot.trip(Cause.SILENT)
        if not robot.armed:
            self._target = None
            return self._tick_of(state, self._nothing(state))
        old = self._target is not None and age_s > self._silence.freeze_s
        try:
            applied = robot.idle() if self._target is None or old else robot.write(self._target)
        except RobotError as error:
            self._fail(error)
            return self._tick_of(state, self._nothing(state))
        if applied.mode in STOPPED:
            self._target = None
        return self._tick_of(state, replace(applied, reasons=applied.reasons | Reason.ENVELOPE | Reason.HOLD) if old else applied)

    def _nothing(self, state: RobotState) -> AppliedCommand:
        robot = self._machine.robot
        return AppliedCommand(state.joints.position_rad, Reason.HOLD, robot.mode, robot.causes, Note.SKIPPED)

    def _tick_of(self, state: RobotState, applied: AppliedCommand) -> BusTick:
        target = Command(applied.position_rad) if self._target is None else self._target
        return BusTick(self._machine.clock.period_s, state, target, applied)

    def _advance_routine(self) -> BusTick | None:
        """Run a tick of the routine; None if none runs, or it has ended, well or not."""
        running = self._routine.running
        try:
            driven = self._routine.tick()
        except RobotError as error:
            self._note(error)
            return None
        if running and driven is None:
            self._publish_status()
        return driven

    def _interrupt(self, why: str) -> None:
        """End a routine that runs: the robot brakes where it is, unless something else drives it."""
        if self._routine.running:
            self._routine.stop(why)
            self._publish_status()

    def _publish(self, tick: BusTick, missed: int, deadline_s: float, lateness_s: float) -> None:
        machine, ring = self._machine, self._link.ticks
        # What has stopped the robot behind the tick is told with it.
        eights, rest = pack_tick(tick, armed=machine.robot.armed, causes=machine.robot.causes)
        errors = int(self._status["errors"][0])
        clock_s = machine.clock.now_s()
        own = TICK_HEAD.pack(ring.head, self._epoch, self._sequence, missed, errors, clock_s, self._now_s(), deadline_s, lateness_s)
        # No reader holds the ring up: the oldest tick makes room.
        ring.acknowledge(ring.head)
        ring.append(own, eights, rest)

    def _hold(self) -> None:
        self._target = None
        self._interrupt("somebody stopped the robot")
        self._machine.robot.stop()

    def _fail(self, error: RobotError) -> None:
        """Stop the robot and tell everyone why; the loop goes on."""
        self._routine.fail(error)
        self._hold()
        self._note(error)

    def _resume(self) -> None:
        """Begin a new schedule after a pause, which is not a miss.

        A sensor that nobody read in the pause has old data first: its complaint is published, but does not stop the robot.
        """
        try:
            self._machine.robot.refresh()
        except RobotError as error:
            self._note(error)
        self._machine.schedule.start()

    def _note(self, error: RobotError) -> None:
        self._status["errors"] += 1
        self._status["error"] = _text(f"{type(error).__name__}: {error}")
        self._publish_status()

    def _publish_status(self) -> None:
        self._status["outcome"] = self._routine.outcome
        self._status["history"] = _text(self._routine.history, "history")
        self._link.status.publish(self._status)

    def _collect_when_idle(self) -> None:
        """Collect garbage while nothing moves, where automatic collection is off."""
        now_s = self._now_s()
        if self._target is None and not self._routine.running and not gc.isenabled() and now_s - self._collected_s > _COLLECT_EVERY_S:
            self._collected_s = now_s
            gc.collect()


def _found(causes: int) -> Cause:
    """Return what a client has found; raises UsageError if it is nothing that it could."""
    if not causes or causes & ~int(CLIENTS_CAUSES):
        raise UsageError(f"a client finds {CLIENTS_CAUSES!r}, and asked to stop for cause {causes:#x}")
    return Cause(causes)


def _text(words: str, field: str = "error") -> bytes:
    """Return one line that fits a field of a status record."""
    line = " ".join(words.split()).encode()[: STATUS[field].itemsize]
    return line.decode(errors="ignore").encode()
