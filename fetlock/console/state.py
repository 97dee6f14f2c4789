"""What the page shows at one moment, as data."""

from __future__ import annotations

from dataclasses import dataclass

from robot.types import FloatArray
from safety.limits import Limits
from safety.stop_records import StopState
from safety.types import Cause, Mode


@dataclass(frozen=True, slots=True)
class RobotView:
    """The newest bus tick.

    Attributes:
        mode: Of the guard.
        causes: Why it stops the robot.
        joint_names: n.
        position_rad: Measured. Shape (n,), rad.
        target_rad: Sent. Shape (n,), rad.
        temperature_c: Shape (n,), deg C; None where motors do not tell.
        voltage_v: None where it is not known.
        interventions: Share of ticks of the window in which a hard stage of the guard changed the command, by stage; all of them under "".
        window_s: Length of that window, s of robot time.
        silent_s: Time since the tick came, s.
    """

    mode: Mode
    causes: Cause
    joint_names: tuple[str, ...]
    position_rad: FloatArray
    target_rad: FloatArray
    temperature_c: FloatArray | None
    voltage_v: float | None
    interventions: dict[str, float]
    window_s: float
    silent_s: float


@dataclass(frozen=True, slots=True)
class LoopView:
    """How punctual the bus loop is.

    Attributes:
        period_s: Of a bus tick, s.
        lateness_ms: p50, p99 and most of the window, ms.
        missed: Ticks since the loop's process began.
    """

    period_s: float
    lateness_ms: tuple[float, float, float]
    missed: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A figure of each finished episode, and of each evaluation, over environment steps."""

    title: str = ""
    episodes: tuple[tuple[int, float], ...] = ()
    evaluations: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class RunView:
    """How far a run is.

    Attributes:
        facts: Name and value of what is told in words.
        returns: Of episodes.
        measure: Of the task, of episodes.
    """

    facts: tuple[tuple[str, str], ...]
    returns: Curve
    measure: Curve


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the page shows.

    Attributes:
        number: Counts up with every look.
        name: What is watched; empty while nothing lives.
        note: What a person should know beside the robot's mode, one sentence each.
        robot: Newest tick; None before the first.
        limits: Of the robot's routines, its widest; None if they cannot be told.
        hot_c: From here on motors are slowed, and from there on the robot settles, deg C.
        loop: None where no time is real.
        run: None for a motion process alone.
        board: What is in force on the stop board; None if it cannot be read.
        board_age_s: Since when, s.
        no_hold: Why there is no hold; empty: there is.
        no_arm: Why there is no arming; empty: there is.
        reset_waits: A reset routine asked for a person.
        clearable: A person can release something.
    """

    number: int = 0
    name: str = ""
    note: tuple[str, ...] = ()
    robot: RobotView | None = None
    limits: Limits | None = None
    hot_c: tuple[float, float] | None = None
    loop: LoopView | None = None
    run: RunView | None = None
    board: StopState | None = None
    board_age_s: float = 0.0
    no_hold: str = ""
    no_arm: str = ""
    reset_waits: bool = False
    clearable: bool = False
