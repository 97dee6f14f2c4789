"""Laws of the emergency-stop button over a real pseudo-terminal: everything but a fresh OK is a press."""

from __future__ import annotations

import os
import tty
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from robot import PortError
from robot.button import ButtonConfig, LineButton, SwitchButton, open_button
from robot.clock import monotonic_s, sleep_s

pytestmark = pytest.mark.realtime

TIMEOUT_S = 0.3


@dataclass
class Rig:
    """A button's board at the other end of a pseudo-terminal, and the time that both share."""

    master: int
    slave: int
    button: LineButton
    now_s: float = 0.0

    def poll(self, sent: bytes = b"", after_s: float = 0.02) -> bool:
        """Let the board send something and time pass, then ask."""
        if sent:
            os.write(self.master, sent)
            wait_until_there(self.button, len(sent))
        self.now_s += after_s
        return self.button.poll(self.now_s)

    def close(self) -> None:
        self.button.close()
        for descriptor in (self.master, self.slave):
            if descriptor >= 0:
                os.close(descriptor)
        self.master = self.slave = -1


def wait_until_there(button: LineButton, count: int) -> None:
    """A terminal hands bytes on in the kernel's own time."""
    limit_s = monotonic_s() + 20.0
    while button._port.lend().in_waiting < count and monotonic_s() < limit_s:
        sleep_s(0.0005)


def make_rig() -> Rig:
    master, slave = os.openpty()
    tty.setraw(slave)
    return Rig(master, slave, LineButton(ButtonConfig(port=os.ttyname(slave), timeout_s=TIMEOUT_S)))


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = make_rig()
    yield made
    made.close()


@pytest.fixture
def released(rig: Rig) -> Rig:
    rig.poll(b"OK\n")
    assert not rig.poll(b"OK\n")
    assert rig.button.fault == ""
    return rig


def test_it_is_pressed_until_an_ok_came_after_opening(rig: Rig) -> None:
    assert rig.poll()
    assert "silent" in rig.button.fault
    assert not rig.poll(b"OK\n")


def test_what_the_board_sent_before_the_first_look_proves_nothing(rig: Rig) -> None:
    assert rig.poll(b"OK\nOK\n")


def test_stop_is_a_press_until_the_next_ok(released: Rig) -> None:
    assert released.poll(b"STOP\n")
    assert released.poll()
    assert not released.poll(b"OK\n")


def test_a_press_between_two_looks_is_seen_once(released: Rig) -> None:
    assert released.poll(b"OK\nSTOP\nOK\n")
    assert not released.poll()


def test_silence_is_a_press_after_the_timeout_and_not_before(released: Rig) -> None:
    assert not released.poll(after_s=TIMEOUT_S - 0.001)
    assert released.poll(after_s=0.002)
    assert "silent (bound 0.3 s)" in released.button.fault
    assert not released.poll(b"OK\n")


def test_what_piled_up_while_nobody_looked_is_no_proof_of_life(released: Rig) -> None:
    assert released.poll(b"OK\n" * 500, after_s=10.0)
    assert not released.poll(b"OK\n")
    assert released.poll(b"STOP\n", after_s=10.0)


def test_a_line_may_come_in_pieces_and_with_a_carriage_return(released: Rig) -> None:
    assert not released.poll(b"S")
    assert not released.poll(b"TO")
    assert released.poll(b"P\r\n")
    assert released.poll(b"O")
    assert not released.poll(b"K\r\n")


@given(st.lists(st.binary(max_size=40).filter(lambda noise: b"OK" not in noise), min_size=1, max_size=10))
def test_noise_is_no_sign_of_life(pieces: list[bytes]) -> None:
    rig = make_rig()
    try:
        rig.poll()
        for piece in pieces:
            assert rig.poll(piece)
        # Behind the noise the line is read again.
        assert not rig.poll(b"\nOK\n") or b"STOP" in b"".join(pieces)
    finally:
        rig.close()


@given(st.lists(st.sampled_from([b"OK\n", b"STOP\n", b""]), max_size=40), st.floats(0.01, 0.29))
def test_it_is_released_only_by_a_fresh_ok_that_no_stop_followed(words: list[bytes], after_s: float) -> None:
    rig = make_rig()
    try:
        rig.poll()
        well_s, newest = -1.0, b""
        for word in words:
            pressed = rig.poll(word, after_s)
            newest = word or newest
            well_s = rig.now_s if word == b"OK\n" else well_s
            assert pressed == (newest != b"OK\n" or rig.now_s - well_s > TIMEOUT_S)
    finally:
        rig.close()


def test_a_board_that_is_unplugged_is_a_press_for_good(released: Rig) -> None:
    os.close(released.master)
    released.master = -1
    assert released.poll()
    assert released.poll()
    assert "plug it in again" in released.button.fault


def test_a_closed_button_is_pressed(released: Rig) -> None:
    released.button.close()
    released.button.close()
    assert released.poll()
    assert "closed" in released.button.fault


def test_a_port_has_one_owner_and_one_that_is_not_there_is_named(rig: Rig) -> None:
    with pytest.raises(PortError, match="in use"):
        open_button(ButtonConfig(port=os.ttyname(rig.slave)))
    with pytest.raises(PortError, match="there is no port /dev/nowhere"):
        open_button(ButtonConfig(port="/dev/nowhere"))


def test_bounds_are_checked() -> None:
    for wrong in ({"timeout_s": 0.05}, {"timeout_s": 3.0}, {"kind": "bell"}, {"baud": 300}, {"bell": 1}, {"port": "COM1"}):
        with pytest.raises(ValidationError):
            ButtonConfig.model_validate({"port": "/dev/ttyUSB0", **wrong})


class Adapter:
    """Modem lines without an adapter: the output reaches the input if the loop is closed."""

    def __init__(self, *, closed: bool = True, stuck: bool | None = None) -> None:
        self.rts = False
        self.closed, self.stuck = closed, stuck

    @property
    def cts(self) -> bool:
        return (self.closed and self.rts) if self.stuck is None else self.stuck


@pytest.fixture
def switch() -> Iterator[SwitchButton]:
    master, slave = os.openpty()
    made = SwitchButton(ButtonConfig(port=os.ttyname(slave), kind="switch", timeout_s=TIMEOUT_S))
    yield made
    made.close()
    os.close(master)
    os.close(slave)


def looks(button: SwitchButton, adapter: object, began_s: float, seconds: float) -> list[bool]:
    button._serial = adapter
    return [button.poll(began_s + 0.01 * step) for step in range(round(100 * seconds))]


def test_a_closed_loop_is_released_and_an_open_one_pressed_within_the_timeout(switch: SwitchButton) -> None:
    adapter = Adapter()
    first = looks(switch, adapter, 0.0, 2.0)
    assert first[0]
    assert not any(first[round(100 * TIMEOUT_S) :])
    adapter.closed = False
    assert all(looks(switch, adapter, 2.0, 1.0)[round(100 * TIMEOUT_S) + 1 :])
    adapter.closed = True
    assert not looks(switch, adapter, 3.0, 1.0)[-1]


@pytest.mark.parametrize("stuck", [False, True])
def test_an_input_that_is_stuck_is_never_a_closed_loop(switch: SwitchButton, stuck: bool) -> None:
    assert all(looks(switch, Adapter(stuck=stuck), 0.0, 2.0))


def test_a_port_without_modem_lines_is_pressed_and_says_why(switch: SwitchButton) -> None:
    assert switch.poll(0.0)
    assert switch.poll(0.1)
    assert "open it anew" in switch.fault
