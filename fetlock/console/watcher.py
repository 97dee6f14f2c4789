"""Looks at what is watched ten times a second, in a thread of its own, and keeps the newest state for every page."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from fetlock.console.motion_tap import MotionTap
from fetlock.console.run_tap import RunTap
from fetlock.console.state import LoopView, RobotView, State
from fetlock.console.subject import Choice, Subject, goes_on
from fetlock.console.words import OLD_S
from fetlock.machines import EmulatedConfig, HardwareConfig, names_of_joints
from robot.clock import monotonic_s
from robot.errors import FetlockError
from safety.estop import StopBoard
from safety.limits import Limits
from safety.modes import needs_person
from safety.motion_link import server_pid
from safety.motion_records import Outcome
from safety.types import Cause

# A person reads no more often; ten looks cost some percent of a core (benchmarks/console.py).
PERIOD_S = 0.1
# Between two looks for something that lives, and whether it does still: they read /proc.
_FIND_S = 1.0
# Why an order cannot be given.
_NOTHING = "nothing runs"


class Watcher:
    """Watches from `start` on until `close`.

    Args:
        choice: What to watch.
        goes_on: Is asked at every look; no: the console is to end.
    """

    def __init__(self, choice: Choice, goes_on: Callable[[], bool]) -> None:
        self._choice = choice
        self._goes_on = goes_on
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._board: StopBoard | None = None
        self._subject: Subject | None = None
        self._motion: MotionTap | None = None
        self._run_tap: RunTap | None = None
        self._found_s = -_FIND_S
        self._limits: Limits | None = None
        self.state = State(note=(choice.waiting,), no_hold=_NOTHING, no_arm=_NOTHING)

    @property
    def motion(self) -> str | None:
        """Name of the motion process that is watched, None if there is none."""
        subject = self._subject
        return None if subject is None else subject.motion

    def start(self, end: Callable[[], None]) -> None:
        """Begin to look; `end` is called when the console is to end."""
        self._thread = threading.Thread(target=self._run, args=(end,), daemon=True, name="fetlock-console-watcher")
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self._detach()
        if self._board is not None:
            self._board.close()

    def _run(self, end: Callable[[], None]) -> None:
        while not self._over.wait(PERIOD_S):
            if not self._goes_on():
                end()
                return
            try:
                self.state = self._look(monotonic_s())
            except (FetlockError, OSError) as error:
                # What is gone in mid-look is looked for again.
                self._detach()
                self.state = State(self.state.number + 1, note=(str(error),), no_hold=_NOTHING, no_arm=_NOTHING)

    def _look(self, now_s: float) -> State:
        if now_s - self._found_s >= _FIND_S:
            self._found_s = now_s
            self._attach()
        board = self._board_of()
        stop = board.state(now_s)
        subject = self._subject
        nothing = State(
            self.state.number + 1,
            note=(self._choice.waiting,),
            board=stop,
            board_age_s=max(0.0, now_s - stop.stamp_s),
            no_hold=_NOTHING,
            no_arm=_NOTHING,
            clearable=stop.level is not None,
        )
        if subject is None:
            return nothing
        robot, loop = self._robot(now_s)
        outcome, history = (Outcome.NONE, "") if self._motion is None else self._motion.routine
        causes = Cause.NONE if robot is None else robot.causes
        # An outcome stays until the next routine begins; what a person ends is over before.
        reset_waits = needs_person(causes) and (outcome is Outcome.OPERATOR or Cause.RESET_FAILED in causes)
        # A run that waits for its robot records no tick in which a cause could be seen.
        waits = self._run_tap is not None and self._run_tap.waits
        config = subject.config
        return State(
            nothing.number,
            subject.name,
            tuple(self._notes(subject, robot, history if reset_waits else "")),
            robot,
            self._limits,
            None if config is None else (config.guard.temperature_derate_c, config.guard.temperature_max_c),
            loop,
            None if self._run_tap is None else self._run_tap.run(),
            stop,
            nothing.board_age_s,
            "" if self._motion is not None else "the run drives the robot itself: press STOP",
            self._no_arm(),
            reset_waits,
            stop.level is not None or needs_person(causes) or waits,
        )

    def _robot(self, now_s: float) -> tuple[RobotView | None, LoopView | None]:
        if self._motion is not None:
            return self._motion.look(now_s) or (None, None)
        if self._run_tap is not None:
            config = None if self._subject is None else self._subject.config
            return self._run_tap.robot(now_s), self._run_tap.loop() if config is not None and config.realtime else None
        return None, None

    def _notes(self, subject: Subject, robot: RobotView | None, history: str) -> list[str]:
        """Say what a person should know."""
        notes = []
        if history:
            notes.append(f"The reset asks for a person: {history}")
        error = "" if self._motion is None or not self._motion.error else f" Its newest error: {self._motion.error}"
        if robot is None:
            notes.append(f"No tick has come yet: the robot is being connected, or waits for its first episode.{error}")
        elif robot.silent_s > OLD_S:
            notes.append(f"The figures are {robot.silent_s:.0f} s old: no tick comes.{error}")
        if self._run_tap is not None and self._run_tap.waits:
            notes.append("The run waits for its robot: its logs/ folder says why.")
        if self._run_tap is not None and self._run_tap.collectors > 1:
            notes.append(f"The robot shown is the first of {self._run_tap.collectors}.")
        if self._motion is None and not self._heeds_stops(subject):
            notes.append("A simulation in the run's own process: no motor moves, and STOP does not reach it.")
        return notes

    def _heeds_stops(self, subject: Subject) -> bool:
        """Tell whether the guard in a run's own process looks at the stop board (`fetlock.build`)."""
        config = subject.config
        return config is None or (config.realtime and isinstance(config.robot, EmulatedConfig | HardwareConfig))

    def _no_arm(self) -> str:
        if self._motion is None:
            return "the run arms its robot itself"
        if self._motion.owned:
            return "who drives arms it, at an episode's start"
        return ""

    def _attach(self) -> None:
        """Find what lives, and attach to what of it is not attached yet."""
        subject = self._subject
        if subject is None or not goes_on(subject):
            self._detach()
            self._subject = subject = self._choice.find()
            self._limits = None if subject is None else _limits_of(subject)
        if subject is None:
            return
        if self._motion is not None and subject.motion is not None and server_pid(subject.motion) is None:
            self._motion.close()
            self._motion = None
        # Either may not be ready yet; it is tried again.
        with contextlib.suppress(FetlockError):
            if self._motion is None and subject.motion is not None:
                self._motion = MotionTap(subject.motion)
        with contextlib.suppress(FetlockError):
            if self._run_tap is None and subject.run is not None and subject.config is not None:
                self._run_tap = RunTap(*subject.run, subject.config)

    def _detach(self) -> None:
        for tap in (self._motion, self._run_tap):
            if tap is not None:
                tap.close()
        self._motion = self._run_tap = self._subject = None

    def _board_of(self) -> StopBoard:
        """Return the board that is in force: one that was removed is opened anew."""
        if self._board is not None and self._board.block.removed:
            self._board.close()
            self._board = None
        if self._board is None:
            self._board = StopBoard()
        return self._board


def _limits_of(subject: Subject) -> Limits | None:
    config = subject.config
    return None if config is None else config.guard.limits(names_of_joints(config.robot), routine=True)
