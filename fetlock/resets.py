"""How episodes begin: by a teleport, or by routines that any robot can run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fetlock.config import RunConfig
from fetlock.machines import AnyRobotConfig, HardwareConfig, body_kind, description_of, names_of_joints
from robot.errors import RobotError, UsageError
from robot.protocols import Clock
from robot.types import FloatArray, frozen_array
from safety import ArenaConfig, BusTick, GuardConfig, GuardedRobot
from safety.modes import RULES, Clear, sentences
from safety.resets import (
    KITTY_GAIT,
    KITTY_PACE,
    MINITAUR_GAIT,
    MINITAUR_PACE,
    SERVO_MINITAUR_GAIT,
    SERVO_MINITAUR_PACE,
    Gait,
    Pace,
    ResetStep,
    Right,
    cooling,
    returning,
    right_kitty,
    right_minitaur,
    right_servo_minitaur,
    run_routine,
    standing,
)
from sim import MinitaurConfig

_log = logging.getLogger(__name__)

_PERSONS = frozenset((Clear.OPERATOR, Clear.DISARM))


class EpisodeReset:
    """Begins episodes of one robot; called with the generator of the episode.

    Args:
        guard: Of the robot.
        clock: Its bus clock.
        place: Puts it into a start pose from outside: a simulation's teleport; a robot of metal is taken as it stands.
        steps: The routine; None: every episode begins with `place`, else the first one alone.
        attended: An operator may come: where only one can help, wait for one. Otherwise that is an error.
        resume: Begins the schedule of its clock anew: a pause between episodes is no miss.
    """

    def __init__(
        self,
        guard: GuardedRobot,
        clock: Clock,
        place: Callable[[np.random.Generator], None],
        steps: Sequence[ResetStep] | None = None,
        *,
        attended: bool = False,
        resume: Callable[[], None] = lambda: None,
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._place = place
        self._steps = steps
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
        self._insist(lambda: self._begin(ticks))
        return ticks

    def _begin(self, ticks: list[BusTick]) -> None:
        self._guard.arm()
        if self._steps is not None:
            ticks += run_routine(self._steps, self._guard, self._clock).ticks
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
    """How one kind of robot gets up and goes back into its arena.

    Attributes:
        right: Its righting.
        pace: Of its way home.
        tolerance_rad: How far off a joint may be there, rad.
        gait: Turns and walks it.
    """

    right: Right
    pace: Pace
    tolerance_rad: float
    gait: Gait


# A joint gives way by up to half of the tolerance (measured).
_MANNERS: dict[str, Manner] = {
    "kitty": Manner(right_kitty, KITTY_PACE, 0.15, KITTY_GAIT),
    "minitaur": Manner(right_minitaur, MINITAUR_PACE, 0.3, MINITAUR_GAIT),
    "minitaur_dynamixel": Manner(right_servo_minitaur, SERVO_MINITAUR_PACE, 0.3, SERVO_MINITAUR_GAIT),
}


def routine_of(config: RunConfig) -> tuple[ResetStep, ...] | None:
    """Return the routine between episodes of a robot; None where a simulation teleports.

    Raises:
        UsageError: If there is no routine for this robot.
    """
    if config.reset == "teleport" and not isinstance(config.robot, HardwareConfig):
        return None
    return routine(config)


def routine(config: RunConfig) -> tuple[ResetStep, ...]:
    """Return the routine of a robot, however it is reached: cool down, stand up, return to the arena if there is one.

    Raises:
        UsageError: If there is none for this robot.
    """
    return routine_for(config.robot, config.guard, 1.0 / config.bus_hz, config.arena)


def routine_for(robot: AnyRobotConfig, guard: GuardConfig, period_s: float, arena: ArenaConfig | None = None) -> tuple[ResetStep, ...]:
    """Return the routine of a robot behind a guard with these limits, bus period, s, and arena; see `routine`."""
    manner, home = _manner(robot), home_of(robot)
    rest_rad = guard.limits(names_of_joints(robot), routine=True).rest_rad
    # Where the motors carry little.
    cool = cooling(home if rest_rad is None else rest_rad, guard.temperature_arm_c, manner.pace, period_s)
    stand = standing(manner.right, home, manner.pace, manner.tolerance_rad, period_s)
    if arena is None:
        return cool, stand
    return cool, stand, returning(arena, manner.gait, stand, home, period_s)


def gait_of(robot: AnyRobotConfig) -> Gait:
    """Return what turns and walks a robot in its routine.

    Raises:
        UsageError: If there is no routine for this robot.
    """
    return _manner(robot).gait


def _manner(robot: AnyRobotConfig) -> Manner:
    kind = body_kind(robot)
    manner = _MANNERS.get(kind)
    if manner is None:
        raise UsageError(f"there is no reset routine for robot.kind {kind}: choose {', '.join(_MANNERS)}")
    return manner


def home_of(robot: AnyRobotConfig) -> FloatArray:
    """Return the pose in which a robot stands between episodes. Shape (n,), rad."""
    if isinstance(robot, MinitaurConfig):
        return frozen_array(np.full(len(names_of_joints(robot)), robot.start_pose_rad))
    return frozen_array([joint.home_rad for joint in description_of(robot).joints])
