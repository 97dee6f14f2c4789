"""What the page says of a state, in words, and which look each mode has: colour, sign and text, never colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from fetlock.console.state import State
from safety.modes import needs_person, sentences, severest
from safety.stop_records import StopState
from safety.types import Mode

# Ticks that are older are no present: a guard's tick is 2 to 20 ms, and a fast simulation waits for its learner at times.
OLD_S = 1.0
# Letters of a reason that fill two lines of the page at full size.
LONG = 150


@dataclass(frozen=True, slots=True)
class Look:
    """How a mode is shown: its name, what it means, its sign (Material Icons), and its class in console.css."""

    title: str
    meaning: str
    sign: str
    style: str


# IEC 60073: green is normal, yellow abnormal, red an emergency, blue asks for an action, grey is none of them.
_LOOKS = {
    Mode.BOOT: Look("BOOT", "The guard has not looked at its robot yet.", "hourglass_empty", "grey"),
    Mode.DISARMED: Look("DISARMED", "Torque is off.", "power_off", "grey"),
    Mode.ARMED_HOLD: Look("ARMED", "Torque is on: the robot stands, ready to be driven.", "accessibility_new", "blue"),
    Mode.ACTIVE: Look("ACTIVE", "A policy drives.", "play_arrow", "green"),
    Mode.RESETTING: Look("RESETTING", "A reset routine drives.", "restart_alt", "green"),
    Mode.TELEOP: Look("TELEOP", "A person drives.", "sports_esports", "green"),
    Mode.HOLD: Look("HOLD", "The robot brakes, then holds its pose.", "pause", "yellow"),
    Mode.SETTLE: Look("SETTLE", "The robot goes to its rest pose; then torque goes off.", "south", "yellow"),
    Mode.CUT: Look("CUT", "Torque is being switched off.", "flash_off", "red"),
    Mode.TERMINATED: Look("TERMINATED", "Torque is off for good: start its process anew.", "dangerous", "red"),
}
_WAITING = Look("NO ROBOT", "", "hourglass_empty", "grey")
_OLD = "NO TICKS"


def look_of(state: State) -> Look:
    """Return how the state's mode is shown."""
    robot = state.robot
    if robot is None:
        return _WAITING
    look = _LOOKS[robot.mode]
    if robot.silent_s > OLD_S:
        return Look(_OLD, f"The newest mode that is known is {look.title}.", "sync_problem", "grey")
    return look


def reason_of(state: State) -> str:
    """Say why the robot is in its mode: what the mode means, or what stopped it and what clears that."""
    meaning = look_of(state).meaning
    if state.robot is None or not state.robot.causes:
        return meaning
    # Of equally severe causes those first that wait for the reader.
    ordered = sorted(state.robot.causes, key=lambda cause: (-severest(cause), not needs_person(cause), cause))
    stopped = f"Stopped: {'; '.join(sentences(cause) for cause in ordered)}."
    # The title says what the mode is; why it is matters more.
    return stopped if len(stopped) + len(meaning) > LONG else f"{stopped} {meaning}"


def board_of(stop: StopState | None, age_s: float) -> str:
    """Say what is in force on the stop board."""
    if stop is None:
        return "The stop board cannot be read."
    if stop.level is None:
        return "No stop is in force."
    since = f", {duration(age_s)} ago" if stop.stamp_s > 0.0 else ""
    return f"{stop.level.name} is in force by {stop.source}{since}."


def duration(seconds: float) -> str:
    """Return a time in words: seconds below two minutes, then minutes, then hours."""
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.0f} h"
