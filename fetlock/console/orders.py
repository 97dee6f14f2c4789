"""What an operator asks for, through the doors that there are: the stop board, a motion process's stop word, and its command side."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from fetlock.stop_motion import stop_motion
from robot.clock import monotonic_s, sleep_s
from robot.errors import FetlockError
from safety import MotionClient
from safety.estop import StopBoard
from safety.motion_link import StopWord
from safety.stop_records import StopLevel

# The loop that serves a request does not see the stop word: arming and connecting anew take about a second (safety/command_side.py).
_PATIENCE_S = 2.0
_LOOK_S = 0.002


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether an order was carried out, and what is to be said of it, one line."""

    done: bool
    line: str


def stop(level: StopLevel) -> Answer:
    """Stop every robot of this user on this machine, as `fetlock stop`: the board first, which needs nobody else."""
    lines: list[str] = []
    done = True
    try:
        with StopBoard() as board:
            number = board.trip(level, "console", monotonic_s())
        lines.append(f"{level.name} is on the stop board (trip {number}), until it is released")
    except FetlockError as error:
        done = False
        lines.append(str(error))
    outcomes = stop_motion(_PATIENCE_S)
    return Answer(done and all(outcome.confirmed for outcome in outcomes), "; ".join((*lines, *(outcome.line for outcome in outcomes))))


def hold(motion: str) -> Answer:
    """Bring the robot of a motion process into HOLD, whoever drives it; its next episode ends that."""

    def ask() -> Answer:
        word = StopWord(motion)
        try:
            asked_s = monotonic_s()
            word.post(asked_s)
            while not (confirmed := word.confirmed(asked_s)) and monotonic_s() < asked_s + _PATIENCE_S:
                sleep_s(_LOOK_S)
        finally:
            word.close()
        said = "the robot holds until its next episode" if confirmed else "hold: not confirmed by the motion process: press STOP"
        return Answer(confirmed, said)

    return _tried(ask)


def arm(motion: str) -> Answer:
    """Switch the torque of a motion process's robot on where its joints stand, as its only client; then it holds."""

    def ask() -> Answer:
        client = MotionClient(motion, monotonic_s, sleep_s)
        try:
            client.arm()
        finally:
            # It stops the robot: nobody drives it yet.
            client.close()
        return Answer(True, "torque is on: the robot holds its pose")

    return _tried(ask)


def release() -> Answer:
    """Say, as the operator beside the robot, that what stopped it is over: `fetlock stop --clear`."""

    def ask() -> Answer:
        with StopBoard() as board:
            state = board.clear(monotonic_s(), f"console, user {os.getuid()}")
        if state.level is None:
            return Answer(True, "released: nothing is in force on the stop board")
        return Answer(False, f"still in force: {state.level.name} by {state.source}: end that first, then release again")

    return _tried(ask)


def _tried(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except FetlockError as error:
        return Answer(False, str(error))
