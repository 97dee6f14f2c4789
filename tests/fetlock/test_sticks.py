"""What keys and sticks mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from fetlock.sticks import Gamesticks, Keyboard, sticks_of
from policy.gaits import Twist
from robot import UsageError
from robot.gamepad import Gamepad
from tests.robot.test_gamepad import AXIS, BUTTON, Pipe


@pytest.mark.parametrize(
    ("keys", "twist"),
    [
        (b"", None),
        (b"w", Twist(0.25, 0.0)),
        (b"WW", Twist(0.5, 0.0)),
        (b"wwwwwww", Twist(1.0, 0.0)),
        (b"wsss", Twist(-0.5, 0.0)),
        (b"aa", Twist(0.0, 0.5)),
        (b"\x1b[A\x1b[A\x1b[D", Twist(0.5, 0.25)),
        (b"\x1bOB\x1bOC", Twist(-0.25, -0.25)),
        # Keys that mean nothing here, though their codes have letters in them: F3, shift-F4, delete.
        (b"w\x1bOR\x1b[1;2S\x1b[3~", Twist(0.25, 0.0)),
        (b"wwax", Twist()),
        (b"ww ", Twist()),
        (b"wwr", None),
        (b"zq\xff", None),
    ],
)
def test_what_keys_mean(keys: bytes, twist: Twist | None) -> None:
    sticks = Keyboard()
    sticks.heed(keys)
    assert sticks.look() == twist


@pytest.mark.parametrize("pieces", [(b"\x1b", b"[A"), (b"\x1b[", b"A"), (b"\x1b", b"O", b"A"), (b"\x1b[1;", b"5A"), (b"\x1b", b"w")])
def test_an_arrow_may_come_in_pieces(pieces: tuple[bytes, ...]) -> None:
    sticks = Keyboard()
    for piece in pieces:
        sticks.heed(piece)
    assert sticks.look() == Twist(0.25, 0.0)


def test_a_gamepad_drives_while_its_shoulder_button_is_held(tmp_path: Path) -> None:
    pipe = Pipe(tmp_path / "js0")
    sticks = Gamesticks(Gamepad(pipe.path))
    pipe.send(AXIS, 1, -32767)
    pipe.send(AXIS, 3, 32767)
    assert sticks.look() is None
    pipe.send(BUTTON, 4, 1)
    assert sticks.look() == Twist(1.0, -1.0)
    pipe.send(BUTTON, 4, 0)
    assert sticks.look() is None


def test_a_keyboard_needs_a_person_at_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="from a terminal in the foreground"), sticks_of("keyboard", tmp_path):
        pass
