"""Who may speak to the console, over real sockets and without a browser: the gate before the page, and the door for stops."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fetlock.__main__ import main
from fetlock.console.admission import addresses
from fetlock.console.door import Door
from fetlock.console.picture import Picture, source_of
from fetlock.console.ports import bind
from fetlock.console.presence import Presence
from fetlock.console.subject import choose
from robot import StaleError, UsageError
from robot.camera import MjpegServer
from robot.clock import monotonic_s, sleep_s
from safety.endpoint import answer_to
from safety.estop import StopBoard
from safety.stop_records import StopLevel
from tests.fetlock.console_stage import ROOT, eventually
from tests.fetlock.recorded import record_run
from tests.safety.served import unique

pytestmark = pytest.mark.realtime

TOKEN = "right"
ORIGIN = "http://127.0.0.1:8321"
HEARTBEAT_S = 0.3


@pytest.fixture(autouse=True)
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[StopBoard]:
    name = unique()
    monkeypatch.setenv("FETLOCK_ESTOP", name)
    with StopBoard(name) as made:
        yield made
    Path("/dev/shm", name).unlink(missing_ok=True)


@pytest.fixture
def door() -> Iterator[Door]:
    with Presence(HEARTBEAT_S) as presence, Door("127.0.0.1", TOKEN, addresses("127.0.0.1", 8321)[1], StopLevel.CUT, presence) as made:
        yield made


def post(door: Door, path: str, body: object, **headers: str) -> tuple[int, dict[str, object]]:
    place = door.origin.removeprefix("http://")
    connection = http.client.HTTPConnection(place, timeout=30.0)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, {"Host": place, "Origin": ORIGIN, **headers})
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    return answer.status, said


def silent(board: StopBoard) -> tuple[str, ...]:
    return board.state(monotonic_s()).silent


def trips(board: StopBoard) -> int:
    return board.state(monotonic_s()).sequence


def test_a_stop_at_the_door_is_on_the_board_at_the_level_of_the_console(door: Door, board: StopBoard) -> None:
    status, said = post(door, "/stop", {"token": TOKEN})
    assert (status, said["done"]) == (200, True)
    state = board.state(monotonic_s())
    assert (state.level, state.source) == (StopLevel.CUT, "console")


@pytest.mark.parametrize(
    ("path", "body", "headers", "expected"),
    [
        ("/stop", {"token": "wrong"}, {}, 401),
        ("/stop", {}, {}, 401),
        ("/stop", b"[" * 1000, {}, 401),
        ("/stop", {"token": 1}, {}, 401),
        ("/stop", {"token": TOKEN}, {"Origin": "http://evil.example"}, 403),
        ("/stop", {"token": TOKEN}, {"Origin": "null"}, 403),
        ("/stop", {"token": TOKEN}, {"Host": "evil.example"}, 421),
        ("/stop", b"x" * 1025, {}, 413),
        ("/go", {"token": TOKEN}, {}, 404),
    ],
)
def test_nobody_else_passes_the_door(door: Door, board: StopBoard, path: str, body: object, headers: dict[str, str], expected: int) -> None:
    assert post(door, path, body, **headers)[0] == expected
    assert trips(board) == 0


def test_a_request_without_an_origin_is_refused(door: Door, board: StopBoard) -> None:
    port = int(door.origin.rsplit(":", 1)[1])
    body = json.dumps({"token": TOKEN})
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"POST /stop HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        assert client.recv(100).startswith(b"HTTP/1.0 403")
    assert trips(board) == 0


def test_the_operators_answers_count_only_if_they_are_right(door: Door, board: StopBoard) -> None:
    assert silent(board) != ()
    status, said = post(door, "/beat", {"token": TOKEN, "answer": -1})
    assert (status, said["right"]) == (200, False)
    assert silent(board) != ()
    status, said = post(door, "/beat", {"token": TOKEN, "answer": answer_to(int(str(said["challenge"])))})
    assert said["right"] is True
    assert post(door, "/beat", {"token": "wrong", "answer": answer_to(int(str(said["challenge"])))})[0] == 401
    sleep_s(2.0 * HEARTBEAT_S)
    assert silent(board) != ()


def test_the_door_of_the_other_loopback_opens_too(board: StopBoard) -> None:
    try:
        bind("::1", 0).close()
    except UsageError:
        pytest.skip("this machine has no IPv6")
    origins = addresses("::1", 8321)[1]
    assert origins == {"http://[::1]:8321", "http://localhost:8321"}
    with Door("::1", TOKEN, origins, StopLevel.HOLD, None) as other:
        assert post(other, "/stop", {"token": TOKEN}, Origin="http://[::1]:8321")[0] == 200
        assert post(other, "/beat", {"token": TOKEN, "answer": 1}, Origin="http://[::1]:8321")[0] == 404
    assert trips(board) == 1


def test_a_console_that_ends_in_good_order_is_waited_for_by_nobody(board: StopBoard) -> None:
    with Presence(HEARTBEAT_S):
        assert silent(board) != ()
    assert silent(board) == ()
    with pytest.raises(UsageError, match="time-out"), Presence(1000.0):
        pass


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--port", "70000"), "--port 70000: a port lies within"),
        (("--port", "-1"), "--port -1"),
        (("--port", "http"), "invalid int value"),
        (("--host", "robot"), "--host robot is no address"),
        (("--host", "0.0.0.0"), "names no address that a browser could open"),
        (("--host", "192.0.2.1"), "cannot be used"),
        (("--run", "nobody"), "--run nobody: there is no such run in"),
        (("--run", "a", "--motion", "b"), "give one"),
        (("--heartbeat", "0"), "--heartbeat 0: give 0.1 to 60 seconds"),
        (("--present", "1"), "--present 1: give 5 to 3600 seconds"),
        (("--camera", "usb"), "--camera usb: give a device"),
        (("--level", "gently"), "'gently'"),
        (("--prot", "1"), "the nearest is --port"),
    ],
)
def test_a_wrong_call_is_one_line(arguments: tuple[str, ...], part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["console", "--port", "0", "--runs-dir", str(tmp_path), *arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert part in said.err


def test_a_run_that_does_not_exist_has_a_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "config.yaml").touch()
    with pytest.raises(UsageError, match=r"--run wlak: .* the nearest is walk"):
        choose(tmp_path, "wlak", None)
    assert choose(tmp_path, "walk", None).run == choose(tmp_path / "elsewhere", str(tmp_path / "walk"), None).run == tmp_path / "walk"
    assert "Waiting for the run" in choose(tmp_path, "walk", None).waiting


@pytest.mark.parametrize("verb", ["console", "train", "run"])
def test_a_busy_port_is_one_line_and_nothing_is_begun(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bind("127.0.0.1", 0) as busy:
        port = str(busy.getsockname()[1])
        arguments = ["--port", port] if verb == "console" else ["--console", port, "--name", "new"]
        if verb == "run":
            record_run(tmp_path / "old", episodes=1)
            arguments += ["--policy", str(tmp_path / "old")]
        assert main([verb, "--runs-dir", str(tmp_path), *arguments]) == 2
    assert f"port {port} of 127.0.0.1 is busy" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_no_other_verb_loads_the_web_server() -> None:
    code = (
        "import sys, fetlock.__main__, fetlock.train, fetlock.run_policy, fetlock.motion, fetlock.console.verb; "
        "print([m for m in ('nicegui', 'fastapi', 'uvicorn') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_console_loads_no_torch() -> None:
    code = "import sys, fetlock.console.server; print([m for m in ('torch', 'tensorboard', 'matplotlib') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_camera_shows_its_newest_picture_and_says_why_it_has_none() -> None:
    grey = np.full((48, 64, 3), 128, np.uint8)
    with closing(MjpegServer.start(lambda _: grey, 30.0)) as server:
        picture = Picture(source_of(server.url))
        assert eventually(lambda: picture_of(picture) is not None)
        shown = picture_of(picture)
        assert shown is not None
        assert abs(shown.astype(int) - 128).max() < 8
    assert eventually(lambda: picture_of(picture) is None)
    with pytest.raises(StaleError, match="camera http://127"):
        picture.jpeg()
    picture.close()


def picture_of(picture: Picture) -> NDArray[np.uint8] | None:
    try:
        return np.asarray(cv2.imdecode(np.frombuffer(picture.jpeg(), np.uint8), cv2.IMREAD_COLOR), np.uint8)
    except StaleError:
        return None
