"""The gamepad's reader over a pipe that carries the kernel's events."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot.errors import ClosedError, PortError, PortLostError
from robot.gamepad import Gamepad

BUTTON, AXIS, AT_OPENING = 1, 2, 0x80


class Pipe:
    """Stands in for the kernel's end of /dev/input/js0."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        # A reader must be there before a pipe can be opened for writing; this opens it as both.
        self._both = os.open(path, os.O_RDWR)

    def send(self, kind: int, number: int, value: int, cut: int = 8) -> bytes:
        event = struct.pack("<IhBB", 1234, value, kind, number)
        os.write(self._both, event[:cut])
        return event[cut:]

    def write(self, data: bytes) -> None:
        os.write(self._both, data)

    def unplug(self) -> None:
        os.close(self._both)


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    return Pipe(tmp_path / "js0")


@pytest.fixture
def pad(pipe: Pipe) -> Iterator[Gamepad]:
    made = Gamepad(pipe.path)
    yield made
    made.close()


def test_the_newest_of_each_axis_and_button_counts_and_nothing_is_waited_for(pipe: Pipe, pad: Gamepad) -> None:
    pad.poll()
    assert (pad.axis(1), pad.button(4)) == (0.0, False)
    for value in (100, -32767, 16384):
        pipe.send(AXIS | AT_OPENING, 1, value)
    pipe.send(BUTTON, 4, 1)
    pipe.send(AXIS, 3, -32768)
    pad.poll()
    assert pad.axis(1) == pytest.approx(0.5, abs=1e-4)
    assert (pad.axis(3), pad.button(4), pad.button(5)) == (-1.0, True, False)
    pipe.send(BUTTON, 4, 0)
    pad.poll()
    assert not pad.button(4)


def test_a_worn_stick_rests_at_nothing(pipe: Pipe, pad: Gamepad) -> None:
    pipe.send(AXIS, 1, 3000)
    pad.poll()
    assert pad.axis(1) == 0.0


def test_an_event_may_come_in_two_pieces(pipe: Pipe, pad: Gamepad) -> None:
    rest = pipe.send(BUTTON, 2, 1, cut=5)
    pad.poll()
    assert not pad.button(2)
    pipe.write(rest)
    pad.poll()
    assert pad.button(2)


def test_an_unplugged_one_says_so(pipe: Pipe, pad: Gamepad) -> None:
    pipe.unplug()
    with pytest.raises(PortLostError, match="js0 is gone"):
        pad.poll()
    pad.close()
    with pytest.raises(ClosedError, match="was closed"):
        pad.poll()


def test_where_there_is_none_its_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(PortError, match=r"no gamepad at .*/none \(No such file"):
        Gamepad(tmp_path / "none")
