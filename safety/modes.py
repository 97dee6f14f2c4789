"""The state machine: which mode follows from the present one, the causes that are raised, what is asked for, and the monotonic time.

`next_mode` is a pure function. Causes form a set: the order in which they arrive changes nothing, and the severest one decides (PX4's
failsafe list is the model). A cause stays until its own clear event has happened and it is not raised any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag

from safety.types import MOVING, Cause, Mode

# Time to reach the rest pose before torque goes off in any case, s (Spot's SETTLE_THEN_CUT takes 3 s at most, its legs are stronger).
SETTLE_S = 5.0


class Stop(IntEnum):
    """What a cause does, in rising severity."""

    NONE = 0
    # Brake, then hold.
    HOLD = 1
    # Go to the rest pose, then switch torque off.
    SETTLE_THEN_CUT = 2
    # Torque off at once: the robot drops.
    CUT = 3
    # Torque off, for good.
    TERMINATE = 4


class Clear(Enum):
    """What ends a cause that is not raised any more."""

    # Whoever drives begins anew, as an episode does.
    RELEASE = "release, or the next episode"
    # A person says so.
    OPERATOR = "an operator"
    # A person says so while torque is off.
    DISARM = "torque off, then an operator"
    NEVER = "never: restart the process"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a cause does and what ends it; `says` completes "stopped because ..."."""

    stop: Stop
    clear: Clear
    says: str


RULES: dict[Cause, Rule] = {
    Cause.ASKED: Rule(Stop.HOLD, Clear.RELEASE, "it was asked to"),
    Cause.REJECTED: Rule(Stop.HOLD, Clear.RELEASE, "commands were not finite numbers"),
    Cause.SILENT: Rule(Stop.HOLD, Clear.RELEASE, "no command came in time"),
    Cause.LATE: Rule(Stop.HOLD, Clear.RELEASE, "the loop was more than three ticks late"),
    Cause.BLOCKED: Rule(Stop.HOLD, Clear.RELEASE, "a joint stayed far from its target: something blocks it"),
    Cause.STUCK: Rule(Stop.HOLD, Clear.RELEASE, "an encoder stands still while its joint is moved"),
    Cause.JUMPED: Rule(Stop.HOLD, Clear.RELEASE, "an encoder jumped further than a motor turns"),
    Cause.TILTED: Rule(Stop.HOLD, Clear.RELEASE, "the base leans too far"),
    Cause.STALE: Rule(Stop.HOLD, Clear.RELEASE, "a sensor's readings are too old"),
    Cause.CAMERA: Rule(Stop.HOLD, Clear.RELEASE, "the camera's picture is frozen or too old"),
    Cause.COLLISION: Rule(Stop.HOLD, Clear.RELEASE, "parts of the robot came too close to each other"),
    Cause.BUS: Rule(Stop.HOLD, Clear.RELEASE, "motors do not answer"),
    Cause.MOTOR: Rule(Stop.SETTLE_THEN_CUT, Clear.DISARM, "a motor reports an error of its own"),
    Cause.REBOOTED: Rule(Stop.HOLD, Clear.DISARM, "a motor has lost its torque: it restarted, or its watchdog expired"),
    Cause.PORT: Rule(Stop.HOLD, Clear.DISARM, "the port is gone"),
    Cause.HOT: Rule(Stop.SETTLE_THEN_CUT, Clear.DISARM, "a motor is too hot"),
    Cause.BATTERY: Rule(Stop.SETTLE_THEN_CUT, Clear.DISARM, "the battery is empty"),
    Cause.OPERATOR_GONE: Rule(Stop.HOLD, Clear.OPERATOR, "the operator's station is silent"),
    Cause.STOP_HOLD: Rule(Stop.HOLD, Clear.OPERATOR, "the emergency stop was pressed"),
    Cause.STOP_SETTLE: Rule(Stop.SETTLE_THEN_CUT, Clear.DISARM, "the emergency stop was pressed"),
    Cause.STOP_CUT: Rule(Stop.CUT, Clear.DISARM, "the emergency stop was pressed"),
    Cause.STOP_TERMINATE: Rule(Stop.TERMINATE, Clear.NEVER, "an operator ended it for good"),
    Cause.DISK: Rule(Stop.HOLD, Clear.RELEASE, "the log cannot be written: the disk is full"),
    Cause.MISMATCH: Rule(Stop.CUT, Clear.NEVER, "the robot was not sent what the guard decided: a software error"),
    Cause.RESET_FAILED: Rule(Stop.HOLD, Clear.OPERATOR, "a reset routine has used up its attempts"),
}


