"""What a person drives with: keys, a gamepad, or fixed words on a command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

from fetlock.arguments import VerbParser
from fetlock.keyboard import attended
from policy.gaits import Twist
from robot.errors import UsageError
from robot.gamepad import Gamepad

By = Literal["keyboard", "gamepad", "words"]

_KEYS = "w, s or up, down: faster, slower; a, d or left, right: turn; x: stand; r: let go; space: hold the robot"
_STICKS = "hold the left shoulder button to drive; left stick: forward and back; right stick: turn"

# A press changes a share by a quarter: four of them from standing to full speed.
_PRESS = 0.25
# What a key that is no letter sends (xterm's ctlseqs): ESC [ A to D, in application mode ESC O A to D, are the arrows.
_SEQUENCE = re.compile(rb"\x1b[\[O][0-9;]*(?P<key>[A-Za-z~])")
_UNFINISHED = re.compile(rb"\x1b([\[O][0-9;]*)?\Z")
_ARROWS = {b"A": b"w", b"B": b"s", b"C": b"d", b"D": b"a"}
# Of the xpad driver, whose numbers most gamepads follow (kernel documentation, input/gamepad).
_SHOULDER_BUTTON, _FORWARD_AXIS, _TURN_AXIS = 4, 1, 3


class Sticks(Protocol):
    """What is driven with."""

    def look(self) -> Twist | None:
        """Return where to go; None while nobody holds it. Raises PortLostError if it is gone."""

    def heed(self, keys: bytes) -> None:
        """Take keys that were pressed."""


class Words:
    """Implements Sticks with one twist for ever, or with nobody."""

    def __init__(self, twist: Twist | None) -> None:
        self._twist = twist

    def look(self) -> Twist | None:
        return self._twist

    def heed(self, keys: bytes) -> None:
        """No key means anything."""


class Keyboard:
    """Implements Sticks with keys: each press changes the twist, and it stays so. A terminal does not tell how long a key is held."""

    def __init__(self) -> None:
        self._twist: Twist | None = None
        self._rest = b""

    def look(self) -> Twist | None:
        return self._twist

    def heed(self, keys: bytes) -> None:
        # An arrow may come in two pieces, and its last letter is another key by itself.
        keys = self._rest + keys
        found = _UNFINISHED.search(keys)
        self._rest = found[0] if found else b""
        for number in _SEQUENCE.sub(lambda found: _ARROWS.get(found["key"], b""), keys.removesuffix(self._rest)).lower():
            key = chr(number)
            before = self._twist or Twist()
            if key == "r":
                self._twist = None
            elif key in "x ":
                self._twist = Twist()
            elif key in "wsad":
                forward = before.forward + _PRESS * ((key == "w") - (key == "s"))
                turn = before.turn + _PRESS * ((key == "a") - (key == "d"))
                self._twist = Twist(min(1.0, max(-1.0, forward)), min(1.0, max(-1.0, turn)))


class Gamesticks:
    """Implements Sticks with a gamepad; nobody drives unless its left shoulder button is held."""

    def __init__(self, pad: Gamepad) -> None:
        self._pad = pad

    def look(self) -> Twist | None:
        self._pad.poll()
        if not self._pad.button(_SHOULDER_BUTTON):
            return None
        # Up and left are negative there; 0.0 - x, for -0.0 is not 0.
        return Twist(0.0 - self._pad.axis(_FORWARD_AXIS), 0.0 - self._pad.axis(_TURN_AXIS))

    def heed(self, keys: bytes) -> None:
        """No key means anything."""


def add_gamepad_option(parser: VerbParser) -> None:
    """Let a verb be told which gamepad."""
    parser.add_argument("--gamepad", type=Path, default=Path("/dev/input/js0"), metavar="PATH", help="its device (/dev/input/js0)")


@contextmanager
def sticks_of(by: By | None, gamepad: Path, twist: Twist | None = None) -> Iterator[Sticks]:
    """Open what is driven with, and say how.

    Args:
        by: What it is; None: nothing.
        gamepad: Its device.
        twist: Where to go by words.

    Raises:
        UsageError: If no person sits at this terminal for whom it is to take keys.
        PortError: If there is no such gamepad.
    """
    if by == "keyboard":
        if not attended():
            raise UsageError("the keyboard drives from a terminal in the foreground: type the command into one, or take a gamepad")
        sys.stderr.write(f"{_KEYS}\n")
        yield Keyboard()
    elif by == "gamepad":
        pad = Gamepad(gamepad)
        try:
            sys.stderr.write(f"{_STICKS}\n")
            yield Gamesticks(pad)
        finally:
            pad.close()
    else:
        yield Words(twist)
