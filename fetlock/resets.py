"""How episodes begin: by a teleport, or by routines that any robot can run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fetlock.config import RunConfig
from fetlock.guarding import describe_servos
from fetlock.machines import AnyRobotConfig, HardwareConfig, body_kind, description_of, names_of_joints
from robot.errors import RobotError, UsageError
from robot.protocols import Clock
from robot.types import FloatArray, frozen_array
from safety import BusTick, GuardConfig, GuardedRobot
from safety.modes import RULES, Clear, sentences
from safety.resets import (
    CLAW_PACE,
    KITTY_PACE,
    MINITAUR_PACE,
    SERVO_MINITAUR_PACE,
    Pace,
    ResetStep,
    Right,
    Turner,
    cooling,
    gathering,
    right_kitty,
    right_minitaur,
    right_servo_minitaur,
    run_routine,
    standing,
    turning,
)
from sim import MinitaurConfig

_log = logging.getLogger(__name__)

_PERSONS = frozenset((Clear.OPERATOR, Clear.DISARM))


# Makes the steps of an episode: what turns the robot's object, if anything does, and the generator of the episode.
Routine = Callable[[Turner | None, np.random.Generator], tuple[ResetStep, ...]]


class EpisodeReset:
    """Begins episodes of one robot; called with the generator of the episode.

    Args:
        guard: Of the robot.
        clock: Its bus clock.
        place: Puts it into a start pose from outside: a simulation's teleport; a robot of metal is taken as it stands.
        steps: The routine; None: every episode begins with `place`, else the first one alone.
        turner: Turns the robot's object with a motor of its own; None where nothing does.
        attended: An operator may come: where only one can help, wait for one. Otherwise that is an error.
        resume: Begins the schedule of its clock anew: a pause between episodes is no miss.
    """

    def __init__(
        self,
        guard: GuardedRobot,
        clock: Clock,
        place: Callable[[np.random.Generator], None],
        steps: Routine | None = None,
        *,
        turner: Turner | None = None,
        attended: bool = False,
        resume: Callable[[], None] = lambda: None,
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._place = place
        self._steps = steps
        self._turner = turner
        self._attended = attended
        self._resume = resume
        self._placed = False

    def __call__(self, rng: np.random.Generator) -> Sequence[BusTick]:
        """Begin an episode; return the bus ticks that the routine took.

        Raises:
            RobotError: If something stops the robot that neither routine nor operator ends.
        """
        if self._steps is None or not self._placed:
            self._place(rng)
            self._placed = True
        else:
            self._resume()
        ticks: list[BusTick] = []
        steps = () if self._steps is None else self._steps(self._turner, rng)
        self._insist(lambda: self._begin(steps, ticks))
        return ticks

    def _begin(self, steps: Sequence[ResetStep], ticks: list[BusTick]) -> None:
        self._guard.arm()
        ticks += run_routine(steps, self._guard, self._clock).ticks
        self._guard.engage()

    def _insist(self, begin: Callable[[], None]) -> None:
        """Begin, and again after an operator has cleared what only an operator can."""
        while True:
            try:
                return begin()
            except RobotError:
                if not self._attended or not self._needs_person():
                    raise
            _log.warning("waiting for an operator: %s; then 'fetlock stop --clear'", sentences(self._guard.causes))
            while self._needs_person():
                self._keep()
            _log.warning("going on")

    def _needs_person(self) -> bool:
        return any(RULES[cause].clear in _PERSONS for cause in self._guard.causes)

    def _keep(self) -> None:
        """Let a bus tick pass: the robot holds, or lies without torque."""
        try:
            self._guard.read()
            self._guard.idle()
        except RobotError:
            # Said already; what clears it is looked at all the same.
            self._guard.poll()
        self._clock.wait()


@dataclass(frozen=True, slots=True)
class Manner:
    """How one kind of robot gets up: its righting, the pace of its way home, and how far off a joint may be there, rad."""

    right: Right
    pace: Pace
    tolerance_rad: float


_CLAW = "claw"
# A joint gives way by up to half of the tolerance (measured).
_MANNERS: dict[str, Manner] = {
    "kitty": Manner(right_kitty, KITTY_PACE, 0.15),
    "minitaur": Manner(right_minitaur, MINITAUR_PACE, 0.3),
    "minitaur_dynamixel": Manner(right_servo_minitaur, SERVO_MINITAUR_PACE, 0.3),
}


def routine_of(config: RunConfig) -> Routine | None:
    """Return the routine between episodes of a robot; None where a simulation teleports.

    Raises:
        UsageError: If there is no routine for this robot.
    """
    if config.reset == "teleport" and not isinstance(config.robot, HardwareConfig):
        return None
    return routine(config)


def routine(config: RunConfig) -> Routine:
    """Return the routine of a robot, however it is reached: cool down and stand up; or gather the fingers and turn the valve.

    Raises:
        UsageError: If there is none for this robot.
    """
    return routine_for(config.robot, config.guard, 1.0 / config.bus_hz)


def routine_for(robot: AnyRobotConfig, guard: GuardConfig, period_s: float) -> Routine:
    """Return the routine of a robot behind a guard with these limits and bus period, s; see `routine`."""
    kind = body_kind(robot)
    manner = _MANNERS.get(kind)
    if manner is None and kind != _CLAW:
        raise UsageError(f"there is no reset routine for robot.kind {kind}: choose {', '.join((*_MANNERS, _CLAW))}")
    home = home_of(robot)
    rest_rad = guard.limits(names_of_joints(robot), routine=True).rest_rad
    # Where the motors carry little.
    cool_rad = home if rest_rad is None else rest_rad
    if manner is None:
        # Home is as far from everything as rest, and the way there is the one that frees fingers.
        fingers = gathering(home, period_s), cooling(cool_rad, guard.temperature_arm_c, CLAW_PACE, period_s)
        return lambda turner, rng: (*fingers, *_turned(robot, turner, rng, period_s))
    legs = (
        cooling(cool_rad, guard.temperature_arm_c, manner.pace, period_s),
        standing(manner.right, home, manner.pace, manner.tolerance_rad, period_s),
    )
    return lambda _turner, _rng: legs


def _turned(robot: AnyRobotConfig, turner: Turner | None, rng: np.random.Generator, period_s: float) -> tuple[ResetStep, ...]:
    """Return the step that turns the object of a robot anywhere within its motor's reach; none without such a motor."""
    description = describe_servos(robot)
    if turner is None or description is None or not description.auxiliary:
        return ()
    motor = description.auxiliary[0]
    return (turning(turner, float(rng.uniform(motor.lower_rad, motor.upper_rad)), period_s),)


def home_of(robot: AnyRobotConfig) -> FloatArray:
    """Return the pose in which a robot stands between episodes. Shape (n,), rad."""
    if isinstance(robot, MinitaurConfig):
        return frozen_array(np.full(len(names_of_joints(robot)), robot.start_pose_rad))
    return frozen_array([joint.home_rad for joint in description_of(robot).joints])
