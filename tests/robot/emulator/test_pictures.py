"""Laws of pictures of a machine in real time: drawn behind a write, stamped by the machine, waited for no longer than they may be old."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serial

from robot import Camera, CameraFrame, RobotError, StaleError
from robot.camera import NewestCamera
from robot.clock import monotonic_s
from robot.description import BusSettings, JointDescription, RobotDescription
from robot.dynamixel import codec
from robot.emulator import BusOptions, ControlServer, EmulatedBus, EmulatorClient, PictureStream, emulate, serve
from tests.waiting import eventually

pytestmark = pytest.mark.realtime

WIDTH, HEIGHT = 6, 4
# Long enough for a busy machine, and short enough to wait for.
AGE_S = 0.5
PING, WRITE = codec.ping(1), codec.sync_write(116, {1: bytes(4)})


@dataclass
class Drawn:
    """A machine of one motor whose picture is the number of its drawing; while `held`, nothing is drawn."""

    folder: Path
    bus_steps: int = 10
    drawings: int = 0
    may_draw: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_draw.set()
        ends: dict[str, Any] = {"lower_rad": -3.0, "upper_rad": 3.0, "home_rad": 0.0, "rest_rad": 0.0}
        joint = JointDescription(name="j", id=1, model="XM430-W210", **ends)
        described = RobotDescription(name="bench", bus=BusSettings(), joints=(joint,))
        self.bus: EmulatedBus = emulate(described, BusOptions(), bus_steps=self.bus_steps, picture=self.draw)
        self.path = self.folder / "control"
        self.server = ControlServer(self.bus, self.path)
        self._thread: threading.Thread | None = None

    def draw(self, width_px: int, height_px: int) -> CameraFrame:
        assert self.may_draw.wait(30.0)
        self.drawings += 1
        return CameraFrame(0.0, np.full((height_px, width_px, 3), self.drawings, np.uint8))

    def run(self) -> None:
        self._thread = threading.Thread(target=serve, args=(self.bus, self.server, lambda: True), daemon=True)
        self._thread.start()

    def stream(self) -> PictureStream:
        return PictureStream(EmulatorClient(self.path), WIDTH, HEIGHT, 100.0, AGE_S)

    def end(self) -> None:
        self.may_draw.set()
        if self._thread is not None and self._thread.is_alive():
            with closing(EmulatorClient(self.path)) as client:
                client.ask("stop")
            self._thread.join(10.0)

    def close(self) -> None:
        self.end()
        self.server.close()
        self.bus.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Drawn]]:
    made: list[Drawn] = []

    def drawn(**options: int) -> Drawn:
        made.append(Drawn(tmp_path, **options))
        return made[-1]

    yield drawn
    for machine in made:
        machine.close()


def test_a_picture_waits_for_the_gap_behind_a_write(make: Callable[..., Drawn]) -> None:
    """By hand, without a loop, and with a bus period of a quarter of an hour: only a write makes a gap."""
    machine = make(bus_steps=1_000_000)
    server, bus = machine.server, machine.bus
    # Opened at the motor's rate, or it would hear noise.
    with serial.Serial(bus.wire.path, 1_000_000), closing(EmulatorClient(machine.path)) as client:
        (listener,) = server.descriptors
        server.serve(listener)
        _, descriptor = server.descriptors
        bus.receive(WRITE)
        client.send("glance", width_px=WIDTH, height_px=HEIGHT)
        client.send("glance", width_px=WIDTH, height_px=HEIGHT)
        server.serve(descriptor)
        for frame in (b"", PING, PING):
            bus.receive(frame)
            server.draw()
        assert machine.drawings == 0
        for number in (1, 2):
            bus.receive(WRITE)
            # One for each gap.
            server.draw()
            server.draw()
            assert machine.drawings <= number
            bus.receive(PING)
        server.draw()
        assert machine.drawings == 2
        assert [client.receive(10.0)["shape"] for _ in range(2)] == [[HEIGHT, WIDTH, 3]] * 2


def test_a_bus_that_nobody_writes_to_is_drawn_too(make: Callable[..., Drawn]) -> None:
    machine = make()
    machine.run()
    with closing(machine.stream()) as stream:
        assert isinstance(stream, Camera)
        frames = [stream.capture() for _ in range(4)]
    assert [frame.image[0, 0, 0] for frame in frames] == [1, 2, 3, 4]
    assert frames[0].image.shape == (HEIGHT, WIDTH, 3)
    assert not frames[0].image.flags.writeable
    stamps = [frame.stamp_s for frame in frames]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] <= monotonic_s()


def test_a_machine_that_stands_still_shows_old_pictures(make: Callable[..., Drawn], monkeypatch: pytest.MonkeyPatch) -> None:
    machine = make()
    machine.run()
    with closing(machine.stream()) as stream:
        stream.capture()
        with monkeypatch.context() as still:
            still.setattr(machine.bus, "catch_up", lambda: None)
            # What it was doing when it was stopped is done by the next picture.
            shown_s = stream.capture().stamp_s
            while (frame := _captured(stream)) is not None:
                assert frame.stamp_s == shown_s
            with pytest.raises(StaleError, match="shows how it stood"):
                stream.capture()
        assert eventually(lambda: _captured(stream) is not None)


def _captured(stream: PictureStream) -> CameraFrame | None:
    try:
        return stream.capture()
    except StaleError:
        return None


def test_a_machine_that_hangs_is_not_waited_for_and_no_answer_is_taken_for_another(make: Callable[..., Drawn]) -> None:
    machine = make()
    machine.run()
    with closing(machine.stream()) as stream:
        assert stream.capture().image[0, 0, 0] == 1
        machine.may_draw.clear()
        for _ in range(2):
            with pytest.raises(StaleError, match="does not answer"):
                stream.capture()
        machine.may_draw.set()
        # The picture that was asked for before the pause: drawn after it.
        assert eventually(lambda: _captured(stream) is not None)
        assert _numbers(stream, 2) == [machine.drawings - 1, machine.drawings]


def _numbers(stream: PictureStream, count: int) -> list[int]:
    return [int(stream.capture().image[0, 0, 0]) for _ in range(count)]


def test_a_machine_that_is_gone_is_no_pause(make: Callable[..., Drawn]) -> None:
    machine = make()
    machine.run()
    with closing(NewestCamera.start(machine.stream(), WIDTH, HEIGHT)) as newest:
        newest.capture()
        machine.close()

        def failure() -> RobotError | None:
            try:
                newest.capture()
            except RobotError as error:
                return error
            return None

        assert eventually(lambda: failure() is not None and not isinstance(failure(), StaleError))


def test_closing_it_ends_a_wait_for_a_machine_that_hangs(make: Callable[..., Drawn]) -> None:
    machine = make()
    machine.run()
    newest = NewestCamera.start(machine.stream(), WIDTH, HEIGHT)
    machine.may_draw.clear()
    newest.close()
    assert not newest._thread.is_alive()


def test_an_answer_that_was_given_up_is_never_the_next_one(make: Callable[..., Drawn]) -> None:
    machine = make()
    machine.run()
    with closing(EmulatorClient(machine.path)) as client:
        client.send("picture", width_px=WIDTH, height_px=HEIGHT)
        assert "joints_rad" in client.ask("truth")
        with pytest.raises(RobotError, match="refuses 'dance'"):
            client.ask("dance")
        with pytest.raises(StaleError):
            client.receive(0.0)


def test_what_is_no_request_is_refused(make: Callable[..., Drawn]) -> None:
    machine = make()
    machine.run()
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(10.0)
        raw.connect(str(machine.path))
        for line in (b"{", b"[]", b"{}", b'{"do": "glance", "width_px": 3}'):
            raw.sendall(line + b"\n")
            answer = json.loads(raw.recv(65_536))
            assert not answer["ok"]
            assert "Error" in answer["error"]