class Ask(IntFlag):
    """What whoever drives or watches asks for in a tick; a stop is a cause, and needs no permission."""

    NONE = 0
    ARM = 1 << 0
    DISARM = 1 << 1
    DRIVE = 1 << 2
    RESET = 1 << 3
    TELEOPERATE = 1 << 4
    # Begin anew: ends causes that need no person.
    RELEASE = 1 << 5
    # Of an operator.
    CLEAR = 1 << 6
    # Stop driving: back to ARMED_HOLD.
    REST = 1 << 7


_PERSONS = frozenset((Clear.OPERATOR, Clear.DISARM))
_DRIVES = ((Ask.RESET, Mode.RESETTING), (Ask.TELEOPERATE, Mode.TELEOP), (Ask.DRIVE, Mode.ACTIVE))
_OFF = frozenset((Mode.BOOT, Mode.DISARMED, Mode.TERMINATED))


@dataclass(frozen=True, slots=True)
class ModeState:
    """Where the machine is.

    Attributes:
        mode: Present one.
        causes: That have not been cleared.
        since_s: When the mode was entered, s.
    """

    mode: Mode = Mode.BOOT
    causes: Cause = Cause.NONE
    since_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one tick brings.

    Attributes:
        torque: Whether torque is on.
        ready: Whether the arming checks pass; looked at only with Ask.ARM.
        raised: Causes that hold now.
        asks: Requests.
        settled: Whether the robot is at its rest pose.
    """

    torque: bool
    ready: bool = False
    raised: Cause = Cause.NONE
    asks: Ask = Ask.NONE
    settled: bool = False


def severest(causes: Cause) -> Stop:
    """Return the severest action of a set of causes."""
    return max((RULES[cause].stop for cause in causes), default=Stop.NONE)


def needs_person(causes: Cause) -> bool:
    """Tell whether one of a set of causes ends when a person says so, and not before."""
    return any(RULES[cause].clear in _PERSONS for cause in causes)


def sentences(causes: Cause) -> str:
    """Say why a robot is stopped, the severest cause first, and what clears each."""
    ordered = sorted(causes, key=lambda cause: (-RULES[cause].stop, cause))
    return "; ".join(f"{RULES[cause].says} (cleared by: {RULES[cause].clear.value})" for cause in ordered)


def next_mode(state: ModeState, inputs: Inputs, now_s: float) -> ModeState:
    """Return the state after a tick.

    Args:
        state: Of the tick before.
        inputs: Of this one.
        now_s: Monotonic time, s.
    """
    if state.mode is Mode.TERMINATED:
        return ModeState(Mode.TERMINATED, state.causes | inputs.raised, state.since_s)
    causes = inputs.raised | _kept(state, inputs)
    mode = _mode(state, inputs, severest(causes), now_s)
    return ModeState(mode, causes, state.since_s if mode is state.mode else now_s)


def _kept(state: ModeState, inputs: Inputs) -> Cause:
    """Return the causes of before whose clear event has not come."""
    if not state.causes:
        return Cause.NONE
    off = state.mode in _OFF and not inputs.torque
    operator = Ask.CLEAR in inputs.asks
    event = {
        Clear.RELEASE: operator or Ask.RELEASE in inputs.asks,
        Clear.OPERATOR: operator,
        Clear.DISARM: operator and off,
        Clear.NEVER: False,
    }
    kept = Cause.NONE
    for cause in state.causes:
        if not event[RULES[cause].clear]:
            kept |= cause
    return kept


def _mode(state: ModeState, inputs: Inputs, stop: Stop, now_s: float) -> Mode:
    if stop is Stop.TERMINATE:
        return Mode.TERMINATED
    if not inputs.torque:
        return Mode.DISARMED
    if state.mode is Mode.CUT or stop is Stop.CUT or Ask.DISARM in inputs.asks:
        # Until torque is off.
        return Mode.CUT
    if state.mode in _OFF:
        # Torque that nobody has armed is not followed.
        return Mode.ARMED_HOLD if stop is Stop.NONE and inputs.ready and Ask.ARM in inputs.asks else Mode.DISARMED
    if state.mode is Mode.SETTLE or stop is Stop.SETTLE_THEN_CUT:
        over = state.mode is Mode.SETTLE and (inputs.settled or now_s - state.since_s >= SETTLE_S)
        return Mode.CUT if over else Mode.SETTLE
    if stop is Stop.HOLD:
        return Mode.HOLD
    return _driven(state, inputs)


def _driven(state: ModeState, inputs: Inputs) -> Mode:
    """Return the mode of an armed robot that nothing stops; it is driven only from ARMED_HOLD."""
    if state.mode is Mode.ARMED_HOLD:
        return next((mode for ask, mode in _DRIVES if ask in inputs.asks), Mode.ARMED_HOLD)
    if state.mode in MOVING and Ask.REST not in inputs.asks:
        return state.mode
    return Mode.ARMED_HOLD
