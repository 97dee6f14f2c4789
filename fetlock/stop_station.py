"""An operator's station: a terminal whose every key stops the robots, a serial button, a heartbeat that stops them when it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from fetlock.keyboard import each_key, next_keys
from fetlock.stop_motion import stop_motion
from robot.button import Button, ButtonConfig, open_button
from robot.clock import monotonic_s
from robot.errors import FetlockError, UsageError
from safety.endpoint import Endpoint
from safety.estop import StopBoard
from safety.stop_records import NAME_BYTES, StopLevel, StopState

# Ten looks in the shortest time-out of a button.
_PERIOD_S = 0.01
# The station must not fall silent while it waits for others: a bus tick is 2 to 20 ms.
_PATIENCE_S = 0.03
# A button that a station watches is as good as the station: a dead one shows in a second, three check-ins of its own.
_BUTTON_S = 1.0
_QUIT = b"q"


@dataclass(frozen=True, slots=True)
class StationOptions:
    """What a station watches: level of its stops, port and kind of its button, time-out of its heartbeat (s)."""

    level: StopLevel
    button: str | None
    button_kind: Literal["lines", "switch"]
    heartbeat_s: float | None


class Station:
    """One operator's station. `close` is its orderly end; a station that dies is silent, and the robots stop.

    Args:
        board: Outlives it.
        options: See there.
        now_s: Monotonic time, s.

    Raises:
        UsageError: If the options cannot be.
        PortError: If the button's port cannot be opened.
    """

    def __init__(self, board: StopBoard, options: StationOptions, now_s: float) -> None:
        self._board = board
        self._level = options.level
        self._button: Button | None = None
        self._button_name = f"serial button {options.button}"
        self._released = False
        self._heartbeat: Endpoint | None = None
        self._buttons_endpoint: Endpoint | None = None
        if options.button is not None:
            self._button = open_button(_button_config(options.button, options.button_kind))
        if options.heartbeat_s is not None:
            self._heartbeat = Endpoint(board, f"heartbeat {os.getpid()}", options.heartbeat_s, options.level, now_s)
        if options.button is not None:
            name = f"button {Path(options.button).name}"[:NAME_BYTES]
            try:
                self._buttons_endpoint = Endpoint(board, name, _BUTTON_S, options.level, now_s)
            except FetlockError:
                self.close(now_s)
                raise

    def look(self, key: bytes, now_s: float) -> bool:
        """Heed a key and the button, and check in. Return False when the operator ends the station.

        Args:
            key: What came from the keyboard; empty for nothing.
            now_s: Monotonic time, s.
        """
        if self._heartbeat is not None:
            self._heartbeat.beat(now_s)
        if key and key != _QUIT:
            self.stop("keyboard", now_s)
        if self._button is not None and self._buttons_endpoint is not None:
            pressed = self._button.poll(now_s)
            if not pressed:
                # A pressed button says nothing, so that no clear releases it.
                self._buttons_endpoint.beat(now_s)
            elif self._released:
                self.stop(self._button.fault or self._button_name, now_s)
            self._released = not pressed
        return key != _QUIT

    def stop(self, source: str, now_s: float) -> None:
        """Trip the board, then ask the motion processes themselves."""
        self._board.trip(self._level, source, now_s)
        for outcome in stop_motion(_PATIENCE_S):
            _say(outcome.line)

    def close(self, now_s: float) -> None:
        """End in good order: nobody waits for this station any more."""
        for endpoint in (self._heartbeat, self._buttons_endpoint):
            if endpoint is not None:
                endpoint.deregister(now_s)
        if self._button is not None:
            self._button.close()


def watch(board: StopBoard, options: StationOptions) -> int:
    """Run a station on this terminal until q; return the exit code.

    Raises:
        UsageError: If there is neither a terminal nor a button.
    """
    keyboard = sys.stdin.fileno() if sys.stdin.isatty() else None
    if keyboard is None and options.button is None:
        raise UsageError("a station needs a terminal for its keys, or a --button PORT")
    # A hand that falls on the keyboard stops the robots.
    with each_key(keyboard, signals=False):
        station = Station(board, options, monotonic_s())
        if keyboard is not None:
            _say(f"watching: any key is {options.level.name}, q ends this station; 'fetlock stop --clear' elsewhere releases")
        shown: StopState | None = None
        going_on = True
        while going_on:
            key = next_keys(keyboard, _PERIOD_S)
            if key is None:
                station.stop("keyboard (the terminal is gone)", monotonic_s())
                return 1
            going_on = station.look(key, monotonic_s())
            shown = _show(board.state(monotonic_s()), shown)
        station.close(monotonic_s())
    return 0


def _show(state: StopState, shown: StopState | None) -> StopState:
    """Print what is in force when it changes."""
    if shown is None or (state.level, state.source, state.sequence) != (shown.level, shown.source, shown.sequence):
        _say("nothing in force" if state.level is None else f"{state.level.name} in force by {state.source}")
    return state


def _button_config(port: str, kind: Literal["lines", "switch"]) -> ButtonConfig:
    try:
        return ButtonConfig(port=port, kind=kind)
    except ValidationError as error:
        raise UsageError(f"--button {port}: {error.errors()[0]['msg']}; give a port such as /dev/ttyUSB0") from error


def _say(line: str) -> None:
    with contextlib.suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
